"""Mothers and children, pregnancies and births: told alike in both records."""

import json
from collections import defaultdict
from typing import Any

import pytest

from synthetic_data import PopulationSpec, generate

Records = dict[str, dict[str, list[dict[str, Any]]]]


@pytest.fixture(scope="module")
def records() -> Records:
    made: Records = {}
    for batch in generate(PopulationSpec(size=900, seed=6, region=("Gilan",))):
        if batch.label != "infrastructure":
            kinds: dict[str, list[dict[str, Any]]] = defaultdict(list)
            for kind, _, content in batch.resources:
                kinds[kind].append(json.loads(content))
            made[batch.label] = kinds
    return made


def _national_code(resource: dict[str, Any]) -> str:
    return str(resource["identifier"][0]["value"])


def test_mother_and_child_name_each_other(records: Records) -> None:
    by_code = {_national_code(kinds["Patient"][0]): label for label, kinds in records.items()}
    pairs = 0
    for label, kinds in records.items():
        for relative in kinds["RelatedPerson"]:
            if relative["relationship"][0]["coding"][0]["code"] != "NMTH":
                continue
            mother = records[by_code[_national_code(relative)]]
            child = kinds["Patient"][0]
            assert mother["Patient"][0]["gender"] == "female"
            assert 14 < int(child["birthDate"][:4]) - int(mother["Patient"][0]["birthDate"][:4]) <= 50
            assert _national_code(child) in {_national_code(other) for other in mother["RelatedPerson"]}
            assert relative["birthDate"] == mother["Patient"][0]["birthDate"]
            pairs += 1
            assert label
    assert pairs > 100


def _born(kinds: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return [e for e in kinds["Encounter"] if "Z38.0" in json.dumps(e.get("reasonCode", []))]


def test_a_birth_is_told_on_the_same_day_and_in_the_same_way_in_both_records(records: Records) -> None:
    by_code = {_national_code(kinds["Patient"][0]): kinds for kinds in records.values()}
    births = 0
    for kinds in records.values():
        for encounter in _born(kinds):
            mother = by_code[next(_national_code(r) for r in kinds["RelatedPerson"] if r["id"].endswith("-mother"))]
            day = encounter["period"]["start"][:10]
            assert day == kinds["Patient"][0]["birthDate"]
            delivered = [p for p in mother["Procedure"] if p["performedDateTime"][:10] == day]
            assert any(p["code"]["coding"][0]["code"] in ("caesarean", "vaginal-birth") for p in delivered)
            weeks = [o for o in kinds["Observation"] if o["code"]["coding"][0]["code"] == "11885-1"]
            assert 22 <= weeks[0]["valueQuantity"]["value"] <= 43
            births += 1
    assert births > 20


def test_vaccines_follow_the_schedule_of_their_era(records: Records) -> None:
    pneumococcal = 0
    for kinds in records.values():
        birth = kinds["Patient"][0]["birthDate"]
        for dose in kinds["Immunization"]:
            cvx, given = dose["vaccineCode"]["coding"][0]["code"], dose["occurrenceDateTime"][:10]
            assert birth <= given
            if cvx in ("152", "122"):
                assert given >= "2024-02" and birth >= "2023-01"
                pneumococcal += 1
            if cvx == "102":
                assert given >= "2014-11"
            if cvx == "05":
                assert given < "2004-02"
    assert pneumococcal > 10


def test_nothing_happens_before_birth_or_after_death(records: Records) -> None:
    died = 0
    for kinds in records.values():
        patient = kinds["Patient"][0]
        death = patient.get("deceasedDateTime", "9999")
        died += death != "9999"
        for encounter in kinds["Encounter"]:
            assert patient["birthDate"] <= encounter["period"]["start"][:10] <= death
        for kind, field in (
            ("Observation", "effectiveDateTime"),
            ("MedicationDispense", "whenHandedOver"),
            ("Procedure", "performedDateTime"),
        ):
            for resource in kinds[kind]:
                assert patient["birthDate"] <= resource[field][:10] <= death, resource["id"]
    assert died > 5


def test_insurance_is_in_force_when_it_pays(records: Records) -> None:
    claims = 0
    for kinds in records.values():
        periods = {c["id"]: c["period"] for c in kinds["Coverage"]}
        encounters = {e["id"]: e for e in kinds["Encounter"]}
        for claim in kinds["Claim"]:
            period = periods[claim["insurance"][0]["coverage"]["reference"].partition("/")[2]]
            day = encounters[claim["item"][0]["encounter"][0]["reference"].partition("/")[2]]["period"]["start"][:10]
            assert period["start"] <= day <= period.get("end", "9999")
            claims += 1
    assert claims > 1000
