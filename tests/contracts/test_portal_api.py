"""The portal's JSON API keeps to its own OpenAPI document, whoever calls and whatever is sent to it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.factories.clients import Live
from tests.factories.companies import national_id
from tests.factories.documents import attacked

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


@pytest.mark.parametrize("role", ["developer", "reviewer", "admin"])
def test_no_operation_breaks_its_contract(live: Live, known: dict[str, str], role: str) -> None:
    headers = {"authorization": f"Bearer {live.session(role)}"}
    tried = attacked(f"{live.base}/api/v1/openapi.json", known, lambda: headers, LEFT_OUT.__contains__)
    assert len(tried) > 60, "the document lists the operations of every room"
