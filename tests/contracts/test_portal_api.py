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
from tests.factories.companies import national_id

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


@pytest.fixture(scope="module")
def known(live: Live) -> dict[str, str]:
    """Ids that exist, of a company made to be broken: other tests live on the demo company."""
    headers = {"authorization": f"Bearer {live.session('developer')}"}
    with httpx.Client(base_url=f"{live.base}/api/v1", headers=headers, timeout=30) as api:

        def made(path: str, body: object) -> dict[str, Any]:
            answer = api.post(path, json=body)
            assert answer.status_code == 201, answer.text
            found: dict[str, Any] = answer.json()
            return found

        company = made("/companies", {"name": "Shekaste", "national_id": national_id(77)})["id"]
        app = made(f"/companies/{company}/apps", {"name": "Broken"})["app"]["id"]
        opened = made(f"/apps/{app}/sandbox", {"products": ["appointments"]})
        return {
            "environment": "sandbox",
            "product_id": "appointments",
            "question": "policy_file",
            "company_id": company,
            "app_id": app,
            "subscription_id": opened["subscriptions"][0]["id"],
            "review_id": made(f"/apps/{app}/reviews", {})["id"],
            "run_id": made(f"/apps/{app}/conformance/runs", {"app_version": "1.0"})["id"],
        }


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
def test_no_operation_breaks_its_contract(live: Live, known: dict[str, str], role: str) -> None:
    schema = schemathesis.openapi.from_url(f"{live.base}/api/v1/openapi.json")
    headers = {"authorization": f"Bearer {live.session(role)}"}
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
