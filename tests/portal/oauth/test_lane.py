"""The token endpoint in front of the web framework answers as it does behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from portal.oauth.api import token_lane

GRANT = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}


@pytest.fixture
async def lane(world: Any) -> AsyncIterator[httpx.AsyncClient]:
    app = token_lane(world.oauth, world.http._transport.app)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://gozar.test") as client:
        yield client


async def test_token_is_given_with_the_headers_of_every_answer(world: Any, lane: httpx.AsyncClient) -> None:
    app = await world.app()
    answer = await lane.post("/sandbox/oauth/token", data=GRANT, headers={**app.basic, "x-request-id": "my-own-id-1"})
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] == "my-own-id-1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"].startswith("max-age=")
    assert answer.headers["cache-control"] == "no-store"
    await world.oauth.tokens.verify(answer.json()["access_token"], "sandbox", world.clock.now())


@pytest.mark.parametrize("method", ["GET", "PUT", "OPTIONS", "HEAD", "POST"])
async def test_answers_are_the_same_in_front_and_behind(world: Any, lane: httpx.AsyncClient, method: str) -> None:
    behind = await world.http.request(method, "/sandbox/oauth/token", content=b"grant_type=x")
    before = await lane.request(method, "/sandbox/oauth/token", content=b"grant_type=x")
    assert (before.status_code, before.content) == (behind.status_code, behind.content)


async def test_everything_else_goes_behind(lane: httpx.AsyncClient) -> None:
    assert (await lane.get("/sandbox/oauth/jwks")).status_code == 200
    assert (await lane.post("/staging/oauth/token")).status_code == 404
