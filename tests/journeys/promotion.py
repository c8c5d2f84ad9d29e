"""The steps of a start-up on its way to production, over HTTP only."""

from __future__ import annotations

import time
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.factories.live import Live

PASSWORD = "seven quiet rivers"


def good(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, (
        f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    )
    return answer.json() if answer.content else None


def sign_up(live: Live, email: str) -> httpx.Client:
    """A new person, signed in."""
    with httpx.Client(base_url=f"{live.url}/api/v1", timeout=60) as client:
        good(client.post("/users", json={"email": email, "name": "سارا احمدی", "password": PASSWORD}), 202)
        token = good(client.post("/sessions", json={"email": email, "password": PASSWORD}), 201)["token"]
    return httpx.Client(base_url=f"{live.url}/api/v1", timeout=60, headers={"authorization": f"Bearer {token}"})


def sandbox_app(developer: httpx.Client) -> tuple[str, str, str, str]:
    """Company, App and sandbox; returns company id, app id, client id and secret."""
    company = good(
        developer.post(
            "/companies", json={"name": "نبض‌نگار", "national_id": "10380284790", "certificate_number": "DB-77"}
        ),
        201,
    )
    made = good(developer.post(f"/companies/{company['id']}/apps", json={"name": "نبض من"}), 201)
    app = made["app"]["id"] if "app" in made else made["id"]
    opened = good(developer.post(f"/apps/{app}/sandbox", json={"products": ["health-record", "prescriptions"]}), 201)
    return company["id"], app, opened["environment"]["client_id"], opened["client_secret"]


def production_token(live: Live, key: ECKey, client_id: str, scopes: list[str]) -> str:
    """A production token by private_key_jwt (RFC 7523)."""
    url, now = f"{live.url}/production/oauth/token", int(time.time())
    claims = {"iss": client_id, "sub": client_id, "aud": url, "iat": now, "exp": now + 120, "jti": str(time.time_ns())}
    signed = jwt.encode({"alg": "ES384", "kid": "k1"}, claims, key, algorithms=["ES384"])
    answer = httpx.post(
        url,
        data={
            "grant_type": "client_credentials",
            "scope": " ".join(scopes),
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": signed,
        },
        timeout=30,
    )
    return str(good(answer)["access_token"])


def call(live: Live, environment: str, token: str, path: str = "Patient?_count=1") -> httpx.Response:
    """One call of an App that waits when it is told to: the first step of a ramp lets one call a second pass."""
    url, headers = f"{live.url}/{environment}/fhir/R4/{path}", {"authorization": f"Bearer {token}"}
    answer = httpx.get(url, headers=headers, timeout=30)
    if answer.status_code == 429:
        time.sleep(float(answer.headers["retry-after"]))
        answer = httpx.get(url, headers=headers, timeout=30)
    return answer
