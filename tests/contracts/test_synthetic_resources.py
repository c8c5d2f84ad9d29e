"""Every generated resource is valid FHIR R4 by an independent implementation of the official definitions."""

import re

import fhirkit

from synthetic_data import PopulationSpec, generate

_REFERENCE = re.compile(rb'"reference":"([^"]+)"')


def test_every_resource_is_valid_r4_and_every_reference_resolves() -> None:
    contents: list[bytes] = []
    names: set[str] = set()
    references: set[bytes] = set()
    count = 0
    for batch in generate(PopulationSpec(size=250, seed=2)):
        for kind, identifier, content in batch.resources:
            contents.append(content)
            names.add(f"{kind}/{identifier}")
            references.update(_REFERENCE.findall(content))
            count += 1
    issues = {str(issue) for parsed in fhirkit.parse_many(contents) for issue in parsed.issues}
    assert not issues, sorted(issues)[:10]
    assert len(names) == count
    assert {reference.decode() for reference in references} <= names
