"""The FHIR API keeps to the OpenAPI document it publishes, through the gateway, whatever is sent to it."""

from __future__ import annotations

import os

import httpx

from tests.factories.clients import Live
from tests.factories.documents import attacked

TYPES = os.environ.get("GOZAR_CONTRACT_TYPES", "Patient,Appointment")
# These take the Tenant itself away or make it answer on purpose as it should not.
TENANT_CONTROLS = ("$sandbox-", "$import")


def _known(live: Live) -> dict[str, str]:
    with live.http() as http:
        found = http.get("Patient", params={"_count": "1"}).json()["entry"][0]["resource"]
    return {"id": found["id"], "version": "1", "type": "Patient", "compartment": "Patient", "member": "Condition"}


def test_no_interaction_breaks_the_published_document(live: Live) -> None:
    tried = attacked(
        f"{live.fhir}/openapi.json?_type={TYPES}",
        _known(live),
        lambda: {"authorization": f"Bearer {live.token()}"},
        lambda path: any(name in path for name in TENANT_CONTROLS),
    )
    assert len(tried) > 30, sorted(tried)


def test_the_document_is_open_to_every_origin_and_to_nobody_in_particular(live: Live) -> None:
    answer = httpx.get(f"{live.fhir}/openapi.json?_type=Patient", headers={"origin": "https://anywhere.example"})
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    unknown = httpx.get(f"{live.fhir}/openapi.json?_type=Nothing")
    assert unknown.status_code == 404 and unknown.json()["resourceType"] == "OperationOutcome"
    assert httpx.post(f"{live.fhir}/openapi.json").status_code == 405
