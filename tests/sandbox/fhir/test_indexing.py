"""Each parameter type finds what the specification says it finds."""

import itertools
from typing import Any

import pytest

from sandbox.fhir import searchvalues as sv
from sandbox.fhir.dates import parse_range
from sandbox.fhir.definitions import RESOURCE_TYPES
from sandbox.fhir.indexing import index, indexed_parameters
from tests.sandbox.fhir.examples import example, official_examples


def values(entries: list[Any], code: str) -> list[Any]:
    return [tuple(e[1:]) for e in entries if e[0] == code]


def test_every_official_example_indexes_under_its_own_parameters() -> None:
    for resource in official_examples():
        entries = index(resource["resourceType"], resource)
        assert entries.present <= set(indexed_parameters(resource["resourceType"]))


def test_every_type_has_a_plan() -> None:
    for resource_type in RESOURCE_TYPES:
        assert not index(resource_type, {"resourceType": resource_type}).present - {"deceased"}


def test_names_fold_and_keep_their_exact_form() -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "كريمي", "given": ["علی‌رضا"]}]}
    entries = index("Patient", patient)
    assert ("کریمی", "كريمي") in values(entries.strings, "family")
    assert (sv.string("علیرضا"), "علی‌رضا") in values(entries.strings, "given")
    assert {f for f, _ in values(entries.strings, "name")} == {"کریمی", "علیرضا"}


def test_identifiers_index_by_system_value_and_type() -> None:
    kind = {"coding": [{"system": "http://t", "code": "NI"}], "text": "National ID"}
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:nid", "value": "۰۰۱", "type": kind}]}
    entries = index("Patient", patient)
    assert values(entries.tokens, "identifier") == [("urn:nid", "001")]
    assert values(entries.of_types, "identifier") == [("http://t", "ni", "001")]
    assert values(entries.texts, "identifier") == [("national id",)]


def test_codes_carry_the_system_their_binding_implies() -> None:
    entries = index("Patient", {"resourceType": "Patient", "gender": "female", "active": True})
    assert values(entries.tokens, "gender") == [("http://hl7.org/fhir/administrative-gender", "female")]
    assert values(entries.tokens, "active") == [("", "true")]


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({}, "false"),
        ({"deceasedBoolean": True}, "true"),
        ({"deceasedBoolean": False}, "false"),
        ({"deceasedDateTime": "2020"}, "true"),
    ],
)
def test_deceased_always_has_an_answer(resource: dict[str, Any], expected: str) -> None:
    entries = index("Patient", {"resourceType": "Patient", **resource})
    assert values(entries.tokens, "deceased") == [("", expected)]


@pytest.mark.parametrize(
    ("reference", "entry"),
    [
        ("Patient/1", ("Patient", "1", "", "", "")),
        ("Patient/1/_history/3", ("Patient", "1", "", "", "")),
        ("https://here.example/r4/Patient/1", ("Patient", "1", "", "", "")),
        ("https://there.example/r4/Patient/1", ("", "", "https://there.example/r4/Patient/1", "", "")),
        ("urn:uuid:7", ("", "", "urn:uuid:7", "", "")),
        ("#p", ("", "", "#p", "", "")),
    ],
)
def test_references_are_local_or_keep_their_url(reference: str, entry: tuple[str, ...]) -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": reference}}
    entries = index("Observation", resource, own_base="https://here.example/r4")
    assert values(entries.references, "subject") == [entry]


def test_logical_references_index_their_identifier() -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"identifier": {"system": "s", "value": "V"}, "type": "Patient"},
    }
    assert values(index("Observation", resource).references, "subject") == [("Patient", "", "", "s", "v")]


def test_patient_parameter_excludes_other_subjects() -> None:
    group = {"resourceType": "Observation", "subject": {"reference": "Group/1"}}
    entries = index("Observation", group)
    assert "subject" in entries.present
    assert "patient" not in entries.present


def test_dates_index_as_spans() -> None:
    resource = {"resourceType": "Observation", "effectivePeriod": {"start": "2026-01-01", "end": "2026-01-31"}}
    assert values(index("Observation", resource).dates, "date") == [
        (parse_range("2026-01-01").lo, parse_range("2026-01-31").hi)
    ]


def test_quantities_index_as_written_and_in_base_units() -> None:
    ucum = "http://unitsofmeasure.org"
    resource = {
        "resourceType": "Observation",
        "valueQuantity": {"value": 100, "system": ucum, "code": "mg/dL", "unit": "mg/dL"},
    }
    found = sv.quantity("1||g/L", "value-quantity").canonical
    assert found is not None
    assert values(index("Observation", resource).quantities, "value-quantity") == [
        (100.0, 100.0, ucum, "mg/dL", found.exact, found.exact, found.unit)
    ]


def test_comparators_widen_a_quantity_to_a_range() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": 5, "comparator": "<"}}
    ((lo, hi, *_),) = values(index("Observation", resource).quantities, "value-quantity")
    assert lo < -1e200
    assert hi == 5


def test_composites_pair_values_with_their_own_code_only() -> None:
    entries = index("Observation", example("Observation", "blood-pressure"))
    pairs = {(c[0].value, c[1].lo) for code, c in entries.composites if code == "component-code-value-quantity"}
    assert ("8480-6", 107.0) in pairs
    assert ("8462-4", 60.0) in pairs
    assert ("8480-6", 60.0) not in pairs


def test_composite_reaches_the_whole_resource_where_its_definition_says_so() -> None:
    sequence = {
        "resourceType": "MolecularSequence",
        "referenceSeq": {"chromosome": {"coding": [{"system": "c", "code": "1"}]}},
        "variant": [{"start": 10, "end": 20}],
    }
    found = [
        c for code, c in index("MolecularSequence", sequence).composites if code == "chromosome-variant-coordinate"
    ]
    assert [(a.value, b.lo, c.lo) for a, b, c in found] == [("1", 10.0, 20.0)]


def test_compartments_follow_the_definition() -> None:
    resource = {
        "resourceType": "Observation",
        "subject": {"reference": "Patient/1"},
        "focus": [{"reference": "Patient/2"}],
        "performer": [{"reference": "Practitioner/3"}, {"reference": "Patient/1"}],
        "encounter": {"reference": "Encounter/4"},
    }
    assert set(index("Observation", resource).compartments) == {
        ("Patient", "1"),
        ("Practitioner", "3"),
        ("Encounter", "4"),
    }
    assert index("Patient", {"resourceType": "Patient", "id": "9"}).compartments == [("Patient", "9")]


def test_canonicals_match_with_and_without_version() -> None:
    resource = {"resourceType": "Observation", "meta": {"profile": ["http://p|1.0"]}}
    assert values(index("Observation", resource).uris, "_profile") == [("http://p|1.0",), ("http://p",)]


def test_telephone_numbers_are_found_without_punctuation() -> None:
    patient = {"resourceType": "Patient", "telecom": [{"system": "phone", "value": "+98 21 1234"}]}
    assert ("phone", "+98211234") in values(index("Patient", patient).tokens, "phone")
    assert "email" not in index("Patient", patient).present


def test_duplicates_are_kept_once() -> None:
    name = {"family": "Amini"}
    patient = {"resourceType": "Patient", "name": [name, name, {"family": "AMINI"}]}
    assert values(index("Patient", patient).strings, "family") == [("amini", "Amini"), ("amini", "AMINI")]


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "text"},
        {"name": [None, 5, {"family": {}}]},
        {"identifier": [{"value": 5}]},
        {"birthDate": "yesterday"},
        {"meta": 3},
        {"identifier": [{"system": 5, "value": "x"}]},
        {"meta": {"tag": [{"system": {}, "code": "x"}]}},
        {"managingOrganization": {"reference": "Organization/1", "identifier": {"system": [], "value": "x"}}},
        {"multipleBirthInteger": 10**400},
    ],
)
def test_malformed_elements_hide_nothing_else(broken: dict[str, Any]) -> None:
    entries = index("Patient", {"resourceType": "Patient", "gender": "male", **broken, "active": True})
    assert {"gender", "active"} <= entries.present
    text = [entries.strings, entries.tokens, entries.texts, entries.of_types, entries.references, entries.uris]
    assert all(isinstance(field, str) for entry in itertools.chain(*text) for field in entry)
