"""The portal's JSON API keeps to its own OpenAPI document, whoever calls and whatever is sent to it."""

from __future__ import annotations

import os
from typing import Any

import httpx
import pytest
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
EXAMPLES = int(os.environ.get("GOZAR_CONTRACT_EXAMPLES", "2"))
# These end the very session that the test speaks with, or shut the test's own address out for a while.
LEFT_OUT = (
    "/api/v1/sessions",
    "/api/v1/sessions/current",
    "/api/v1/users",
    "/api/v1/password-resets",
    "/api/v1/me/password",
    "/api/v1/me/tokens/{token_id}",
)


def _known(live: Live, token: str) -> dict[str, str]:
    """Ids that exist, of the demo company where the caller may see it."""
    with httpx.Client(base_url=f"{live.base}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=30) as api:
        ids = {"environment": "sandbox", "product_id": "appointments", "question": "policy_file"}
        companies = api.get("/companies").json()
        if companies:
            ids["company_id"] = companies[0]["id"]
            apps = api.get(f"/companies/{ids['company_id']}/apps").json()
            ids["app_id"] = apps[-1]["id"]
            where = f"/apps/{ids['app_id']}"
            ids["subscription_id"] = api.get(f"{where}/environments/sandbox/subscriptions").json()[0]["id"]
            review = api.post(f"{where}/reviews", json={})
            ids |= {"review_id": review.json()["id"]} if review.status_code < 300 else {}
            run = api.post(f"{where}/conformance/runs", json={"app_version": "1.0"})
            ids |= {"run_id": run.json()["id"]} if run.status_code < 300 else {}
    return ids


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
        # Half of the time with ids that exist, so that calls get past the door.
        parameters: dict[str, Any] | None = case.path_parameters
        if parameters and len(str(parameters)) % 2:
            parameters.update({name: value for name, value in known.items() if name in parameters})
        case.call_and_validate(checks=CHECKS, headers=headers)

    attack()


@pytest.mark.parametrize("role", ["developer", "reviewer", "admin"])
def test_no_operation_breaks_its_contract(live: Live, role: str) -> None:
    schema = schemathesis.openapi.from_url(f"{live.base}/api/v1/openapi.json")
    token = live.session(role)
    known, headers = _known(live, token), {"authorization": f"Bearer {token}"}
    tried, faults = 0, []
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in LEFT_OUT:
            continue
        tried += 1
        try:
            _attack(operation, known, headers)
        except (AssertionError, BaseExceptionGroup) as fault:
            faults.append(f"{operation.label}: {fault}")
    assert not faults, "\n\n".join(faults)[:6000]
    assert tried > 90, "the document lists the operations of every room"
