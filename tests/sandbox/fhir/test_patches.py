"""Patches do what they say, all of it or nothing, and name the operation at fault."""

from copy import deepcopy
from typing import Any

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.outcomes import BadRequestError, UnprocessableError
from sandbox.fhir.patches import apply_fhirpath_patch, apply_json_patch
from sandbox.fhir.patches.json_patch import same

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "birthDate": "1990-01-01",
    "_birthDate": {"extension": [{"url": "u", "valueCode": "x"}]},
    "name": [{"use": "official", "family": "Amini", "given": ["Sara"]}, {"use": "old", "family": "Karimi"}],
    "contact": [{"name": {"family": "Z"}}],
}


@pytest.mark.parametrize(
    ("operations", "path", "expected"),
    [
        ([{"op": "add", "path": "/gender", "value": "female"}], ("gender",), "female"),
        ([{"op": "add", "path": "/name/0", "value": {"family": "N"}}], ("name", 0, "family"), "N"),
        ([{"op": "add", "path": "/name/-", "value": {"family": "N"}}], ("name", 2, "family"), "N"),
        ([{"op": "replace", "path": "/name/1/family", "value": "N"}], ("name", 1, "family"), "N"),
        ([{"op": "move", "from": "/name/0", "path": "/name/1"}], ("name", 0, "family"), "Karimi"),
        ([{"op": "copy", "from": "/name/0", "path": "/name/-"}], ("name", 2, "family"), "Amini"),
        (
            [{"op": "test", "path": "/active", "value": True}, {"op": "replace", "path": "/active", "value": False}],
            ("active",),
            False,
        ),
    ],
)
def test_json_patch_operations(operations: list[Any], path: tuple[Any, ...], expected: Any) -> None:
    result = apply_json_patch(PATIENT, operations)
    for step in path:
        result = result[step]
    assert result == expected


def test_removal_leaves_no_empty_array_or_object() -> None:
    result = apply_json_patch(PATIENT, [{"op": "remove", "path": "/contact/0/name/family"}])
    assert "contact" not in result
    assert "contact" in PATIENT


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/gender"},
        {"op": "replace", "path": "/gender", "value": "male"},
        {"op": "test", "path": "/active", "value": 1},
        {"op": "add", "path": "/name/7", "value": {}},
        {"op": "add", "path": "/name/01", "value": {}},
        {"op": "add", "path": "/active/x", "value": 1},
        {"op": "move", "from": "/name", "path": "/name/0"},
        {"op": "remove", "path": ""},
        {"op": "copy", "from": "/nowhere", "path": "/x"},
    ],
)
def test_json_patch_that_does_not_fit_changes_nothing(operation: dict[str, Any]) -> None:
    before = deepcopy(PATIENT)
    with pytest.raises(UnprocessableError, match="Operation 1"):
        apply_json_patch(PATIENT, [{"op": "replace", "path": "/active", "value": False}, operation])
    assert before == PATIENT


@pytest.mark.parametrize(
    "patch",
    [{}, "x", [5], [{}], [{"op": "add", "path": "/a"}], [{"op": "merge", "path": "/a"}], [{"op": "remove", "path": "a"}],
     [{"op": "remove", "path": "/a~2"}], [{"op": "remove", "path": 5}], [{"op": "remove", "path": "/a"}] * 1001],
)  # fmt: skip
def test_malformed_json_patches_are_refused(patch: Any) -> None:
    with pytest.raises(BadRequestError):
        apply_json_patch(PATIENT, patch)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab/~", max_size=3),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3)
        | st.dictionaries(st.text("ab/~", min_size=1, max_size=2), inner, min_size=1, max_size=3)
    ),
    max_leaves=8,
)


def without_empties(node: Any) -> Any:
    if isinstance(node, dict):
        inner = {k: without_empties(v) for k, v in node.items()}
        return {k: v for k, v in inner.items() if v not in ({}, [])}
    if isinstance(node, list):
        return [v for v in map(without_empties, node) if v not in ({}, [])]
    return node


def test_a_patch_that_doubles_the_document_is_stopped() -> None:
    bomb = [{"op": "copy", "from": "/name", "path": f"/x{i}"} for i in range(3)]
    bomb += [{"op": "copy", "from": "", "path": f"/y{i}"} for i in range(40)]
    with pytest.raises(UnprocessableError, match="too large"):
        apply_json_patch(PATIENT, bomb)


def test_an_array_emptied_on_the_way_can_be_filled_again() -> None:
    result = apply_json_patch(
        PATIENT,
        [
            {"op": "remove", "path": "/contact/0"},
            {"op": "add", "path": "/contact/-", "value": {"name": {"family": "Q"}}},
        ],
    )
    assert result["contact"] == [{"name": {"family": "Q"}}]


@given(
    st.dictionaries(st.text("ab/~", min_size=1, max_size=2), JSON, min_size=1),
    st.dictionaries(st.text("ab/~", min_size=1, max_size=2), JSON),
)
def test_patches_made_by_another_library_lead_to_its_result(before: dict[str, Any], after: dict[str, Any]) -> None:
    patch = jsonpatch.make_patch(before, after)
    assert same(without_empties(apply_json_patch(before, patch.patch)), without_empties(patch.apply(before)))


def parameters(*operations: dict[str, Any]) -> dict[str, Any]:
    """A patch document from {type, path, ...: value with its key}."""
    kinds = {"type": "valueCode", "path": "valueString", "name": "valueString", "index": "valueInteger", "source": "valueInteger",
             "destination": "valueInteger"}  # fmt: skip
    made = []
    for operation in operations:
        parts = [{"name": n, kinds[n]: v} if n in kinds else {"name": "value", **v} for n, v in operation.items()]
        made.append({"name": "operation", "part": parts})
    return {"resourceType": "Parameters", "parameter": made}


@pytest.mark.parametrize(
    ("operation", "change"),
    [
        ({"type": "replace", "path": "Patient.active", "value": {"valueBoolean": False}}, {"active": False}),
        ({"type": "add", "path": "Patient", "name": "gender", "value": {"valueCode": "female"}}, {"gender": "female"}),
        ({"type": "add", "path": "Patient", "name": "deceased", "value": {"valueBoolean": True}}, {"deceasedBoolean": True}),
        (
            {"type": "add", "path": "Patient", "name": "name", "value": {"valueHumanName": {"family": "N"}}},
            {"name": [*PATIENT["name"], {"family": "N"}]},
        ),
        (
            {"type": "insert", "path": "Patient.name", "index": 1, "value": {"valueHumanName": {"family": "N"}}},
            {"name": [PATIENT["name"][0], {"family": "N"}, PATIENT["name"][1]]},
        ),
        ({"type": "move", "path": "Patient.name", "source": 1, "destination": 0}, {"name": PATIENT["name"][::-1]}),
        ({"type": "delete", "path": "Patient.name.where(use = 'old')"}, {"name": PATIENT["name"][:1]}),
        ({"type": "delete", "path": "Patient.name[5]"}, {}),
        (
            {"type": "replace", "path": "Patient.name[1].family", "value": {"valueString": "N"}},
            {"name": [PATIENT["name"][0], {"use": "old", "family": "N"}]},
        ),
        (
            {"type": "add", "path": "Patient", "name": "contact", "value": {"part": [
                {"name": "name", "valueHumanName": {"family": "C"}},
                {"name": "telecom", "valueContactPoint": {"system": "phone", "value": "1"}}]}},
            {"contact": [*PATIENT["contact"], {"name": {"family": "C"}, "telecom": [{"system": "phone", "value": "1"}]}]},
        ),
    ],
)  # fmt: skip
def test_fhirpath_patch_operations(operation: dict[str, Any], change: dict[str, Any]) -> None:
    before = deepcopy(PATIENT)
    assert apply_fhirpath_patch(PATIENT, parameters(operation)) == {**PATIENT, **change}
    assert before == PATIENT


def test_replacing_a_choice_changes_its_property() -> None:
    resource = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, "valueString": "a"}
    patch = parameters({"type": "replace", "path": "Observation.value", "value": {"valueInteger": 5}})
    result = apply_fhirpath_patch(resource, patch)
    assert "valueString" not in result
    assert result["valueInteger"] == 5


def test_deleting_takes_companions_and_emptied_parents() -> None:
    result = apply_fhirpath_patch(
        PATIENT,
        parameters(
            {"type": "delete", "path": "Patient.birthDate"},
            {"type": "delete", "path": "Patient.contact[0].name.family"},
        ),
    )
    assert not {"birthDate", "_birthDate", "contact"} & set(result)


@pytest.mark.parametrize(
    "operation",
    [
        {"type": "replace", "path": "Patient.gender", "value": {"valueCode": "male"}},
        {"type": "replace", "path": "Patient.name.given", "value": {"valueString": "x"}, "extra": {}},
        {"type": "delete", "path": "Patient.name"},
        {"type": "delete", "path": "Patient"},
        {"type": "add", "path": "Patient", "name": "nonsense", "value": {"valueCode": "x"}},
        {"type": "add", "path": "Patient", "name": "birthDate", "value": {"valueDate": "1990"}},
        {"type": "add", "path": "Patient", "name": "deceased", "value": {"valueQuantity": {}}},
        {"type": "insert", "path": "Patient.name", "index": 9, "value": {"valueHumanName": {"family": "N"}}},
        {"type": "move", "path": "Patient.name", "source": 0, "destination": 5},
        {"type": "insert", "path": "Patient.gender", "index": 0, "value": {"valueCode": "male"}},
        {"type": "delete", "path": "Patient.nonsense()"},
    ],
)
def test_fhirpath_patch_that_does_not_fit_is_refused(operation: dict[str, Any]) -> None:
    operation.pop("extra", None)
    if operation["path"] == "Patient.name.given":
        operation["path"] = "Patient.name"
    with pytest.raises(UnprocessableError, match="Operation 0"):
        apply_fhirpath_patch(PATIENT, parameters(operation))


@pytest.mark.parametrize(
    "patch",
    [
        {},
        [],
        {"resourceType": "Parameters"},
        {"resourceType": "Parameters", "parameter": [{"name": "other"}]},
        parameters({"type": "merge", "path": "Patient"}),
        parameters({"type": "replace", "path": "Patient.active"}),
        parameters({"type": "replace", "path": "", "value": {"valueCode": "x"}}),
        parameters({"type": "delete", "path": "Patient.name["}),
        parameters({"type": "delete", "path": "Patient.name.where(family.matches('(a+)+$'))"}),
        parameters({"type": "move", "path": "Patient.name", "source": -1, "destination": 0}),
        parameters({"type": "add", "path": "Patient", "name": "x", "value": {}}),
    ],
)
def test_malformed_fhirpath_patches_are_refused(patch: Any) -> None:
    with pytest.raises(BadRequestError):
        apply_fhirpath_patch(PATIENT, patch)
