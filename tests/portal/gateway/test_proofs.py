"""DPoP-bound tokens at the gateway."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from portal.gateway.proofs import ProofOfPossession
from portal.oauth.tokens import TokenRefused
from tests.factories.oauth import PUBLIC_URL, MadeApp, assertion, assertion_form, dpop_proof, new_key
from tests.portal.oauth.conftest import world

__all__ = ["world"]

URL = f"{PUBLIC_URL}/sandbox/fhir/R4/Patient/1"


@pytest.fixture
async def calls(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway reduced to what matters here: it verifies the bearer token and answers with what it was sent."""

    app = ProofOfPossession(_gateway(world), clock=world.clock, public_url=PUBLIC_URL, uses=world.oauth.replay.use)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        yield client


def _gateway(world: Any) -> Any:
    async def gateway(scope: Any, _receive: Any, send: Any) -> None:
        headers = dict(scope["headers"])
        try:
            token = headers[b"authorization"].removeprefix(b"Bearer ").decode()
            await world.oauth.tokens.verify(token, "sandbox", world.clock.now())
            status, body = 200, b"dpop" if b"dpop" in headers else b"bearer"
        except TokenRefused as refused:
            status, body = 401, str(refused).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return gateway


async def _bound(world: Any) -> tuple[str, Any]:
    app, key = await world.app(key=new_key("ES256")), new_key("ES256")
    return await _token(world, app, key), key


async def _token(world: Any, app: MadeApp, key: Any) -> str:
    proof = dpop_proof(key, url=f"{PUBLIC_URL}/sandbox/oauth/token")
    answer = await world.token(assertion_form(assertion(app, "ES256")), dpop=proof)
    return str(answer.json()["access_token"])


def _proof(key: Any, token: str, **changes: Any) -> str:
    ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()
    return dpop_proof(key, **{"method": "GET", "url": URL, "ath": ath, **changes})


async def test_bound_token_with_its_proof_goes_on_as_bearer(world: Any, calls: httpx.AsyncClient) -> None:
    token, key = await _bound(world)
    for _ in range(2):
        answer = await calls.get(
            f"{URL}?_count=1", headers={"authorization": f"DPoP {token}", "dpop": _proof(key, token)}
        )
        assert (answer.status_code, answer.text) == (200, "bearer")


async def test_bound_token_as_plain_bearer_is_refused_also_after_a_proven_use(
    world: Any, calls: httpx.AsyncClient
) -> None:
    token, key = await _bound(world)
    await calls.get(URL, headers={"authorization": f"DPoP {token}", "dpop": _proof(key, token)})
    answer = await calls.get(URL, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert "bound to a key" in answer.text


async def test_proof_of_another_key_is_refused(world: Any, calls: httpx.AsyncClient) -> None:
    token, _ = await _bound(world)
    other = new_key("ES256")
    answer = await calls.get(URL, headers={"authorization": f"DPoP {token}", "dpop": _proof(other, token)})
    assert answer.status_code == 401


async def test_proof_is_used_once(world: Any, calls: httpx.AsyncClient) -> None:
    token, key = await _bound(world)
    headers = {"authorization": f"DPoP {token}", "dpop": _proof(key, token)}
    assert (await calls.get(URL, headers=headers)).status_code == 200
    again = await calls.get(URL, headers=headers)
    assert again.status_code == 401
    assert again.headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')
    assert again.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize("changes", [{"method": "POST"}, {"url": f"{URL}/other"}, {"ath": "x"}])
async def test_proof_of_another_request_is_refused(
    world: Any, calls: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    token, key = await _bound(world)
    proof = _proof(key, token, **changes)
    assert (await calls.get(URL, headers={"authorization": f"DPoP {token}", "dpop": proof})).status_code == 401


async def test_missing_proof_is_told(world: Any, calls: httpx.AsyncClient) -> None:
    token, _ = await _bound(world)
    answer = await calls.get(URL, headers={"authorization": f"DPoP {token}"})
    assert answer.status_code == 401
    assert "proof" in answer.text


async def test_unbound_token_does_not_pass_for_a_bound_one(world: Any, calls: httpx.AsyncClient) -> None:
    token = await world.client_token(await world.app())
    answer = await calls.get(URL, headers={"authorization": f"DPoP {token}", "dpop": _proof(new_key("ES256"), token)})
    assert answer.status_code == 401


async def test_a_proof_that_another_worker_has_seen_is_refused(world: Any, calls: httpx.AsyncClient) -> None:
    token, key = await _bound(world)
    proof = _proof(key, token)
    headers = {"authorization": f"DPoP {token}", "dpop": proof}
    assert (await calls.get(URL, headers=headers)).status_code == 200
    beside = ProofOfPossession(_gateway(world), clock=world.clock, public_url=PUBLIC_URL, uses=world.oauth.replay.use)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(beside), base_url=PUBLIC_URL) as other:
        again = await other.get(URL, headers=headers)
    assert again.status_code == 401 and "used before" in again.headers["www-authenticate"]


async def test_without_the_store_production_is_closed_and_the_sandbox_goes_by_its_own_memory(world: Any) -> None:
    async def away(_thumbprint: str, _jti: str, _ends: Any) -> bool:
        raise OSError("no database")

    token, key = await _bound(world)
    app = ProofOfPossession(_gateway(world), clock=world.clock, public_url=PUBLIC_URL, uses=away)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=PUBLIC_URL) as client:
        statuses = []
        for url in (URL, URL.replace("/sandbox/", "/production/")):
            proof = _proof(key, token, url=url)
            for _ in range(2):
                answer = await client.get(url, headers={"authorization": f"DPoP {token}", "dpop": proof})
                statuses.append(answer.status_code)
    assert statuses[:2] == [200, 401] and statuses[2] == 503
    assert answer.json()["resourceType"] == "OperationOutcome"
