"""Zero tolerance: every rule holds for everybody, and every rule catches the record that breaks it (mutation tests)."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from synthetic_data import PopulationSpec, generate
from synthetic_data.validation.invariants import RULES, Roles, check, roles_of
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


def _test(code: str) -> Callable[[dict[str, Any]], bool]:
    return lambda resource: code_of(resource["code"]) == code


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
    "contraindications": [_statin_in_pregnancy, _allergic],
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
