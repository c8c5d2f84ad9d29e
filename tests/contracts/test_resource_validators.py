"""What the exchange answers is valid FHIR R4 by three implementations that are not ours: fhirkit, fhir.resources, @medplum/core."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import fhirkit
import pytest
from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from sandbox.fhir import definitions
from tests.factories.clients import NODE, Live, needs_node

PER_TYPE = 12


@pytest.fixture(scope="module")
def answers(live: Live) -> list[dict[str, Any]]:
    """Resources of every type that the sandbox holds, and what only an exchange makes: Bundles, outcomes, its own statement."""
    found: list[dict[str, Any]] = []
    with live.http() as http:
        patient = http.get("Patient", params={"_count": "1"}).json()["entry"][0]["resource"]["id"]
        made = http.post("Patient", json={"resourceType": "Patient", "name": [{"family": "اعتبار"}]})
        found.append(made.json())
        for rtype in sorted(definitions.RESOURCE_TYPES):
            page = http.get(rtype, params={"_count": str(PER_TYPE), "_include": "*"}).json()
            assert page["resourceType"] == "Bundle", page
            found += [entry["resource"] for entry in page.get("entry", ())]
        for path in _speaking(patient, made.json()["id"]):
            answer = http.get(path)
            assert answer.status_code < 500, answer.text
            found.append(answer.json())
        batch = {
            "resourceType": "Bundle",
            "type": "batch",
            "entry": [{"request": {"method": "GET", "url": "Patient/none"}}],
        }
        found.append(http.post("", json=batch).json())
        wrong = {"resourceType": "Patient", "gender": "wrong", "birthDate": "1990-13-01"}
        found.append(http.post("Patient", json=wrong).json())
    assert len({resource["resourceType"] for resource in found}) > 30
    return found


def _speaking(patient: str, fresh: str) -> Iterator[str]:
    yield from (
        "metadata",
        "Patient?_count=3",
        "Patient?_summary=count",
        "Observation?_count=2&_include=Observation:subject",
    )
    yield from (f"Patient/{patient}/$everything?_count=20", f"Patient/{patient}/$summary", f"Patient/{fresh}/_history")
    yield from ("Patient/none", "Patient?nonsense=1", "Nonsense", "_history?_count=3", f"Patient/{patient}/$meta")
    yield "ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender"
    yield "CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=female"


def test_fhirkit_finds_every_answer_valid(answers: list[dict[str, Any]]) -> None:
    parsed = fhirkit.parse_many([json.dumps(resource).encode() for resource in answers])
    faults = {f"{r['resourceType']}: {issue}" for r, p in zip(answers, parsed, strict=True) for issue in p.issues}
    assert not faults, sorted(faults)[:20]


def test_fhir_resources_reads_every_answer(answers: list[dict[str, Any]]) -> None:
    faults = set()
    for resource in answers:
        try:
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
        except ValidationError as error:
            faults.add(f"{resource['resourceType']}: {error.errors()[0]['loc']} {error.errors()[0]['msg']}")
    assert not faults, sorted(faults)[:20]


@pytest.mark.node
def test_medplum_finds_every_answer_valid(answers: list[dict[str, Any]]) -> None:
    needs_node()
    lines = "\n".join(json.dumps(resource) for resource in answers)
    command = ["node", str(NODE / "fhir.mjs"), "{}", "validate"]
    environ = {**os.environ, "NODE_NO_WARNINGS": "1"}
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120, check=False, env=environ)
    said = done.stdout.splitlines()
    assert done.returncode == 0 and said[-2:] == [f"COUNT {len(answers)}", "DONE"], done.stderr + "\n".join(said[:20])
