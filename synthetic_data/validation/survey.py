"""Looking at a population as an epidemiologist would: one row of facts for each person, and pairs of measured values."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from ..calendars import YEAR, day_of
from ..catalogue.tables import drugs
from ..generator import Simulation
from ..life.laboratory import egfr_of
from ..life.latent import variables
from ..population import PopulationSpec
from .coherence import Roles
from .invariants import check, roles_of
from .record import Record, code_of, target_of

_INDEX = {name: variable.index for name, variable in variables().items()}
_CLASS = {f"SBX-{drug.key.replace('_', '-')}": drug.class_ for drug in drugs().values()}
BANDS = (0, 1, 15, 50, 65, 80)
"""Ages at which the bands of mortality begin."""
_GENERAL = ("general-practice", "health-worker", "midwifery")


@dataclass(slots=True)
class Person:
    """What the survey keeps of one person; `age` in completed years on as_of, `latent` the true state on the last day."""

    female: bool
    age: int
    alive: bool
    province: str
    rural: bool
    payer: str
    begun: frozenset[str]
    latent: dict[str, float]
    coded: frozenset[str]
    taking: frozenset[str]  # ATC codes of prescriptions whose supply, and a gap of 45 days, has not ended on as_of
    flags: frozenset[str]  # what the stories have set


@dataclass(slots=True)
class Survey:
    """A surveyed population. Person-years are those of the written history."""

    spec: PopulationSpec
    people: list[Person] = field(default_factory=list)
    resources: int = 0
    person_years: float = 0.0
    visits: Counter[str] = field(
        default_factory=Counter
    )  # general, specialist, admission, emergency, dental, teleconsultation
    prescriptions: Counter[int] = field(
        default_factory=Counter
    )  # of general practitioners: number of items -> prescriptions
    lived: Counter[tuple[bool, int]] = field(default_factory=Counter)  # (female, band of age) -> person-years
    died: Counter[tuple[bool, int]] = field(default_factory=Counter)  # the same -> deaths
    exact: Counter[str] = field(
        default_factory=Counter
    )  # "egfr", "friedewald": samples; "... kept": where the formula holds
    with_antibiotic: int = 0
    with_injection: int = 0
    births: int = 0
    deaths: int = 0
    woman_years: Counter[int] = field(default_factory=Counter)  # five-year age band of women -> person-years
    born_to: Counter[int] = field(default_factory=Counter)  # five-year age band of mothers -> births
    delivery: Counter[str] = field(default_factory=Counter)  # caesarean, preterm, diabetes, births
    glucose: list[tuple[float, float]] = field(default_factory=list)  # (HbA1c, fasting glucose) of one day
    creatinine: list[tuple[float, float]] = field(default_factory=list)  # (creatinine, eGFR) of one sample
    broken: list[tuple[str, str]] = field(default_factory=list)  # broken invariants

    def share(self, what: "list[bool]") -> float:
        """The percentage of True."""
        return 100 * sum(what) / len(what) if what else 0.0


def survey(spec: PopulationSpec, invariants: bool = True) -> Survey:
    """Generate and look at everybody."""
    found = Survey(spec)
    simulation = Simulation(spec)
    roles = _roles(spec) if invariants else {}
    as_of = day_of(spec.as_of)
    for shard in simulation.shards():
        for life, resources in simulation.engine.lives(simulation.chosen(shard)):
            record = Record(resources)
            found.resources += len(resources)
            member = life.who.member
            active = [r for r in record.of("MedicationRequest") if _supplied(r, as_of)]
            found.people.append(Person(
                member.female, int((as_of - member.birth) / YEAR), not member.death, life.home.city.province.code, life.home.rural,
                life.who.payers[-1][1].code, life.begun,
                {name: life.level(index, as_of) for name, index in _INDEX.items()},
                frozenset(code_of(c["code"]) for c in record.of("Condition")),
                frozenset(coding["code"] for r in active for coding in r["medicationCodeableConcept"]["coding"][1:]),
                frozenset(life.flags),
            ))  # fmt: skip
            _use_of_care(found, record)
            _time(found, life.window, as_of, member.birth, member.death, member.female, record)
            _pairs(found, record)
            if invariants:
                found.broken += check(record, roles)
    return found


_GAP = 45  # days without supply after which a treatment counts as given up; usual in studies of persistence


def _supplied(request: dict[str, Any], as_of: int) -> bool:
    began = day_of(date.fromisoformat(request["authoredOn"][:10]))
    return bool(began + request["dispenseRequest"]["expectedSupplyDuration"]["value"] + _GAP >= as_of)


def _roles(spec: PopulationSpec) -> Roles:
    from ..generator import shared_resources

    return roles_of(orjson.loads(content) for kind, _, content in shared_resources(spec) if kind == "PractitionerRole")


def _use_of_care(found: Survey, record: Record) -> None:
    for encounter in record.of("Encounter"):
        kind, specialty = code_of(encounter["type"][0]), code_of(encounter["serviceType"])
        if kind == "admission":
            found.visits["admission"] += 1
        elif kind in ("emergency", "dental-visit", "teleconsultation"):
            found.visits[kind.partition("-")[0]] += 1
        elif kind != "health-centre":
            found.visits["general" if specialty in _GENERAL else "specialist"] += 1
    items: Counter[str] = Counter()
    classes: dict[str, set[str]] = {}
    general = {
        e["id"] for e in record.of("Encounter") if code_of(e["serviceType"]) in ("general-practice", "emergency")
    }
    for request in record.of("MedicationRequest"):
        if target_of(request["encounter"]) not in general:
            continue
        number = request["groupIdentifier"]["value"]
        items[number] += 1
        classes.setdefault(number, set()).update(_CLASS.get(code_of(request["medicationCodeableConcept"]), "").split())
    found.prescriptions.update(items.values())
    found.with_antibiotic += sum("antibiotic" in words for words in classes.values())
    found.with_injection += sum("injection" in words for words in classes.values())


def _time(found: Survey, window: int, as_of: int, birth: int, death: int, female: bool, record: Record) -> None:
    start, end = max(birth, window), death or as_of
    years = max(0, end - start) / YEAR
    found.person_years += years
    for at, band in enumerate(BANDS):
        low, high = birth + band * YEAR, birth + ((*BANDS, 200)[at + 1]) * YEAR
        found.lived[female, band] += max(0.0, min(end, high) - max(start, low)) / YEAR  # type: ignore[assignment]
        found.died[female, band] += bool(death) and low <= death < high
    found.deaths += bool(death)
    found.births += birth >= window
    if female:
        for band in range(15, 50, 5):
            low, high = birth + band * YEAR, birth + (band + 5) * YEAR
            found.woman_years[band] += max(0.0, min(end, high) - max(start, low)) / YEAR  # type: ignore[assignment]
    for condition in record.of("Condition"):
        code = code_of(condition["code"])
        if code in ("O80", "O82") and "encounter" in condition:
            found.delivery["births"] += 1
            found.delivery["caesarean"] += code == "O82"
            age = (day_of(date.fromisoformat(condition["recordedDate"])) - birth) / YEAR
            found.born_to[int(age // 5) * 5] += 1
        elif code == "O60.1" and "encounter" in condition:
            found.delivery["preterm"] += 1
        elif code == "O24.4" and "encounter" in condition:
            found.delivery["diabetes"] += 1


def _pairs(found: Survey, record: Record) -> None:
    _formulas(found, record)
    days: dict[tuple[str, str], dict[str, float]] = {}
    for observation in record.of("Observation"):
        code = code_of(observation["code"])
        if code in ("4548-4", "1558-6", "2160-0", "98979-8"):
            key = (observation["effectiveDateTime"][:10], target_of(observation.get("encounter")))
            days.setdefault(key, {})[code] = observation["valueQuantity"]["value"]
    for values in days.values():
        if "4548-4" in values and "1558-6" in values:
            found.glucose.append((values["4548-4"], values["1558-6"]))
        if "2160-0" in values and "98979-8" in values:
            found.creatinine.append((values["2160-0"], values["98979-8"]))


def _formulas(found: Survey, record: Record) -> None:
    """Whether CKD-EPI 2021 and Friedewald's formula hold over the printed values of each sample, within their rounding."""
    samples: dict[str, dict[str, float]] = {}
    for observation in record.of("Observation"):
        if "specimen" in observation and "valueQuantity" in observation:
            values = samples.setdefault(target_of(observation["specimen"]), {})
            values[code_of(observation["code"])] = observation["valueQuantity"]["value"]
            values["age"] = (
                date.fromisoformat(observation["effectiveDateTime"][:10]) - date.fromisoformat(record.birth)
            ).days / YEAR
    female = record.patient["gender"] == "female"
    for values in samples.values():
        if "98979-8" in values:
            expected = min(139.0, egfr_of(values["2160-0"], max(18.0, values["age"]), female))
            found.exact["egfr"] += 1
            found.exact["egfr kept"] += abs(expected - values["98979-8"]) <= 0.6
        if "13457-7" in values:
            expected = values["2093-3"] - values["2085-9"] - values["2571-8"] / 5
            found.exact["friedewald"] += 1
            found.exact["friedewald kept"] += abs(expected - values["13457-7"]) <= 0.6
