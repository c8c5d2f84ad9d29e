"""Code systems answer as HL7's own expansions do, and admit what this server cannot know."""

from typing import Any

import pytest

from sandbox.fhir import definitions
from sandbox.fhir.codesystems import value_set_of
from sandbox.fhir.outcomes import BadRequestError, NotFoundError, UnprocessableError
from sandbox.fhir.terminology import Terminology

NOW = "2026-11-22T00:00:00Z"
STATUS = "http://hl7.org/fhir/ValueSet/observation-status"
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
UCUM = "http://unitsofmeasure.org"


@pytest.fixture
def terminology() -> Terminology:
    return Terminology()


def value(parameters: dict[str, Any], name: str) -> Any:
    found = [p for p in parameters["parameter"] if p["name"] == name]
    return next((v for k, v in found[0].items() if k.startswith("value")), None) if found else None


def test_members_agree_with_hl7s_expansions_of_required_value_sets(terminology: Terminology) -> None:
    compared = 0
    for name in definitions.RESOURCE_TYPES:
        for element in definitions.type_of(name).elements.values():
            url = element.binding.value_set if element.binding else ""
            expected = definitions.required_codes(url)
            if expected is None:
                continue
            found: dict[str, set[str]] = {}
            for system, code in terminology.codes_in(url):
                found.setdefault(system, set()).add(code)
            assert found == {s: set(c) for s, c in expected.items()}, url
            compared += 1
    assert compared > 150


def test_expansion_filters_pages_and_counts(terminology: Terminology) -> None:
    whole = terminology.expand(terminology.value_set(STATUS), now=NOW)
    assert whole["expansion"]["total"] == 8
    page = terminology.expand(terminology.value_set(STATUS), now=NOW, offset=2, count=3)["expansion"]
    assert page["total"] == 8
    assert page["contains"] == whole["expansion"]["contains"][2:5]
    filtered = terminology.expand(terminology.value_set(STATUS), now=NOW, text="ENTERED")["expansion"]
    assert [c["code"] for c in filtered["contains"]] == ["entered-in-error"]


def test_hierarchies_are_followed(terminology: Terminology) -> None:
    codes = {c for _, c in terminology.codes_in("http://terminology.hl7.org/ValueSet/v3-ActEncounterCode")}
    assert {"AMB", "EMER", "IMP", "ACUTE"} <= codes
    assert "_ActEncounterCode" not in codes
    assert value(terminology.subsumes(ACT, "IMP", "ACUTE"), "outcome") == "subsumes"
    assert value(terminology.subsumes(ACT, "ACUTE", "IMP"), "outcome") == "subsumed-by"
    assert value(terminology.subsumes(ACT, "AMB", "EMER"), "outcome") == "not-subsumed"
    assert value(terminology.subsumes(ACT, "AMB", "AMB"), "outcome") == "equivalent"


def test_lookup_tells_display_and_definition(terminology: Terminology) -> None:
    found = terminology.lookup("http://hl7.org/fhir/administrative-gender", "female")
    assert value(found, "display") == "Female"
    assert value(found, "definition")


@pytest.mark.parametrize(
    ("system", "code"), [("http://snomed.info/sct", "1"), ("http://hl7.org/fhir/administrative-gender", "f")]
)
def test_lookup_of_the_unknown_is_not_found(terminology: Terminology, system: str, code: str) -> None:
    with pytest.raises(NotFoundError):
        terminology.lookup(system, code)
    with pytest.raises((NotFoundError, BadRequestError)):
        terminology.subsumes(system, code, code)


@pytest.mark.parametrize(
    ("system", "code", "value_set", "result"),
    [
        ("http://hl7.org/fhir/observation-status", "final", STATUS, True),
        ("http://hl7.org/fhir/observation-status", "finished", STATUS, False),
        ("", "final", STATUS, True),
        ("", "finished", STATUS, False),
        (ACT, "AMB", "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", True),
        (ACT, "_ActEncounterCode", "http://terminology.hl7.org/ValueSet/v3-ActEncounterCode", False),
        (UCUM, "mg/dL", "http://hl7.org/fhir/ValueSet/ucum-units", True),
        (UCUM, "milligrams", "http://hl7.org/fhir/ValueSet/ucum-units", False),
        ("urn:ietf:bcp:13", "application/pdf", "http://hl7.org/fhir/ValueSet/mimetypes", True),
        ("http://loinc.org", "1234-5", "http://hl7.org/fhir/ValueSet/observation-codes", False),
        ("urn:iso:std:iso:4217", "IRR", "http://hl7.org/fhir/ValueSet/currencies", True),
    ],
)
def test_codes_are_validated(terminology: Terminology, system: str, code: str, value_set: str, result: bool) -> None:
    found = terminology.validate_code(code=code, system=system, value_set=terminology.value_set(value_set))
    assert value(found, "result") is result
    assert bool(value(found, "message")) is not result


def test_what_cannot_be_known_is_said_so_in_the_readers_language(terminology: Terminology) -> None:
    found = terminology.validate_code(code="1", system="http://snomed.info/sct", language="fa")
    assert value(found, "result") is False
    assert "در دسترس نیست" in value(found, "message")
    with pytest.raises(UnprocessableError):
        terminology.expand(terminology.value_set("http://hl7.org/fhir/ValueSet/observation-codes"), now=NOW)


def test_a_wrong_display_is_corrected(terminology: Terminology) -> None:
    found = terminology.validate_code(code="final", system="http://hl7.org/fhir/observation-status", display="Finished")
    assert value(found, "result") is False
    assert value(found, "display") == "Final"


OWN_SYSTEM = {
    "resourceType": "CodeSystem",
    "url": "urn:own",
    "concept": [{"code": "a", "display": "الف", "concept": [{"code": "b", "display": "ب"}]}, {"code": "c"}],
}


def own(resource_type: str, url: str) -> dict[str, Any] | None:
    sets = {
        "urn:below": {
            "include": [{"system": "urn:own", "filter": [{"property": "concept", "op": "descendent-of", "value": "a"}]}]
        },
        "urn:both": {"include": [{"system": "urn:own", "valueSet": ["urn:below"]}]},
        "urn:but": {"include": [{"system": "urn:own"}], "exclude": [{"system": "urn:own", "concept": [{"code": "c"}]}]},
        "urn:loop": {"include": [{"valueSet": ["urn:loop"]}]},
        "urn:odd": {
            "include": [{"system": "urn:own", "filter": [{"property": "code", "op": "regex", "value": "(a+)+$"}]}]
        },
    }
    if resource_type == "CodeSystem":
        return OWN_SYSTEM if url == "urn:own" else None
    return {"resourceType": "ValueSet", "url": url, "compose": sets[url]} if url in sets else None


@pytest.mark.parametrize(("url", "codes"), [("urn:below", ["b"]), ("urn:both", ["b"]), ("urn:but", ["a", "b"])])
def test_a_tenants_own_value_sets_compose(url: str, codes: list[str]) -> None:
    assert [c for _, c in Terminology(own).codes_in(url)] == codes


def test_cycles_and_costly_filters_are_refused() -> None:
    terminology = Terminology(own)
    with pytest.raises(UnprocessableError, match="includes itself"):
        terminology.codes_in("urn:loop")
    with pytest.raises(UnprocessableError):
        terminology.codes_in("urn:odd")


def test_persian_filters_fold() -> None:
    terminology = Terminology(own)
    inline = value_set_of({"resourceType": "ValueSet", "compose": {"include": [{"system": "urn:own"}]}})
    assert [c["code"] for c in terminology.expand(inline, now=NOW, text="ب")["expansion"]["contains"]] == ["b"]


def test_unknown_value_sets_and_versions_are_not_found(terminology: Terminology) -> None:
    for url in ("urn:nothing", STATUS + "|9.9"):
        with pytest.raises(NotFoundError):
            terminology.value_set(url)
    assert terminology.value_set(STATUS + "|4.0.1").url == STATUS
