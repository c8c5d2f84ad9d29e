"""Zero tolerance: every rule holds for everybody, and every rule catches the record that breaks it (mutation tests)."""

import copy
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from synthetic_data import PopulationSpec, generate
from synthetic_data.validation.coherence import Roles
from synthetic_data.validation.invariants import RULES, check, roles_of
from synthetic_data.validation.record import Record, code_of

SPEC = PopulationSpec(size=700, seed=33)
Found = tuple[list[Record], Roles]


@pytest.fixture(scope="module")
def population() -> Found:
    stream = generate(SPEC)
    roles = roles_of(json.loads(content) for _, _, content in next(stream).resources)
    return [Record(batch.resources) for batch in stream], roles


def test_every_rule_holds_for_everybody(population: Found) -> None:
    records, roles = population
    assert [found for record in records for found in check(record, roles)] == []


def _resources(record: Record, kind: str, suits: Callable[[dict[str, Any]], bool]) -> Iterator[dict[str, Any]]:
    return (resource for resource in record.of(kind) if suits(resource))


def _set(
    kind: str, path: str, value: Any, suits: Callable[[dict[str, Any]], bool] = lambda resource: True
) -> Callable[[Record], bool]:
    """A mutation: set one field of the first resource that suits; whether there was one."""

    def mutate(record: Record) -> bool:
        resource = next(_resources(record, kind, suits), None)
        if resource is None:
            return False
        target: Any = resource
        *steps, last = path.split(".")
        for step in steps:
            target = target[int(step)] if step.isdecimal() else target[step]
        target[last] = value(target[last]) if callable(value) else value
        return True

    return mutate


def _orphan_dispense(record: Record) -> bool:
    used = {d["authorizingPrescription"][0]["reference"] for d in record.of("MedicationDispense")}
    record.kinds["MedicationRequest"] = [
        r for r in record.of("MedicationRequest") if f"MedicationRequest/{r['id']}" not in used
    ]
    return bool(used)


def _statin_in_pregnancy(record: Record) -> bool:
    births = [c for c in record.of("Condition") if code_of(c["code"]) in ("O80", "O82")]
    requests = record.of("MedicationRequest")
    before = [r for r in requests if births and r["authoredOn"][:10] < births[0]["recordedDate"]]
    if not before:
        return False
    latest = max(before, key=lambda request: str(request["authoredOn"]))
    for coding in latest["medicationCodeableConcept"]["coding"]:
        if coding["system"].startswith("http://www.whocc"):
            coding["code"] = "C10AA05"
    year, month, day = map(int, births[0]["recordedDate"].split("-"))
    latest["authoredOn"] = (
        f"{year if month > 2 else year - 1}-{(month - 3) % 12 + 1:02d}-{min(day, 28):02d}T09:00:00+03:30"
    )
    return True


def _second_stay(record: Record) -> bool:
    stays = [
        e
        for e in record.of("Encounter")
        if e["class"]["code"] == "IMP" and e["period"].get("end", "") > e["period"]["start"]
    ]
    if stays:
        twin = copy.deepcopy(stays[0])
        twin["id"] += "-twin"
        record.kinds["Encounter"].append(twin)
    return bool(stays)


def _double_booking(record: Record) -> bool:
    booked = record.of("Appointment")
    if booked:
        record.kinds["Appointment"].append({**booked[0], "id": "twin"})
    return bool(booked)


def _virtual(record: Record) -> bool:
    examined = {
        o["encounter"]["reference"] for o in record.of("Observation") if code_of(o["category"][0]) == "vital-signs"
    }
    for encounter in record.of("Encounter"):
        if f"Encounter/{encounter['id']}" in examined:
            encounter["class"]["code"] = "VR"
            return True
    return False


def _allergic(record: Record) -> bool:
    penicillins = [
        r for r in record.of("MedicationRequest")
        if any(coding["code"].startswith("J01C") for coding in r["medicationCodeableConcept"]["coding"])
    ]  # fmt: skip
    if penicillins:
        record.kinds["AllergyIntolerance"].append(
            {"id": "a", "code": {"coding": [{"code": "penicillin"}]}, "recordedDate": "1990-01-01"}
        )
    return bool(penicillins)


def _normal(observation: dict[str, Any]) -> bool:
    return "referenceRange" in observation and code_of(observation["interpretation"][0]) == "N"


def _test(code: str) -> Callable[[dict[str, Any]], bool]:
    return lambda resource: code_of(resource["code"]) == code


def _overlapping(record: Record) -> bool:
    visits = sorted(record.of("Encounter"), key=lambda e: str(e["period"]["start"]))
    if len(visits) > 1:
        visits[0]["period"]["end"] = visits[1]["period"]["end"]
    return len(visits) > 1


def _repeated(kind: str, suits: Callable[[dict[str, Any]], bool], **changes: Any) -> Callable[[Record], bool]:
    """A mutation: the first resource that suits once more, with other fields."""

    def mutate(record: Record) -> bool:
        found = next(_resources(record, kind, suits), None)
        if found is not None:
            record.kinds[kind].append({**copy.deepcopy(found), "id": "twin", **changes})
        return found is not None

    return mutate


def _without(
    kind: str, field: str, suits: Callable[[dict[str, Any]], bool] = lambda r: True
) -> Callable[[Record], bool]:
    def mutate(record: Record) -> bool:
        found = next(_resources(record, kind, lambda r: field in r and suits(r)), None)
        return found is not None and found.pop(field) is not None

    return mutate


def _early_birth(record: Record) -> bool:
    births = [c for c in record.of("Condition") if code_of(c["code"]) in ("O80", "O82")]
    if births:
        year, rest = births[0]["recordedDate"][:4], births[0]["recordedDate"][4:]
        month = int(rest[1:3])
        sooner = f"{year}-{month - 3:02d}-01" if month > 3 else f"{int(year) - 1}-{month + 9:02d}-01"
        record.kinds["Condition"].append({**copy.deepcopy(births[0]), "id": "twin", "recordedDate": sooner})
    return bool(births)


def _endless_pregnancy(record: Record) -> bool:
    care = [e for e in record.of("Encounter") if "Z34.9" in json.dumps(e.get("reasonCode", []))]
    births = [c for c in record.of("Condition") if code_of(c["code"]) in ("O80", "O82", "O03.9")]
    record.kinds["Condition"] = [c for c in record.of("Condition") if c not in births]
    return bool(care and births)


def _shrinking(record: Record) -> bool:
    heights = sorted(
        (o for o in record.of("Observation") if code_of(o["code"]) == "8302-2"),
        key=lambda o: str(o["effectiveDateTime"]),
    )
    if len(heights) > 1:
        heights[-1]["valueQuantity"]["value"] = heights[0]["valueQuantity"]["value"] - 2
    return len(heights) > 1


def _letter(old: str, new: str) -> Callable[[Record], bool]:
    def mutate(record: Record) -> bool:
        for document in record.of("DocumentReference"):
            attachment = document["content"][0]["attachment"]
            words = b64decode(attachment["data"]).decode()
            if old in words:
                attachment["data"] = b64encode(words.replace(old, new).encode()).decode()
                return True
        return False

    return mutate


MUTATIONS: dict[str, list[Callable[[Record], bool]]] = {
    "within_life": [
        _set("Patient", "deceasedDateTime", "1950-01-01", lambda p: "deceasedDateTime" in p),
        _set("Patient", "birthDate", "2026-09-22"),
    ],
    "sex_and_age": [
        _set("Patient", "gender", "male", lambda p: p["gender"] == "female"),
        _set("Condition", "code.coding.0.code", "C61"),
        _set("Condition", "code.coding.0.code", "O80"),
    ],
    "dates_in_order": [
        _set("Condition", "onsetDateTime", "2030-01-01"),
        _set("Specimen", "collection.collectedDateTime", "2000-01-01T08:00:00+03:30"),
        _set("DiagnosticReport", "issued", "2000-01-01T08:00:00+03:30", lambda r: "specimen" in r),
    ],
    "dispensing": [
        _orphan_dispense,
        _set("MedicationDispense", "whenHandedOver", "2001-01-01T08:00:00+03:30"),
        _set("MedicationDispense", "whenHandedOver", "2031-01-01T08:00:00+03:30"),
        _set("MedicationDispense", "quantity.value", 100_000),
    ],
    "reasons": [_set("MedicationRequest", "reasonReference.0.reference", "Condition/none", lambda r: "reasonReference" in r)],
    "contraindications": [
        _statin_in_pregnancy, _allergic, _set("MedicationRequest", "medicationCodeableConcept.coding.1.code", "J01MA02"),
    ],
    "doses": [_set("MedicationRequest", "dosageInstruction.0.doseAndRate.0.doseQuantity.value", 500)],
    "bounds": [
        _set("Observation", "valueQuantity.value", 9_000, _test("29463-7")),
        _set("Observation", "valueQuantity.value", 0, _test("4548-4")),
        _set("Observation", "valueQuantity.code", "mmol/L", _test("1558-6")),
        _set("Observation", "component.0.valueQuantity.value", -1, _test("85354-9")),
    ],
    "panels_agree": [
        _set("Observation", "valueQuantity.value", lambda value: value + 5, _test("13457-7")),
        _set("Observation", "valueQuantity.value", lambda value: value * 0.5, _test("98979-8")),
    ],
    "vaccines": [_set("Immunization", "vaccineCode.coding.0.code", "152", lambda i: i["occurrenceDateTime"] < "2024")],
    "admissions": [_second_stay],
    "bookings": [_double_booking],
    "distance": [_virtual],
    "places": [
        _set("Encounter", "serviceProvider.reference", "Organization/o-elsewhere"),
        _set("Encounter", "participant.0.individual.reference", "Practitioner/nobody"),
        _set("Encounter", "period.start", "2024-03-22T09:00:00+03:30", lambda e: code_of(e["type"][0]) == "outpatient-visit"),
    ],
    "insurance": [_set("Coverage", "period.start", "2040-01-01")],
    "persian_dates": [_set("DocumentReference", "content.0.attachment.creation", "2020-01-01")],
    "one_visit_at_a_time": [_overlapping, _set("Encounter", "period.end", "1990-01-01T08:00:00+03:30")],
    "inside_visits": [
        _set("Observation", "effectiveDateTime", "2026-09-22T23:59:00+03:30", lambda o: "specimen" not in o and "encounter" in o),
        _set("MedicationRequest", "authoredOn", "2020-01-01T08:00:00+03:30"),
    ],
    "states": [
        _set("Encounter", "status", "in-progress", lambda e: "end" in e["period"]),
        _without("Encounter", "reasonReference", lambda e: "diagnosis" not in e),
        _without("Condition", "abatementDateTime"),
        _set("ServiceRequest", "status", "active", lambda r: r["status"] == "completed"),
        _set("Patient", "deceasedDateTime", "2026-09-22"),
    ],
    "pregnancies": [_early_birth, _endless_pregnancy],
    "growth": [_shrinking],
    "flags": [
        _set("Observation", "interpretation.0.coding.0.code", "H", _normal),
        _set("Patient", "birthDate", "2015-01-01"),
    ],
    "one_diagnosis_at_a_time": [
        _repeated("Condition", lambda c: "abatementDateTime" not in c),
        _repeated("Condition", lambda c: code_of(c["code"]) == "E11.9", code={"coding": [{"code": "E10.9"}]}),
    ],
    "regimens": [
        _set("MedicationRequest", "dispenseRequest.quantity.value", lambda value: value * 3 + 5),
        _repeated("MedicationRequest", lambda m: True),
    ],
    "sums": [
        _set("Claim", "total.value", lambda value: value + 1),
        _set("ExplanationOfBenefit", "total.1.amount.value", lambda value: value + 1),
    ],
    "one_insurance_at_a_time": [_repeated("Coverage", lambda c: True)],
    "doses_in_order": [
        _set("Immunization", "protocolApplied.0.doseNumberPositiveInt", 9),
        _repeated("Immunization", lambda i: True),
    ],
    "appointments": [
        _set("Slot", "start", "2020-01-01T08:00:00+03:30"), _without("Encounter", "appointment"),
    ],
    "letters": [_letter("تشخیص: ", "تشخیص: سل ریوی (A15.0)؛ "), _letter(" روزی ", " ماهی "), _letter("g/dL", "mg/L")],
    "two_languages": [
        _set("Condition", "clinicalStatus.text", "active"), _set("Observation", "code.coding.0.display", ""),
    ],
    "orthography": [_set("Patient", "name.0.text", "علي كريمي")],
}  # fmt: skip


def test_every_rule_has_a_mutation() -> None:
    assert set(MUTATIONS) == {rule.__name__ for rule in RULES}


@pytest.mark.parametrize(
    ("rule", "number"), [(rule, number) for rule, made in MUTATIONS.items() for number in range(len(made))]
)
def test_a_broken_rule_is_caught(rule: str, number: int, population: Found) -> None:
    records, roles = population
    for record in records:
        broken = Record([])
        broken.kinds.update(copy.deepcopy(record.kinds))
        if MUTATIONS[rule][number](broken) and any(name == rule for name, _ in check(broken, roles)):
            return
    pytest.fail(f"mutation {number} of {rule} was never caught")
