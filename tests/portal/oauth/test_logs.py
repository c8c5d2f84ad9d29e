"""No secret, token, code or verifier reaches a log, however talkative the loggers are."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.factories.oauth import VERIFIER, assertion, assertion_form, authorization_form, code_form, new_key


async def test_nothing_that_opens_a_door_is_logged(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    # httpx is the test's own client, not the server.
    for quiet in ("httpx", "httpcore"):
        caplog.set_level(logging.CRITICAL, quiet)
    caplog.set_level(logging.DEBUG)
    secret, keyed, public = await world.app(), await world.app(key=new_key("ES384")), await world.app(public=True)
    grant = {"grant_type": "client_credentials"}
    signed = assertion(keyed, "ES384")
    token = (await world.token(grant, **secret.basic)).json()["access_token"]
    await world.token(assertion_form(signed))
    await world.token(assertion_form(signed))
    back = await world.approve(authorization_form(public.client_id))
    tokens = (await world.token(code_form(public.client_id, back["code"]))).json()
    await world.token(code_form(public.client_id, back["code"]))
    await world.refresh(public, tokens["refresh_token"])
    await world.introspect(secret, token)
    await world.http.post("/sandbox/oauth/revoke", data={"token": token}, headers=secret.basic)
    await world.http.post("/oauth/leaked-secrets", data={"secret": secret.secret})
    doors = [secret.secret, token, signed, back["code"], VERIFIER, tokens["refresh_token"], tokens["id_token"]]
    logged = [f"{record.getMessage()} {record.__dict__}" for record in caplog.records if record.name not in ("httpx",)]
    # Statements of the database driver carry only hashes.
    assert logged
    for line in logged:
        for door in doors:
            assert door not in line, line[:300]
