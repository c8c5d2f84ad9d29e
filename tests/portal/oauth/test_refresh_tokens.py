"""Refresh tokens: rotation, reuse, grace, and what ends them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from portal.kernel.database import transaction
from portal.oauth import interactions
from portal.oauth.models import CitizenSignIn
from tests.factories.oauth import assertion, assertion_form, authorization_form, claims_of, code_form, new_key


async def test_public_app_gets_a_new_refresh_token_each_time(world: Any) -> None:
    app = await world.app(public=True)
    first = await world.tokens_for(app)
    answer = await world.refresh(app, first["refresh_token"])
    assert answer.status_code == 200
    second = answer.json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["scope"] == first["scope"]
    assert second["patient"] == "p1"
    assert claims_of(second["access_token"])["grant"] == claims_of(first["access_token"])["grant"]
    assert (await world.refresh(app, second["refresh_token"])).status_code == 200


async def test_lost_answer_can_be_asked_for_again_within_ten_seconds(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    first = (await world.refresh(app, token)).json()
    world.clock.advance(timedelta(seconds=10))
    again = (await world.refresh(app, token)).json()
    assert again["refresh_token"] == first["refresh_token"]


async def test_predecessor_after_ten_seconds_ends_the_grant(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    first = (await world.refresh(app, token)).json()
    world.clock.advance(timedelta(seconds=11))
    assert (await world.refresh(app, token)).json()["error"] == "invalid_grant"
    assert (await world.refresh(app, first["refresh_token"])).json()["error"] == "invalid_grant"
    with pytest.raises(Exception, match="revoked"):
        await world.oauth.tokens.verify(first["access_token"], "sandbox", world.clock.now())


async def test_predecessor_whose_successor_was_used_ends_the_grant_even_within_grace(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    second = (await world.refresh(app, token)).json()["refresh_token"]
    third = (await world.refresh(app, second)).json()["refresh_token"]
    assert (await world.refresh(app, token)).json()["error"] == "invalid_grant"
    assert (await world.refresh(app, third)).json()["error"] == "invalid_grant"


async def test_concurrent_refreshes_lead_to_one_successor(both_worlds: Any) -> None:
    app = await both_worlds.app(public=True)
    token = (await both_worlds.tokens_for(app))["refresh_token"]
    answers = await asyncio.gather(*(both_worlds.refresh(app, token) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1


async def test_rotated_token_is_refused_after_a_restart_too(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    await world.refresh(app, token)
    await world.oauth.stop()
    await world.oauth.start()
    world.clock.advance(timedelta(seconds=60))
    assert (await world.refresh(app, token)).json()["error"] == "invalid_grant"


async def test_refresh_against_revocation_leaves_nothing_alive(both_worlds: Any) -> None:
    app = await both_worlds.app(public=True)
    token = (await both_worlds.tokens_for(app))["refresh_token"]
    revocation = both_worlds.http.post("/sandbox/oauth/revoke", data={"client_id": app.client_id, "token": token})
    answers = await asyncio.gather(both_worlds.refresh(app, token), revocation)
    survivor = answers[0].json().get("refresh_token", token)
    assert (await both_worlds.refresh(app, survivor)).json()["error"] == "invalid_grant"


async def test_confidential_app_keeps_its_refresh_token(world: Any) -> None:
    app = await world.app(key=new_key("ES384"))
    back = await world.approve(authorization_form(app.client_id))
    form = {**assertion_form(assertion(app, "ES384")), **code_form(app.client_id, back["code"])}
    token = (await world.token(form)).json()["refresh_token"]
    for _ in range(2):
        proof = assertion_form(assertion(app, "ES384"), refresh_token=token)
        answer = await world.token({**proof, "grant_type": "refresh_token"})
        assert answer.json()["refresh_token"] == token


async def test_refresh_token_is_bound_to_its_app(world: Any) -> None:
    app, other = await world.app(public=True), await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    assert (await world.refresh(other, token)).json()["error"] == "invalid_grant"
    assert (await world.refresh(app, token)).status_code == 200


async def test_code_is_no_refresh_token_and_the_reverse(world: Any) -> None:
    app = await world.app(public=True)
    back = await world.approve(authorization_form(app.client_id))
    assert (await world.refresh(app, back["code"])).json()["error"] == "invalid_grant"
    token = (await world.tokens_for(app))["refresh_token"]
    assert (await world.token(code_form(app.client_id, token))).json()["error"] == "invalid_grant"


async def test_scope_can_be_narrowed_but_never_widened(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    wider = await world.refresh(app, token, scope="patient/Observation.cruds")
    assert wider.json()["error"] == "invalid_scope"
    foreign = await world.refresh(app, token, scope="user/Patient.rs")
    assert foreign.json()["error"] == "invalid_scope"


async def test_narrower_scope_is_given(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    assert (await world.refresh(app, token, scope="patient/Observation.r")).json()["scope"] == "patient/Observation.r"


async def test_refresh_token_expires_when_idle_for_thirty_days_and_after_ninety(world: Any) -> None:
    app = await world.app(public=True)
    idle, used = (await world.tokens_for(app))["refresh_token"], (await world.tokens_for(app))["refresh_token"]
    for _ in range(4):
        world.clock.advance(timedelta(days=22))
        used = (await world.refresh(app, used)).json()["refresh_token"]
    assert (await world.refresh(app, idle)).json()["error"] == "invalid_grant"
    world.clock.advance(timedelta(days=3))
    assert (await world.refresh(app, used)).json()["error"] == "invalid_grant"


async def test_online_access_ends_with_the_sign_in(world: Any) -> None:
    app = await world.app(public=True)
    online = await world.tokens_for(app, scope="launch/patient patient/Patient.rs online_access")
    token = (await world.refresh(app, online["refresh_token"])).json()["refresh_token"]
    async with transaction(world.maker) as session:
        for sign_in in await session.scalars(CitizenSignIn.__table__.select().with_only_columns(CitizenSignIn.id)):
            await interactions.sign_out(session, await session.get_one(CitizenSignIn, sign_in), world.clock.now())
    assert (await world.refresh(app, token)).json()["error"] == "invalid_grant"


async def test_online_access_ends_when_the_sign_in_expires_and_offline_access_does_not(world: Any) -> None:
    app = await world.app(public=True)
    online = await world.tokens_for(app, scope="launch/patient patient/Patient.rs online_access")
    offline = await world.tokens_for(app, scope="launch/patient patient/Patient.rs offline_access")
    world.clock.advance(timedelta(hours=9))
    assert (await world.refresh(app, online["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await world.refresh(app, offline["refresh_token"])).status_code == 200


async def test_scope_withdrawn_by_a_reviewer_is_missing_from_the_next_token(world: Any) -> None:
    from portal.apps.models import AppEnvironment

    app = await world.app(public=True)
    scope = "launch/patient patient/Patient.rs patient/Observation.rs offline_access"
    token = (await world.tokens_for(app, scope=scope))["refresh_token"]
    async with transaction(world.maker) as session:
        presence = await session.get_one(AppEnvironment, app.client_id)
        presence.scopes = ["patient/Patient.rs"]
        presence.epoch += 1
    answer = (await world.refresh(app, token)).json()
    assert answer["scope"] == "launch/patient patient/Patient.rs offline_access"
    assert claims_of(answer["access_token"])["epoch"] == 2


async def test_suspended_app_cannot_refresh(world: Any) -> None:
    from portal.apps.models import AccessStatus, AppEnvironment

    app = await world.app(public=True)
    token = (await world.tokens_for(app))["refresh_token"]
    async with transaction(world.maker) as session:
        (await session.get_one(AppEnvironment, app.client_id)).status = AccessStatus.SUSPENDED
    assert (await world.refresh(app, token)).json()["error"] == "invalid_client"
