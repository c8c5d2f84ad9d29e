"""The path compiler takes every search parameter of R4 and agrees with an independent FHIRPath engine."""

import re
import warnings
from typing import Any

import orjson
import pytest

from sandbox.fhir import definitions, fhirpath
from tests.sandbox.fhir.examples import official_examples

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import fhirpathpy
    from fhirpathpy.models import models

PAIRS = [
    (kind, p)
    for kind in sorted(definitions.RESOURCE_TYPES)
    for p in definitions.search_parameters(kind).values()
    if p.expression
]


def test_every_search_parameter_compiles_to_a_path_that_can_match() -> None:
    dead = [
        (k, p.code)
        for k, p in PAIRS
        if fhirpath.compile_path(p.expression, k, lambda t, e: lambda v, out: None) is None
    ]
    assert not dead
    assert len(PAIRS) == 2573


def oracle(expression: str, resource: dict[str, Any]) -> list[Any]:
    def plain(value: Any) -> Any:
        return value.asStr if hasattr(value, "asStr") else value

    # FHIRPath refuses `as` on several items; the R4 search parameters mean it as a filter.
    filtering = re.sub(r"(\S+?) as (\w+)", r"\1.ofType(\2)", expression).replace(".as(", ".ofType(")
    return [plain(v) for v in fhirpathpy.evaluate(resource, filtering, model=models["r4"])]


def comparable(values: list[Any]) -> list[bytes]:
    """A union has no order and no duplicates; decimals compare as numbers."""
    return sorted({orjson.dumps(v, default=float, option=orjson.OPT_SORT_KEYS) for v in values})


def test_values_agree_with_the_oracle_on_the_official_examples() -> None:
    compared = 0
    seen: dict[str, int] = {}
    for resource in official_examples():
        kind = resource["resourceType"]
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] > 3:
            continue
        for p in definitions.search_parameters(kind).values():
            # The oracle has no resolve(), no `Resource.id` on a concrete type, and loses choices of type uri.
            if not p.expression or re.search(r"resolve\(\)|^Resource\.| as uri\)", p.expression):
                continue
            ours = fhirpath.compile(p.expression, kind)(resource)
            theirs = oracle(p.expression, resource)
            assert comparable(ours) == comparable(theirs), (kind, resource.get("id"), p.code)
            compared += 1
    assert compared > 3500


@pytest.mark.parametrize(
    ("expression", "reference", "selected"),
    [
        ("Observation.subject.where(resolve() is Patient)", {"reference": "Patient/1"}, True),
        ("Observation.subject.where(resolve() is Patient)", {"reference": "https://x.example/r4/Patient/1"}, True),
        ("Observation.subject.where(resolve() is Patient)", {"reference": "Group/1"}, False),
        ("Observation.subject.where(resolve() is Patient)", {"reference": "urn:uuid:1", "type": "Patient"}, True),
        ("Observation.subject.where(resolve() is Patient)", {"type": "Patient", "identifier": {"value": "1"}}, True),
        ("Observation.subject.where(resolve() is Patient)", {"display": "somebody"}, False),
    ],
)
def test_resolve_is_decided_by_the_reference_itself(expression: str, reference: dict[str, Any], selected: bool) -> None:
    found = fhirpath.compile(expression, "Observation")({"resourceType": "Observation", "subject": reference})
    assert bool(found) is selected


def test_choice_types_select_by_property_name() -> None:
    resource = {"resourceType": "Observation", "valueQuantity": {"value": 1}, "valueString": "ignored"}
    assert fhirpath.compile("Observation.value as Quantity", "Observation")(resource) == [{"value": 1}]
    assert fhirpath.compile("(Observation.value as CodeableConcept).text", "Observation")(resource) == []


def test_index_counts_from_zero_and_misses_quietly() -> None:
    names = {"resourceType": "Patient", "name": [{"family": "الف"}, {"family": "ب"}]}
    assert fhirpath.compile("Patient.name[1].family", "Patient")(names) == ["ب"]
    assert fhirpath.compile("Patient.name[2].family", "Patient")(names) == []
    assert fhirpath.compile("Patient.name.first().family", "Patient")(names) == ["الف"]


@pytest.mark.parametrize("expression", ["Patient.", "Patient..name", "Patient.name[", "a = ", "'open", "a b", "(", "£"])
def test_malformed_expressions_say_where(expression: str) -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError, match=r"position|expected"):
        fhirpath.parse(expression)


def test_deep_nesting_is_refused_not_overflowed() -> None:
    with pytest.raises(fhirpath.FhirPathSyntaxError, match="nested deeper"):
        fhirpath.parse("(" * 5000 + "a" + ")" * 5000)
