"""Rules that hold for every record without exception. Each is a function that yields what breaks it.

`check(record, roles)` runs them all: (name of the rule, what is wrong). `roles` maps a practitioner to the facility and the specialty
of the PractitionerRole, from the population's infrastructure.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import pairwise

from ..calendars import day_of, is_holiday, jalali_text
from ..catalogue.tables import drugs
from ..life.growth import size
from ..life.laboratory import egfr_of
from . import coherence
from .coherence import Roles
from .record import Json, Record, code_of, target_of

Rule = Callable[[Record, Roles], Iterator[str]]

MOMENTS = {
    "Encounter": ("period", "start"), "Observation": ("effectiveDateTime",), "MedicationRequest": ("authoredOn",),
    "MedicationDispense": ("whenHandedOver",), "Procedure": ("performedDateTime",), "Immunization": ("occurrenceDateTime",),
    "ServiceRequest": ("authoredOn",), "DiagnosticReport": ("issued",), "Specimen": ("collection", "collectedDateTime"),
    "Appointment": ("start",), "Condition": ("recordedDate",),
}  # fmt: skip
BOUNDS = {
    "8480-6": (50, 260), "8462-4": (30, 160), "8867-4": (30, 230), "9279-1": (6, 80), "8310-5": (33, 43), "59408-5": (50, 100),
    "29463-7": (0.8, 250), "8302-2": (30, 215), "39156-5": (9, 70), "4548-4": (3.5, 17), "1558-6": (30, 600), "2160-0": (0.1, 20),
    "98979-8": (2, 150), "718-7": (3, 22), "2571-8": (20, 2500), "13457-7": (5, 400), "2085-9": (10, 130), "2823-3": (2, 8.5),
    "3016-3": (0.005, 150), "11885-1": (22, 43),
}  # fmt: skip


def _moment(resource: Json) -> str:
    value: object = resource
    for key in MOMENTS[resource["resourceType"]]:
        value = value.get(key, "") if isinstance(value, dict) else ""
    return str(value)


def within_life(record: Record, roles: Roles) -> Iterator[str]:
    """Nothing clinical happens before birth or after death."""
    for kind in MOMENTS:
        for resource in record.of(kind):
            day = _moment(resource)[:10]
            if not record.birth <= day <= record.death:
                yield f"{kind}/{resource['id']} on {day}"


def sex_and_age(record: Record, roles: Roles) -> Iterator[str]:
    """Pregnancy only in women of 10 to 55 years, prostate only in men."""
    gender = record.patient.get("gender")
    for condition in record.of("Condition"):
        code = code_of(condition["code"])
        if code.startswith("O"):
            years = int(condition["onsetDateTime"][:4]) - int(record.birth[:4])
            if gender != "female" or not 10 <= years <= 55:
                yield f"{code} in {gender} of {years} years"
        if code in ("C61", "N40") and gender != "male":
            yield f"{code} in {gender}"


def dates_in_order(record: Record, roles: Roles) -> Iterator[str]:
    """Onset before recording and abatement; order before sample before result."""
    for condition in record.of("Condition"):
        if (
            not condition["onsetDateTime"] <= condition["recordedDate"]
            or condition.get("abatementDateTime", "9999") < condition["onsetDateTime"]
        ):
            yield f"Condition/{condition['id']}"
    orders = record.by_id("ServiceRequest")
    for specimen in record.of("Specimen"):
        order = orders[target_of(specimen["request"][0])]
        if specimen["collection"]["collectedDateTime"] < order["authoredOn"]:
            yield f"Specimen/{specimen['id']} taken before it was ordered"
    samples = record.by_id("Specimen")
    for report in record.of("DiagnosticReport"):
        if (
            "specimen" in report
            and report["issued"] < samples[target_of(report["specimen"][0])]["collection"]["collectedDateTime"]
        ):
            yield f"DiagnosticReport/{report['id']} issued before the sample"


def dispensing(record: Record, roles: Roles) -> Iterator[str]:
    """A dispense follows its request, while it is valid, and no more is handed over than was prescribed."""
    requests = record.by_id("MedicationRequest")
    handed: dict[str, float] = {}
    for dispense in record.of("MedicationDispense"):
        name = target_of(dispense["authorizingPrescription"][0])
        if name not in requests:
            yield f"MedicationDispense/{dispense['id']} without a request"
            continue
        supply = requests[name]["dispenseRequest"]
        handed[name] = handed.get(name, 0) + dispense["quantity"]["value"]
        if (
            not requests[name]["authoredOn"] <= dispense["whenHandedOver"]
            or dispense["whenHandedOver"][:10] > supply["validityPeriod"]["end"]
        ):
            yield f"MedicationDispense/{dispense['id']} outside the request's validity"
        if handed[name] > supply["quantity"]["value"]:
            yield f"MedicationRequest/{name} dispensed beyond its quantity"


def reasons(record: Record, roles: Roles) -> Iterator[str]:
    """What is prescribed for a diagnosis follows its onset."""
    conditions = record.by_id("Condition")
    for request in record.of("MedicationRequest"):
        for reason in request.get("reasonReference", ()):
            condition = conditions.get(target_of(reason))
            if condition is None or condition["onsetDateTime"] > request["authoredOn"][:10]:
                yield f"MedicationRequest/{request['id']} before its diagnosis"


def _atc(request: Json) -> str:
    codings = request["medicationCodeableConcept"]["coding"]
    return next((coding["code"] for coding in codings if coding["system"].startswith("http://www.whocc")), "")


def _pregnancies(record: Record) -> list[tuple[str, str]]:
    """(from, to) of pregnancies that ended in birth; the first weeks, unknown to all, are left out."""
    found = []
    for condition in record.of("Condition"):
        if code_of(condition["code"]) in ("O80", "O82"):
            end = date.fromisoformat(condition["recordedDate"])
            preterm = any(
                code_of(c["code"]) == "O60.1" and c["recordedDate"] == condition["recordedDate"]
                for c in record.of("Condition")
            )
            found.append(((end - timedelta(days=180 if preterm else 235)).isoformat(), end.isoformat()))
    return found


_FORBIDDEN = {
    "penicillin": ("J01C",), "cephalosporin": ("J01D",), "nsaid": ("M01A", "B01AC06", "SBX-compound-analgesic"),
}  # fmt: skip
_NOT_FOR_CHILDREN = ("J01M", "N02AJ", "C09", "A10BB")


def contraindications(record: Record, roles: Roles) -> Iterator[str]:
    """No blockers of angiotensin, statins or warfarin in pregnancy, no metformin at an eGFR below 25, no drug of a known allergy,
    no quinolones or codeine in children."""
    pregnancies = _pregnancies(record)
    filtration = sorted(
        (o["effectiveDateTime"], o["valueQuantity"]["value"]) for o in record.of("Observation") if code_of(o["code"]) == "98979-8"
    )  # fmt: skip
    allergies = [(code_of(a["code"]), a["recordedDate"]) for a in record.of("AllergyIntolerance")]
    for request in record.of("MedicationRequest"):
        atc, when = _atc(request), request["authoredOn"]
        if atc.startswith(("C09", "C10AA", "B01AA")) and any(start < when[:10] < end for start, end in pregnancies):
            yield f"{atc} in pregnancy: MedicationRequest/{request['id']}"
        known = [value for moment, value in filtration if moment < when]
        if atc == "A10BA02" and known and max(known[-2:]) < 25:
            yield f"metformin at an eGFR of {known[-1]}: MedicationRequest/{request['id']}"
        names = (atc, code_of(request["medicationCodeableConcept"]))
        if any(
            day <= when[:10] and name.startswith(_FORBIDDEN.get(substance, ("-",)))
            for substance, day in allergies
            for name in names
        ):
            yield f"{atc} in spite of an allergy: MedicationRequest/{request['id']}"
        if atc.startswith(_NOT_FOR_CHILDREN) and when[:10] < f"{int(record.birth[:4]) + 11}{record.birth[4:]}":
            yield f"{atc} in a child: MedicationRequest/{request['id']}"


_BY_WEIGHT = {f"SBX-{key.replace('_', '-')}": drug for key, drug in drugs().items() if drug.mg_per_kg}


def doses(record: Record, roles: Roles) -> Iterator[str]:
    """Children's doses fit their weight: 0.3 to 2 times the usual dose for a child of that age."""
    female = record.patient.get("gender") == "female"
    for request in record.of("MedicationRequest"):
        drug = _BY_WEIGHT.get(code_of(request["medicationCodeableConcept"]))
        if drug is None:
            continue
        months = (date.fromisoformat(request["authoredOn"][:10]) - date.fromisoformat(record.birth)).days / 30.44
        dose = request["dosageInstruction"][0]["doseAndRate"][0]["doseQuantity"]["value"]
        daily = dose * drug.mg_per_unit * drug.per_day / (size(female, months, 0)[1] * drug.mg_per_kg)
        if not 0.3 <= daily <= 2:
            yield f"{daily:.1f} times the usual dose: MedicationRequest/{request['id']}"


def bounds(record: Record, roles: Roles) -> Iterator[str]:
    """Measured values are possible in a living body, and units are the test's own."""
    units: dict[str, str] = {"1558-6": "mg/dL", "4548-4": "%", "718-7": "g/dL", "2160-0": "mg/dL", "29463-7": "kg"}
    for observation in record.of("Observation"):
        for part in (observation, *observation.get("component", ())):
            code = code_of(part["code"])
            quantity = part.get("valueQuantity")
            if quantity is None:
                continue
            low, high = BOUNDS.get(code, (-1, 1e6))
            if not low <= quantity["value"] <= high:
                yield f"{code} of {quantity['value']}: Observation/{observation['id']}"
            if code in units and quantity.get("code") != units[code]:
                yield f"{code} in {quantity.get('code')}: Observation/{observation['id']}"


def panels_agree(record: Record, roles: Roles) -> Iterator[str]:
    """Friedewald's formula and CKD-EPI 2021 hold over the printed values of one sample."""
    samples: dict[str, dict[str, tuple[float, str]]] = {}
    for observation in record.of("Observation"):
        if "specimen" in observation and "valueQuantity" in observation:
            values = samples.setdefault(target_of(observation["specimen"]), {})
            values[code_of(observation["code"])] = (
                observation["valueQuantity"]["value"],
                observation["effectiveDateTime"],
            )
    female = record.patient.get("gender") == "female"
    for name, values in samples.items():
        if {"2093-3", "2085-9", "2571-8", "13457-7"} <= set(values):
            expected = values["2093-3"][0] - values["2085-9"][0] - values["2571-8"][0] / 5
            if abs(max(expected, 0) - values["13457-7"][0]) > 1:
                yield f"LDL of Specimen/{name}"
        if {"2160-0", "98979-8"} <= set(values):
            when = date.fromisoformat(values["2160-0"][1][:10])
            age = max(18.0, (when - date.fromisoformat(record.birth)).days / 365.2425)
            if abs(min(139.0, egfr_of(values["2160-0"][0], age, female)) - values["98979-8"][0]) > 1:
                yield f"eGFR of Specimen/{name}"


def vaccines(record: Record, roles: Roles) -> Iterator[str]:
    """Vaccines within their era: pneumococcal from February 2024, pentavalent from November 2014, measles alone before 2004."""
    for dose in record.of("Immunization"):
        cvx, given = code_of(dose["vaccineCode"]), dose["occurrenceDateTime"][:10]
        first = {
            "152": "2024-02",
            "122": "2024-02",
            "102": "2014-11",
            "10": "2015-10",
            "178": "2016-04",
            "03": "2004-02",
        }.get(cvx, "")
        if given < first or (cvx == "05" and given >= "2004-02"):
            yield f"CVX {cvx} on {given}"


def admissions(record: Record, roles: Roles) -> Iterator[str]:
    """Nobody lies in two hospitals at once."""
    stays = sorted(
        (e["period"]["start"], e["period"].get("end", "9999"), e["id"])
        for e in record.of("Encounter")
        if e["class"]["code"] == "IMP"
    )
    for earlier, later in pairwise(stays):
        if later[0] < earlier[1]:
            yield f"Encounter/{later[2]} begins before Encounter/{earlier[2]} ends"


def bookings(record: Record, roles: Roles) -> Iterator[str]:
    """A slot belongs to one appointment."""
    taken = [target_of(appointment["slot"][0]) for appointment in record.of("Appointment")]
    yield from (f"Slot/{name} is booked twice" for name in sorted({name for name in taken if taken.count(name) > 1}))


def distance(record: Record, roles: Roles) -> Iterator[str]:
    """Nobody is examined over the telephone."""
    virtual = {e["id"] for e in record.of("Encounter") if e["class"]["code"] == "VR"}
    for observation in record.of("Observation"):
        physical = code_of(observation["category"][0]) in ("vital-signs", "exam")
        if physical and target_of(observation.get("encounter")) in virtual:
            yield f"Observation/{observation['id']} in a teleconsultation"


def places(record: Record, roles: Roles) -> Iterator[str]:
    """A practitioner works where the visit takes place, in the specialty of the visit, and clinics see people on open days."""
    for encounter in record.of("Encounter"):
        person = target_of(encounter["participant"][0]["individual"])
        known = roles.get(person)
        if known is None or known != (target_of(encounter["serviceProvider"]), code_of(encounter["serviceType"])):
            yield f"Encounter/{encounter['id']} with {person}"
        start = encounter["period"]["start"][:10]
        if code_of(encounter["type"][0]) == "outpatient-visit" and is_holiday(day_of(date.fromisoformat(start))):
            yield f"Encounter/{encounter['id']} on a holiday, {start}"


def insurance(record: Record, roles: Roles) -> Iterator[str]:
    """A coverage is in force on the day it pays for."""
    periods = {coverage["id"]: coverage["period"] for coverage in record.of("Coverage")}
    encounters = record.by_id("Encounter")
    for claim in record.of("Claim"):
        period = periods.get(target_of(claim["insurance"][0]["coverage"]))
        day = encounters[target_of(claim["item"][0]["encounter"][0])]["period"]["start"][:10]
        if period is None or not period["start"] <= day <= period.get("end", "9999"):
            yield f"Claim/{claim['id']}"


def persian_dates(record: Record, roles: Roles) -> Iterator[str]:
    """The Jalali date in a document's title is the date of its attachment."""
    for document in record.of("DocumentReference"):
        attachment = document["content"][0]["attachment"]
        if not attachment["title"].endswith(jalali_text(day_of(date.fromisoformat(attachment["creation"])))):
            yield f"DocumentReference/{document['id']}"


_ARABIC = re.compile("[يك]")


def orthography(record: Record, roles: Roles) -> Iterator[str]:
    """Persian letters, never their Arabic look-alikes."""
    for name in record.patient["name"]:
        if _ARABIC.search(name["text"]):
            yield name["text"]


RULES: tuple[Rule, ...] = (
    within_life, sex_and_age, dates_in_order, dispensing, reasons, contraindications, doses, bounds, panels_agree, vaccines,
    admissions, bookings, distance, places, insurance, persian_dates, orthography, *coherence.RULES,
)  # fmt: skip


def check(record: Record, roles: Roles) -> Iterator[tuple[str, str]]:
    """Everything that is wrong with a record: (rule, what)."""
    for rule in RULES:
        for found in rule(record, roles):
            yield rule.__name__, f"{record.patient['id']}: {found}"


def roles_of(resources: Iterator[Json]) -> Roles:
    """Practitioner -> (facility, specialty), from the PractitionerRoles of an infrastructure."""
    return {
        target_of(r["practitioner"]): (target_of(r["organization"]), code_of(r["specialty"][0]))
        for r in resources
        if r["resourceType"] == "PractitionerRole"
    }
