"""The validator accepts HL7's own examples, refuses what breaks a rule, and says which, where and how to mend it."""

import random
from copy import deepcopy
from typing import Any

import fhirkit
import orjson
import pytest

from sandbox.fhir import definitions
from sandbox.fhir.validation import MAX_ISSUES, errors, validate
from sandbox.fhir.validation.texts import PERSIAN
from tests.sandbox.fhir.examples import example, official_examples

PATIENT: dict[str, Any] = {"resourceType": "Patient"}
OBSERVATION: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}

# HL7's own slips: references to types that the element does not allow.
KNOWN_WRONG = {
    "DeviceMetric/example",
    "DeviceUseStatement/example",
    "MedicationRequest/medrx0301",
    "Observation/clinical-gender",
}


def test_official_examples_are_valid_but_for_known_slips() -> None:
    wrong = {f"{r['resourceType']}/{r['id']}" for r in official_examples() if errors(validate(r))}
    assert wrong == KNOWN_WRONG


@pytest.mark.parametrize(
    ("resource", "rule", "path"),
    [
        ({**PATIENT, "gendre": "male"}, "unknown-element", "Patient.gendre"),
        ({**PATIENT, "name": {"family": "x"}}, "json-type", "Patient.name"),
        ({**PATIENT, "name": [{"family": ["x"]}]}, "json-type", "Patient.name[0].family"),
        ({**PATIENT, "name": []}, "json-empty", "Patient.name"),
        ({**PATIENT, "name": [{}]}, "json-empty", "Patient.name[0]"),
        ({**PATIENT, "name": [{"family": ""}]}, "json-empty", "Patient.name[0].family"),
        ({**PATIENT, "name": [{"family": "  "}]}, "json-empty", "Patient.name[0].family"),
        ({**PATIENT, "name": [None]}, "json-null", "Patient.name[0]"),
        ({**PATIENT, "birthDate": None}, "json-null", "Patient.birthDate"),
        ({**PATIENT, "name": [{"given": ["a", None]}]}, "json-null", "Patient.name[0].given[1]"),
        ({**PATIENT, "name": [{"id": "only"}]}, "ele-1", "Patient.name[0]"),
        ({**PATIENT, "active": "true"}, "json-type", "Patient.active"),
        ({**PATIENT, "gender": "man"}, "binding-required", "Patient.gender"),
        ({**PATIENT, "birthDate": "2026-02-30"}, "format-date", "Patient.birthDate"),
        ({**PATIENT, "birthDate": "2026-2-3"}, "format-date", "Patient.birthDate"),
        ({**PATIENT, "birthDate": "2026-02-03T10:00:00Z"}, "format-date", "Patient.birthDate"),
        ({**PATIENT, "id": "a b"}, "format-id", "Patient.id"),
        ({**PATIENT, "multipleBirthInteger": 1.5}, "format-integer", "Patient.multipleBirthInteger"),
        ({**PATIENT, "multipleBirthInteger": 2**31}, "format-integer", "Patient.multipleBirthInteger"),
        ({**PATIENT, "deceasedBoolean": True, "deceasedDateTime": "2020"}, "choice-one", "Patient.deceasedDateTime"),
        ({**PATIENT, "link": [{"other": {"reference": "Patient/1"}}]}, "cardinality-min", "Patient.link[0].type"),
        ({**PATIENT, "managingOrganization": {"reference": "Patient/1"}}, "reference-target", "Patient.managingOrganization"),
        ({**PATIENT, "link": [{"type": "seealso", "other": {"reference": "https://x.example/Group/1"}}]}, "reference-target",
         "Patient.link[0].other"),
        ({**PATIENT, "managingOrganization": {"reference": "#o"}}, "ref-1", "Patient.managingOrganization"),
        ({**PATIENT, "contact": [{"gender": "male"}]}, "pat-1", "Patient.contact[0]"),
        ({**PATIENT, "telecom": [{"value": "1"}]}, "cpt-2", "Patient.telecom[0]"),
        ({**PATIENT, "photo": [{"data": "AAAA"}]}, "att-1", "Patient.photo[0]"),
        ({**PATIENT, "photo": [{"contentType": "a/b", "data": "not base64!"}]}, "format-base64Binary", "Patient.photo[0].data"),
        ({**PATIENT, "extension": [{"url": "u"}]}, "ext-1", "Patient.extension[0]"),
        ({**PATIENT, "extension": [{"valueString": "x"}]}, "cardinality-min", "Patient.extension[0].url"),
        ({**PATIENT, "contained": [{"resourceType": "Organization", "id": "o", "name": "x"}]}, "dom-3", "Patient"),
        ({**PATIENT, "contained": [{"resourceType": "Nothing"}]}, "resource-type", "Patient.contained[0].resourceType"),
        ({**PATIENT, "meta": {"lastUpdated": "2026-01-01"}}, "format-instant", "Patient.meta.lastUpdated"),
        ({**PATIENT, "meta": {"profile": ["a b"]}}, "format-canonical", "Patient.meta.profile[0]"),
        ({**PATIENT, "name": [{"period": {"start": "2027", "end": "2026"}}]}, "per-1", "Patient.name[0].period"),
        ({"resourceType": "Observation", "code": {"text": "x"}}, "cardinality-min", "Observation.status"),
        ({**OBSERVATION, "value": 5}, "unknown-element", "Observation.value"),
        ({**OBSERVATION, "valueQuantity": {"value": "5"}}, "json-type", "Observation.valueQuantity.value"),
        ({**OBSERVATION, "valueQuantity": {"value": 5, "code": "mg"}}, "qty-3", "Observation.valueQuantity"),
        ({**OBSERVATION, "valueString": "x", "dataAbsentReason": {"text": "y"}}, "obs-6", "Observation"),
        ({**OBSERVATION, "referenceRange": [{"appliesTo": [{"text": "x"}]}]}, "obs-3", "Observation.referenceRange[0]"),
        ({**OBSERVATION, "effectiveDateTime": "2026-01-01T10:00"}, "format-dateTime", "Observation.effectiveDateTime"),
        ({"resourceType": "Organization", "active": True}, "org-1", "Organization"),
        ({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": PATIENT}]}, "bdl-3", "Bundle"),
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": {**PATIENT, "x": 1}}]}, "unknown-element",
         "Bundle.entry[0].resource.x"),
        ({"resourceType": "Parameters", "parameter": [{"name": "a"}]}, "inv-1", "Parameters.parameter[0]"),
        ({"resourceType": "Pateint"}, "resource-type", "Pateint.resourceType"),
        ({}, "resource-type", "Resource.resourceType"),
        ([], "json-type", "Resource"),
        ("text", "json-type", "Resource"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_with_its_place(resource: Any, rule: str, path: str) -> None:
    found = [(i.rule, i.expression[0]) for i in errors(validate(resource))]
    assert (rule, path) in found


def test_obs_7_compares_codings() -> None:
    coding = {"coding": [{"system": "s", "code": "c"}]}
    resource = {**OBSERVATION, "code": coding, "valueString": "x", "component": [{"code": coding, "valueString": "y"}]}
    assert [i.rule for i in validate(resource)] == ["obs-7"]


def test_gaps_in_primitive_arrays_are_right_where_the_companion_fills_them() -> None:
    extension = {"extension": [{"url": "u", "valueCode": "x"}]}
    assert not validate({**PATIENT, "name": [{"given": ["a", None], "_given": [None, extension]}]})
    assert errors(validate({**PATIENT, "name": [{"given": ["a", None], "_given": [extension, None]}]}))


def test_a_companion_satisfies_a_required_element() -> None:
    absent = {
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
    }
    assert not validate({"resourceType": "Observation", "_status": absent, "code": {"text": "x"}})


def test_contained_references_are_checked_by_what_they_reach() -> None:
    organization = {"resourceType": "Organization", "id": "o", "name": "x"}
    good = {**PATIENT, "contained": [organization], "managingOrganization": {"reference": "#o"}}
    assert not validate(good)
    wrong = {**PATIENT, "contained": [organization], "generalPractitioner": [{"reference": "#o"}], "link": [
        {"type": "seealso", "other": {"reference": "#o"}}]}  # fmt: skip
    assert [i.rule for i in errors(validate(wrong))] == ["reference-target"]


@pytest.mark.parametrize(
    ("div", "sound"),
    [
        ('<div xmlns="http://www.w3.org/1999/xhtml"><p>سلام &amp; <b>x</b><br/></p></div>', True),
        ("<div><p>x</div>", False),
        ("<p>x</p>", False),
        ("<div><script>x</script></div>", False),
        ('<div onclick="x()">a</div>', False),
        ('<div><a href=" java\tscript:x">a</a></div>', False),
        ("<div>a < b</div>", False),
        ("<div><iframe/></div>", False),
        ("<div><!-- c --><p>x</p></div>", True),
        ("<div>a&nbsp;b &eacute; &#1575;</div>", True),
        ("<div>a &unknown; b</div>", False),
        ('<div><a href="java&#x0A;script:x">a</a></div>', False),
        ("<div><img src='data:text/html,x'/></div>", False),
        ('<div><a href="#x" class="on">a</a> on = 1</div>', True),
        ("<div><P>x</P></div>", False),
        ("<div>x</div><div>y</div>", False),
        ("<div>x</div> y", False),
        ("<div", False),
        ("<divx>x</divx>", False),
    ],
)
def test_narratives_hold_formatting_only(div: str, sound: bool) -> None:
    found = validate({**PATIENT, "text": {"status": "generated", "div": div}})
    assert [i.rule for i in found] == ([] if sound else ["txt-1"])


def test_jalali_birth_dates_are_warned_about_not_refused() -> None:
    (issue,) = validate({**PATIENT, "birthDate": "1379-05-01"})
    assert (issue.severity, issue.rule) == ("warning", "date-jalali")


def test_unknown_units_are_warned_about_not_refused() -> None:
    quantity = {"value": 5, "system": "http://unitsofmeasure.org", "code": "milligrams"}
    (issue,) = validate({**OBSERVATION, "valueQuantity": quantity})
    assert (issue.severity, issue.rule, issue.expression) == (
        "warning",
        "ucum-code",
        ("Observation.valueQuantity.code",),
    )
    assert not validate({**OBSERVATION, "valueQuantity": {**quantity, "code": "mg"}})
    assert not validate({**OBSERVATION, "valueQuantity": {**quantity, "system": "urn:other"}})


def test_misspellings_get_a_suggestion() -> None:
    (element,) = validate({**PATIENT, "gendre": "male"})
    assert element.hint is not None
    assert "gender" in element.hint.en
    (code,) = validate({**PATIENT, "gender": "femail"})
    assert code.hint is not None
    assert "female" in code.hint.fa
    (choice,) = validate({**OBSERVATION, "value": 1})
    assert choice.hint is not None
    assert "valueQuantity" in choice.hint.en


def test_a_flood_of_issues_is_cut() -> None:
    found = validate({**PATIENT, **{f"x{i}": 1 for i in range(500)}})
    assert len(found) == MAX_ISSUES + 1
    assert found[-1].rule == "more-issues"


def test_bottomless_nesting_is_an_issue_not_a_crash() -> None:
    node: dict[str, Any] = {"url": "u", "valueString": "x"}
    for _ in range(2000):
        node = {"url": "u", "extension": [node]}
    assert [i.rule for i in validate({**PATIENT, "extension": [node]})] == ["depth"]


def test_every_clinical_invariant_speaks_persian() -> None:
    clinical = ["Patient", "Observation", "Condition", "Encounter", "Appointment", "MedicationRequest", "MedicationDispense",
                "AllergyIntolerance", "Immunization", "Consent", "Bundle", "Task", "Organization", "CarePlan", "Composition"]  # fmt: skip
    keys = {
        k for t in clinical for k in definitions.type_of(t).constraints if definitions.constraint(k).severity == "error"
    }
    assert keys <= set(PERSIAN)


def mutated(resource: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """One random change anywhere in a copy: an element removed, renamed, or given a value of another kind."""
    copy = deepcopy(resource)
    places: list[tuple[Any, Any]] = []
    stack: list[Any] = [copy]
    while stack:
        node = stack.pop()
        pairs = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in pairs:
            if key not in ("resourceType", "div"):
                places.append((node, key))
                if isinstance(value, (dict, list)):
                    stack.append(value)
    node, key = rng.choice(places)
    change = rng.choice(["remove", "rename", None, 12.5, "some thing", {"a": 1}, "", [], True])
    if change == "remove":
        del node[key]
    elif change == "rename" and isinstance(node, dict):
        node[key + "x"] = node.pop(key)
    else:
        node[key] = None if change == "rename" else change
    return copy


def test_whatever_an_independent_validator_refuses_is_refused_here() -> None:
    rng = random.Random(1405)
    sound = [r for r in official_examples() if not errors(validate(r))]
    refused = 0
    for _ in range(1500):
        resource = mutated(rng.choice(sound), rng)
        if any(i.severity == "error" for i in fhirkit.validate(orjson.dumps(resource))):
            refused += 1
            assert errors(validate(resource)), resource
    assert refused > 1000


def test_validation_leaves_the_resource_as_it_was() -> None:
    resource = example("Observation", "blood-pressure")
    before = orjson.dumps(resource)
    validate(resource)
    assert orjson.dumps(resource) == before
