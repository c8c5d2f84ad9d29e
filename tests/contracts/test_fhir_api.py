"""The FHIR API keeps to the OpenAPI document it publishes, through the gateway, whatever is sent to it."""

from __future__ import annotations

import os
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.factories.clients import Live

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
TYPES = os.environ.get("GOZAR_CONTRACT_TYPES", "Patient,Appointment")
EXAMPLES = int(os.environ.get("GOZAR_CONTRACT_EXAMPLES", "3"))
# These take the Tenant itself away or make it answer on purpose as it should not.
TENANT_CONTROLS = ("$sandbox-", "$import")


def _known(live: Live) -> dict[str, str]:
    with live.http() as http:
        found = http.get("Patient", params={"_count": "1"}).json()["entry"][0]["resource"]
    return {"id": found["id"], "version": "1", "type": "Patient", "compartment": "Patient", "member": "Condition"}


def _attack(operation: Any, known: dict[str, str], headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def attack(case: schemathesis.Case) -> None:
        # Half of the time what exists, so that calls get past the door.
        parameters: dict[str, Any] | None = case.path_parameters
        if parameters and len(str(parameters)) % 2:
            parameters.update({name: value for name, value in known.items() if name in parameters})
        case.call_and_validate(checks=CHECKS, headers=headers)

    attack()


def test_no_interaction_breaks_the_published_document(live: Live) -> None:
    schema = schemathesis.openapi.from_url(f"{live.fhir}/openapi.json?_type={TYPES}")
    known, tried, faults = _known(live), set(), []
    for found in schema.get_all_operations():
        operation = found.ok()
        if any(name in operation.path for name in TENANT_CONTROLS):
            continue
        tried.add(operation.path)
        try:
            _attack(operation, known, {"authorization": f"Bearer {live.token()}"})
        except (AssertionError, BaseExceptionGroup) as fault:
            faults.append(f"{operation.label}: {fault}")
    assert not faults, "\n\n".join(faults)[:6000]
    assert len(tried) > 30, sorted(tried)


def test_the_document_is_open_to_every_origin_and_to_nobody_in_particular(live: Live) -> None:
    answer = httpx.get(f"{live.fhir}/openapi.json?_type=Patient", headers={"origin": "https://anywhere.example"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    unknown = httpx.get(f"{live.fhir}/openapi.json?_type=Nothing")
    assert unknown.status_code == 404 and unknown.json()["resourceType"] == "OperationOutcome"
    assert httpx.post(f"{live.fhir}/openapi.json").status_code == 405
