"""More rules that hold for every record without exception: states and dates, visits and what belongs to them, sums, letters.

Each is a function of the same shape as those of `invariants`, which gathers them all.
"""

from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from itertools import pairwise
from typing import Any

from ..calendars import persian_digits
from .record import Json, Record, code_of, target_of

Roles = dict[str, tuple[str, str]]
AT_A_VISIT = {
    "Observation": "effectiveDateTime", "MedicationRequest": "authoredOn", "Procedure": "performedDateTime",
    "ServiceRequest": "authoredOn", "Immunization": "occurrenceDateTime",
}  # fmt: skip
_WEEKS_APART = 240  # days between two births
_CARRIED = 300  # days within which a pregnancy that is cared for ends
_CKD_EPI = "98979-8"
_HEIGHT, _HEAD = "8302-2", "9843-4"
_TOGETHER = ("J04", "B01AC")  # ATC groups of which two drugs belong together


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _days(earlier: str, later: str) -> int:
    return (date.fromisoformat(later[:10]) - date.fromisoformat(earlier[:10])).days


def _age(record: Record, when: str) -> float:
    return _days(record.birth, when) / 365.2425


def one_visit_at_a_time(record: Record, roles: Roles) -> Iterator[str]:
    """Nobody is at two visits at once, and a visit ends after it began."""
    known = [
        (_time(e["period"]["start"]), _time(e["period"].get("end", "2999-01-01T00:00:00+03:30")), e["id"])
        for e in record.of("Encounter")
    ]
    yield from (f"Encounter/{name} ends before it begins" for start, end, name in known if end < start)
    for earlier, later in pairwise(sorted(known)):
        if later[0] < earlier[1]:
            yield f"Encounter/{later[2]} begins before Encounter/{earlier[2]} ends"


def inside_visits(record: Record, roles: Roles) -> Iterator[str]:
    """What is measured, ordered, done or prescribed at a visit lies within its period; samples may be taken later."""
    periods = {e["id"]: e["period"] for e in record.of("Encounter")}
    for kind, field in AT_A_VISIT.items():
        for resource in record.of(kind):
            period = periods.get(target_of(resource.get("encounter")))
            if period is None or "specimen" in resource:
                continue
            if not _time(period["start"]) <= _time(resource[field]) <= _time(period.get("end", resource[field])):
                yield f"{kind}/{resource['id']} outside Encounter/{target_of(resource['encounter'])}"


def states(record: Record, roles: Roles) -> Iterator[str]:
    """States agree with dates: what is finished has an end, what is resolved has abated, and the dead have nothing under way."""
    for encounter in record.of("Encounter"):
        if (encounter["status"] == "finished") != ("end" in encounter["period"]):
            yield f"Encounter/{encounter['id']} is {encounter['status']}"
        if not any(key in encounter for key in ("diagnosis", "reasonCode", "reasonReference")):
            yield f"Encounter/{encounter['id']} has no reason"
    for condition in record.of("Condition"):
        gone = code_of(condition["clinicalStatus"]) == "resolved"
        if gone != ("abatementDateTime" in condition) or condition.get("abatementDateTime", "") > record.death:
            yield f"Condition/{condition['id']} is {code_of(condition['clinicalStatus'])}"
    reported = {target_of(report["basedOn"][0]) for report in record.of("DiagnosticReport")}
    for order in record.of("ServiceRequest"):
        referral = code_of(order["category"][0]) == "referral"
        if not referral and (order["status"] == "completed") != (order["id"] in reported):
            yield f"ServiceRequest/{order['id']} is {order['status']}"
    if record.death != "9999":
        for kind in ("CarePlan", "Goal", "Consent", "Coverage", "MedicationRequest", "ServiceRequest"):
            for resource in record.of(kind):
                if resource.get("status", resource.get("lifecycleStatus")) == "active":
                    yield f"{kind}/{resource['id']} is active after death"


def pregnancies(record: Record, roles: Roles) -> Iterator[str]:
    """Births are at least eight months apart, and antenatal care ends in a birth or a miscarriage in time."""
    conditions = record.of("Condition")
    births = sorted(c["recordedDate"] for c in conditions if code_of(c["code"]) in ("O80", "O82"))
    ends = sorted([*births, *(c["recordedDate"] for c in conditions if code_of(c["code"]) == "O03.9"), record.death])
    for earlier, later in pairwise(births):
        if _days(earlier, later) < _WEEKS_APART:
            yield f"births on {earlier} and {later}"
    last = max((e["period"]["start"] for e in record.of("Encounter")), default="")
    for encounter in record.of("Encounter"):
        if any(code_of(reason) == "Z34.9" for reason in encounter.get("reasonCode", ())):
            start = encounter["period"]["start"][:10]
            end = next((day for day in ends if day >= start), record.death)
            if _days(start, min(end, last)) > _CARRIED:
                yield f"Encounter/{encounter['id']}: a pregnancy without an end"


def growth(record: Record, roles: Roles) -> Iterator[str]:
    """Nobody under 25 grows shorter, and a small child's head never shrinks."""
    for code, slack in ((_HEIGHT, 0.15), (_HEAD, 0.3)):
        measured = sorted(
            (o["effectiveDateTime"], o["valueQuantity"]["value"])
            for o in record.of("Observation")
            if code_of(o["code"]) == code and _age(record, o["effectiveDateTime"]) < 25
        )
        for (_, before), (when, after) in pairwise(measured):
            if after < before - slack:
                yield f"{code} falls from {before} to {after} on {when[:10]}"


def flags(record: Record, roles: Roles) -> Iterator[str]:
    """The flag of a result agrees with its value and the range printed beside it; CKD-EPI is for adults."""
    for observation in record.of("Observation"):
        if code_of(observation["code"]) == _CKD_EPI and _age(record, observation["effectiveDateTime"]) < 17.99:
            yield f"Observation/{observation['id']}: CKD-EPI under 18 years"
        if "referenceRange" not in observation:
            continue
        value, limits = observation["valueQuantity"]["value"], observation["referenceRange"][0]
        low, high = (limits.get(end, {}).get("value") for end in ("low", "high"))
        flag = "L" if low is not None and value < low else "H" if high is not None and value > high else "N"
        if code_of(observation["interpretation"][0]) != flag:
            yield f"Observation/{observation['id']} of {value} is not {code_of(observation['interpretation'][0])}"


def one_diagnosis_at_a_time(record: Record, roles: Roles) -> Iterator[str]:
    """The same disease is not diagnosed again before it is over, and what excludes each other is not active together."""
    spans = sorted(
        (code_of(c["code"]), c["onsetDateTime"], c.get("abatementDateTime", "9999")) for c in record.of("Condition")
    )
    for earlier, later in pairwise(spans):
        if earlier[0] == later[0] and later[1] < earlier[2]:
            yield f"{later[0]} on {later[1]} while that of {earlier[1]} lasts"
    active = {code_of(c["code"]) for c in record.of("Condition") if "abatementDateTime" not in c}
    for group in (("N18.3", "N18.4", "N18.5"), ("E10.9", "E11.9"), ("E03.9", "E05.9")):
        if len(found := active & set(group)) > 1:
            yield f"{' and '.join(sorted(found))} at once"


def regimens(record: Record, roles: Roles) -> Iterator[str]:
    """The quantity is what the dose needs for its days, and no prescription holds two drugs of a chemical group."""
    prescriptions: dict[str, list[str]] = defaultdict(list)
    for request in record.of("MedicationRequest"):
        dosage, supply = request["dosageInstruction"][0], request["dispenseRequest"]
        repeat, dose = dosage["timing"]["repeat"], dosage["doseAndRate"][0]["doseQuantity"]
        if dose["code"] == supply["quantity"]["code"]:
            days = supply["expectedSupplyDuration"]["value"]
            needed = dose["value"] * repeat["frequency"] / repeat["period"] * days
            if not needed * 0.8 - 1 <= supply["quantity"]["value"] <= needed * 1.25 + 1:
                yield f"MedicationRequest/{request['id']}: {supply['quantity']['value']} for {needed:.1f}"
        codes = [coding["code"] for coding in request["medicationCodeableConcept"]["coding"]]
        prescriptions[request["groupIdentifier"]["value"]].append(codes[-1])
    for number, codes in prescriptions.items():
        for group, count in Counter(code[:5] for code in codes if not code.startswith(_TOGETHER)).items():
            if count > 1:
                yield f"{number}: {count} drugs of {group}"


def sums(record: Record, roles: Roles) -> Iterator[str]:
    """The items of a claim add up to its total, and the parts of its settlement too."""
    for claim in record.of("Claim"):
        if sum(item["net"]["value"] for item in claim["item"]) != claim["total"]["value"]:
            yield f"Claim/{claim['id']}"
    for settled in record.of("ExplanationOfBenefit"):
        amounts = {code_of(total["category"]): total["amount"]["value"] for total in settled["total"]}
        if amounts["submitted"] != amounts["benefit"] + amounts["copay"]:
            yield f"ExplanationOfBenefit/{settled['id']}"


def one_insurance_at_a_time(record: Record, roles: Roles) -> Iterator[str]:
    """Coverages follow each other without overlapping."""
    periods = sorted((c["period"]["start"], c["period"].get("end", "9999")) for c in record.of("Coverage"))
    yield from (f"a coverage ends on {end} before it begins" for start, end in periods if end < start)
    for earlier, later in pairwise(periods):
        if later[0] <= earlier[1]:
            yield f"coverages from {earlier[0]} and {later[0]}"


_SERIES = {"02": "polio", "178": "polio", "01": "diphtheria", "102": "diphtheria"}


def doses_in_order(record: Record, roles: Roles) -> Iterator[str]:
    """The doses of a vaccine are numbered 1, 2, 3 in order of time, at least four weeks apart."""
    series: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for dose in record.of("Immunization"):
        cvx = code_of(dose["vaccineCode"])
        number = dose["protocolApplied"][0]["doseNumberPositiveInt"]
        series[_SERIES.get(cvx, cvx)].append((dose["occurrenceDateTime"][:10], number))
    for name, given in series.items():
        given.sort()
        if [number for _, number in given] != list(range(1, len(given) + 1)):
            yield f"doses of {name}: {given}"
        for (earlier, _), (later, _) in pairwise(given):
            if _days(earlier, later) < 27:
                yield f"doses of {name} on {earlier} and {later}"


def appointments(record: Record, roles: Roles) -> Iterator[str]:
    """An appointment, its slot and the visit it led to begin together, and the visit names the appointment."""
    slots = record.by_id("Slot")
    visits = {target_of(e["appointment"][0]): e for e in record.of("Encounter") if "appointment" in e}
    for appointment in record.of("Appointment"):
        slot, visit = slots.get(target_of(appointment["slot"][0])), visits.get(appointment["id"])
        if slot is None or (slot["start"], slot["end"]) != (appointment["start"], appointment["end"]):
            yield f"Appointment/{appointment['id']} beside its slot"
        if appointment["status"] == "fulfilled" and (visit is None or visit["period"]["start"] != appointment["start"]):
            yield f"Appointment/{appointment['id']} without its visit"


def letters(record: Record, roles: Roles) -> Iterator[str]:
    """A note or letter quotes the record: its diagnoses, results and drugs are those that are coded for the visit."""
    conditions, encounters = record.by_id("Condition"), record.by_id("Encounter")
    for document in record.of("DocumentReference"):
        lines = b64decode(document["content"][0]["attachment"]["data"]).decode().splitlines()
        visit = target_of(document["context"]["encounter"][0])
        told = dict(line.split(": ", 1) for line in lines if line.startswith(("تشخیص: ", "آزمایش: ", "دارو: ")))
        coded = [conditions[target_of(d["condition"])] for d in encounters[visit].get("diagnosis", ())]
        named = sorted(f"{c['code']['text']} ({code_of(c['code'])})" for c in coded)
        if named != sorted(_items(told, "تشخیص")):
            yield f"DocumentReference/{document['id']}: diagnoses"
        drugs = [r for r in record.of("MedicationRequest") if target_of(r["encounter"]) == visit]
        if sorted(map(_as_told, drugs)) != sorted(_items(told, "دارو")):
            yield f"DocumentReference/{document['id']}: drugs"
        results = {_result(o) for o in record.of("Observation") if target_of(o.get("encounter")) == visit}
        if not {_as_result(item) for item in _items(told, "آزمایش")} <= results:
            yield f"DocumentReference/{document['id']}: results"


def _items(told: dict[str, str], head: str) -> list[str]:
    return [item for item in told.get(head, "").split("؛ ") if item]


def _as_told(request: Json) -> str:
    days = persian_digits(str(request["dispenseRequest"]["expectedSupplyDuration"]["value"]))
    return f"{request['medicationCodeableConcept']['text']}، {request['dosageInstruction'][0]['text']}، برای {days} روز"


def _as_result(item: str) -> tuple[str, float, str]:
    name, value, unit = item.rsplit(" ", 2)
    return name, float(value.replace("٫", ".")), unit


def _result(observation: Json) -> tuple[str, float, str]:
    quantity = observation.get("valueQuantity", {})
    return observation["code"].get("text", ""), float(quantity.get("value", -1)), quantity.get("code", "")


def two_languages(record: Record, roles: Roles) -> Iterator[str]:
    """Every concept has its words in English, in the display of its code, and in Persian, in its text."""
    for kind, resources in record.kinds.items():
        for resource in resources:
            for concept in _concepts(resource):
                text = concept.get("text", "")
                if not any("؀" <= letter <= "ۿ" for letter in text) or not all(
                    c.get("display") for c in concept["coding"]
                ):
                    yield f"{kind}/{resource['id']}: {concept['coding'][0].get('code')}"


def _concepts(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        if "coding" in value:
            yield value
        for child in value.values():
            yield from _concepts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _concepts(child)


RULES = (
    one_visit_at_a_time, inside_visits, states, pregnancies, growth, flags, one_diagnosis_at_a_time, regimens, sums,
    one_insurance_at_a_time, doses_in_order, appointments, letters, two_languages,
)  # fmt: skip
