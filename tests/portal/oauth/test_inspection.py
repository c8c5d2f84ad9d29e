"""Introspection and revocation."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.apps.models import AccessStatus, App
from portal.kernel.database import transaction
from tests.factories.oauth import NOW, PUBLIC_URL


async def test_own_token_is_described(world: Any) -> None:
    app = await world.app()
    about = await world.introspect(app, await world.client_token(app))
    assert about.pop("jti")
    assert about.pop("tenant")
    assert about == {
        "active": True,
        "scope": "system/Patient.rs",
        "client_id": app.client_id,
        "token_type": "Bearer",
        "exp": int(NOW.timestamp()) + 300,
        "iat": int(NOW.timestamp()),
        "sub": app.client_id,
        "aud": f"{PUBLIC_URL}/sandbox/fhir/R4",
        "iss": f"{PUBLIC_URL}/sandbox",
    }


async def test_bearer_authenticated_app_learns_the_launch_context(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["access_token"]
    answer = await world.http.post(
        "/sandbox/oauth/introspect", data={"token": token}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.json()["patient"] == "p1"
    assert answer.json()["fhirUser"] == f"{PUBLIC_URL}/sandbox/fhir/R4/Patient/p1"


async def test_token_of_another_company_looks_inactive(world: Any) -> None:
    app, other = await world.app(), await world.app()
    assert await world.introspect(other, await world.client_token(app)) == {"active": False}


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "گذر", "x" * 20_000])
async def test_unknown_token_is_inactive(world: Any, token: str) -> None:
    assert await world.introspect(await world.app(), token) == {"active": False}


async def test_token_of_a_suspended_app_is_inactive_to_everybody(world: Any) -> None:
    app, colleague = await world.app(), await world.app()
    async with transaction(world.maker) as session:
        (await session.get_one(App, colleague.app_id)).company_id = app.company_id
    token = await world.client_token(app)
    assert (await world.introspect(colleague, token))["active"] is True
    async with transaction(world.maker) as session:
        (await session.get_one(App, app.app_id)).status = AccessStatus.SUSPENDED
    assert await world.introspect(colleague, token) == {"active": False}


async def test_expired_token_is_inactive(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    world.clock.advance(timedelta(seconds=300))
    assert await world.introspect(app, token) == {"active": False}


async def test_caller_must_prove_itself(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    anonymous = await world.http.post("/sandbox/oauth/introspect", data={"token": token})
    assert (anonymous.status_code, anonymous.json()["error"]) == (401, "invalid_client")
    wrong = await world.http.post(
        "/sandbox/oauth/introspect", data={"token": token}, headers={"authorization": "Bearer nonsense"}
    )
    assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_token")
    assert wrong.headers["www-authenticate"].startswith("Bearer ")
    public = await world.app(public=True)
    named = await world.http.post("/sandbox/oauth/introspect", data={"token": token, "client_id": public.client_id})
    assert named.json()["error"] == "invalid_client"


async def test_missing_token_is_told(world: Any) -> None:
    app = await world.app()
    for endpoint in ("introspect", "revoke"):
        answer = await world.http.post(f"/sandbox/oauth/{endpoint}", data={"x": "y"}, headers=app.basic)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_revoked_access_token_is_refused_everywhere_at_once(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    await world.oauth.tokens.verify(token, "sandbox", NOW)
    answer = await world.http.post("/sandbox/oauth/revoke", data={"token": token}, headers=app.basic)
    assert (answer.status_code, answer.json()) == (200, {})
    with pytest.raises(Exception, match="revoked"):
        world.oauth.tokens.cached(token, "sandbox", NOW.timestamp())
    assert await world.introspect(app, token) == {"active": False}


async def test_revocation_survives_a_restart(world: Any) -> None:
    app = await world.app()
    token = await world.client_token(app)
    await world.http.post("/sandbox/oauth/revoke", data={"token": token}, headers=app.basic)
    await world.oauth.stop()
    world.oauth.feed._snapshot.clear()
    await world.oauth.start()
    with pytest.raises(Exception, match="revoked"):
        await world.oauth.tokens.verify(token, "sandbox", NOW)


async def test_revoked_refresh_token_ends_its_access_tokens(world: Any) -> None:
    app = await world.app(public=True)
    body = await world.tokens_for(app)
    form = {"client_id": app.client_id, "token": body["refresh_token"], "token_type_hint": "access_token"}
    assert (await world.http.post("/sandbox/oauth/revoke", data=form)).status_code == 200
    with pytest.raises(Exception, match="revoked"):
        await world.oauth.tokens.verify(body["access_token"], "sandbox", NOW)
    assert (await world.refresh(app, body["refresh_token"])).json()["error"] == "invalid_grant"


async def test_token_of_another_app_cannot_be_revoked(world: Any) -> None:
    app, other = await world.app(), await world.app()
    token = await world.client_token(app)
    answer = await world.http.post("/sandbox/oauth/revoke", data={"token": token}, headers=other.basic)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert (await world.introspect(app, token))["active"] is True


async def test_unknown_token_is_already_revoked(world: Any) -> None:
    app = await world.app()
    answer = await world.http.post("/sandbox/oauth/revoke", data={"token": "nonsense"}, headers=app.basic)
    assert answer.status_code == 200
