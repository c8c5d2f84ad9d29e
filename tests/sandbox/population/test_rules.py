"""The rules of de-identification, pure: what passes, what cannot, and what two Apps can learn from each other (nothing)."""

from __future__ import annotations

import copy
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.validation import validate
from sandbox.population import rules
from sandbox.population.rules import Crowd, Mask, person_of
from sandbox.population.shapes import SHAPES

TODAY = date(2026, 11, 22)
SECRET = b"s" * 32
NAME, CODE, PHONE = "غلامرضا ستوده", "0012345679", "+989120001122"


def mask(app: str = "app-1", crowd: Crowd | None = None, left_out: frozenset[str] = frozenset()) -> Mask:
    return Mask(SECRET, app, today=TODAY, crowd=crowd, left_out=left_out)


def crowd_of(patient: dict[str, Any], count: int) -> Crowd:
    crowd = Crowd()
    for _ in range(count):
        crowd.add(person_of(patient, TODAY))
    return crowd


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"lastUpdated": "2026-11-22T08:00:00Z", "source": f"urn:{CODE}", "versionId": "3"},
    "text": {"status": "generated", "div": f"<div>{NAME}</div>"},
    "identifier": [{"system": "https://gozar.example/fhir/sid/national-code", "value": CODE}],
    "name": [{"text": NAME, "family": "ستوده", "given": ["غلامرضا"]}],
    "telecom": [{"system": "phone", "value": PHONE}],
    "gender": "male",
    "birthDate": "1961-03-04",
    "address": [
        {"text": "تهران، کوچهٔ ۳", "line": ["کوچهٔ ۳"], "city": "ری", "state": "تهران", "postalCode": "1818181818"}
    ],
    "contact": [{"name": {"text": NAME}}],
    "managingOrganization": {"reference": "Organization/o1", "display": "درمانگاه"},
    "extension": [{"url": "urn:x", "valueString": NAME}],
    "photo": [{"data": "aGVsbG8="}],
    "contained": [{"resourceType": "Practitioner", "name": [{"text": NAME}]}],
    "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}],
}


def test_nothing_that_names_the_patient_passes() -> None:
    made = mask(crowd=crowd_of(PATIENT, 5))(PATIENT)
    assert made is not None
    assert set(made) == {"resourceType", "id", "meta", "gender", "address", "extension", "birthDate"}
    assert made["address"] == [{"state": "تهران", "country": "IR"}]
    assert made["extension"][0]["valueString"] == "60-69" and len(made["birthDate"]) == 4
    assert {"PSEUDED", "REDACTED"} <= {label["code"] for label in made["meta"]["security"]}
    assert set(made["meta"]) == {"security"} and made["id"] != "p1"


@pytest.mark.parametrize(("others", "province", "age"), [(5, True, True), (4, False, False), (1, False, False)])
def test_what_is_rare_is_left_out(others: int, province: bool, age: bool) -> None:
    made = mask(crowd=crowd_of(PATIENT, others))(PATIENT)
    assert (
        made is not None
        and ("address" in made) is province
        and ("extension" in made) is age
        and ("birthDate" in made) is age
    )


def test_a_rare_place_goes_before_the_age_does() -> None:
    crowd = crowd_of(PATIENT, 1)
    for _ in range(4):
        crowd.add(person_of(PATIENT | {"address": [{"state": "یزد"}]}, TODAY))
    made = mask(crowd=crowd)(PATIENT)
    assert made is not None and "address" not in made and "birthDate" in made


def test_the_oldest_are_one_group_without_a_year() -> None:
    for born, band in (("1936-11-23", "80-89"), ("1936-11-22", "90+"), ("1920", "90+")):
        old = PATIENT | {"birthDate": born, "deceasedDateTime": "2026-01-01"}
        made = mask(crowd=crowd_of(old, 9))(old)
        assert made is not None and made["extension"][0]["valueString"] == band, born
        assert ("birthDate" in made) is (band != "90+") and ("deceasedDateTime" in made) is (band != "90+")


def test_dates_of_one_patient_keep_their_distances_and_move_otherwise_for_another_app() -> None:
    def observed(day: str) -> dict[str, Any]:
        return {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "subject": {"reference": "Patient/p1", "display": NAME},
            "effectiveDateTime": day,
        }

    first, second = (mask()(observed(day)) for day in ("2026-01-01", "2026-01-11T10:00:00+03:30"))
    assert first is not None and second is not None
    distance = date.fromisoformat(second["effectiveDateTime"][:10]) - date.fromisoformat(first["effectiveDateTime"])
    assert distance.days == 10 and second["effectiveDateTime"].endswith("T10:00:00+03:30")
    assert first["effectiveDateTime"] != "2026-01-01"
    moves = {mask(f"app-{n}").shift_of("p1") for n in range(40)}
    assert len(moves) > 20 and 0 not in moves and all(abs(days) <= 182 for days in moves)


def test_ids_are_stable_for_an_app_and_unlinkable_between_apps() -> None:
    one, two = mask("app-1"), mask("app-2")
    assert one.key_of("Patient", "p1") == mask("app-1").key_of("Patient", "p1")
    assert len({m.key_of(t, "p1") for m in (one, two) for t in ("Patient", "Observation")}) == 4
    made = one({"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}})
    assert made is not None and made["subject"] == {"reference": f"Patient/{one.key_of('Patient', 'p1')}"}


def test_free_text_in_every_disguise_is_dropped() -> None:
    made = mask()(
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "identifier": [{"value": CODE}],
            "subject": {"reference": "Patient/p1", "identifier": {"value": CODE}},
            "performer": [{"reference": "Practitioner/d1", "display": NAME}],
            "code": {
                "text": NAME,
                "coding": [
                    {"system": "http://loinc.org", "code": "8310-5", "display": NAME, "version": NAME},
                    {"system": "http://loinc.org", "code": CODE},
                    {"system": "urn:mine", "code": CODE},
                    {"system": "http://snomed.info/sct", "code": CODE},
                    {"system": f"https://gozar.example/fhir/CodeSystem/{NAME}", "code": "x"},
                ],
            },
            "valueString": NAME,
            "valueQuantity": {"value": 37.5, "unit": NAME, "system": "http://unitsofmeasure.org", "code": "Cel"},
            "note": [{"text": NAME}],
            "referenceRange": [{"text": NAME, "low": {"value": 36, "unit": PHONE}}],
            "component": [{"code": {"text": NAME}, "valueString": CODE}, {"valueQuantity": {"value": CODE}}],
            "derivedFrom": [
                {"reference": "http://elsewhere/Observation/1"},
                {"reference": "#c"},
                {"reference": "Media/1"},
            ],
        }
    )
    assert made is not None
    assert made["code"] == {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]}
    assert made["valueQuantity"] == {"value": 37.5, "unit": "Cel", "system": "http://unitsofmeasure.org", "code": "Cel"}
    assert made["referenceRange"] == [{"low": {"value": 36}}]
    for gone in ("component", "derivedFrom", "performer", "note", "valueString", "identifier"):
        assert gone not in made


_NAMES = ["coding", "system", "code", "reference", "value", "text", "start", "repeat"]
RUBBISH = st.recursive(
    st.text(min_size=1, max_size=8) | st.integers(-1000, 1000) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(RUBBISH, st.sampled_from(sorted(SHAPES)))
def test_no_shape_of_rubbish_makes_a_line_fail_or_carries_text_through(rubbish: Any, rtype: str) -> None:
    body = dict.fromkeys(SHAPES[rtype], rubbish) | {
        "resourceType": rtype,
        "id": "x",
        "subject": {"reference": "Patient/p"},
    }
    body["patient"] = body["subject"]
    before = copy.deepcopy(body)
    made = mask()(body)
    assert body == before, "the source is left as it was"
    assert made is not None and orjson.loads(orjson.dumps(made))["resourceType"] == rtype


def test_what_belongs_to_nobody_or_to_somebody_left_out_has_no_line() -> None:
    condition = {"resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"}}
    assert mask(left_out=frozenset({"p1"}))(condition) is None
    assert mask(left_out=frozenset({"p1"}))(PATIENT) is None
    assert mask()(condition | {"subject": {"reference": "Group/g1"}}) is None
    assert mask()({"resourceType": "Condition", "id": "c1"}) is None


def test_every_element_kept_is_one_that_fhir_has() -> None:
    for rtype, shape in SHAPES.items():
        made = dict.fromkeys(shape, True) | {"resourceType": rtype}
        assert not [i.text.en for i in validate(made) if "has no element" in i.text.en], rtype


MOVES = [
    ("2026-01-31", 1, "2026-02-01"),
    ("2026-01", 20, "2026-02"),
    ("2026", 200, "2027"),
    ("2026-01-01T10:00:00Z", -1, "2025-12-31T10:00:00Z"),
    ("soon", 1, None),
    ("2026-02-30", 1, None),
    ("0001-01-01", -5, None),
    ("2026-01-01Tمن", 1, None),
]


@pytest.mark.parametrize(("text", "days", "moved"), MOVES)
def test_a_date_moves_as_exactly_as_it_was_known(text: str, days: int, moved: str | None) -> None:
    assert rules.shifted(text, days) == moved
