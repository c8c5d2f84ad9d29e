"""Reporting a leaked secret."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from portal.apps import secrets
from portal.audit.models import AuditEntry

GRANT = {"grant_type": "client_credentials"}


async def test_reported_secret_is_revoked_at_once_and_recorded(world: Any) -> None:
    app, other = await world.app(), await world.app()
    assert (await world.token(GRANT, **app.basic)).status_code == 200
    form = {"secret": app.secret, "where": "https://code.example/repository"}
    answer = await world.http.post("/oauth/leaked-secrets", data=form)
    assert answer.status_code == 202
    assert (await world.token(GRANT, **app.basic)).json()["error"] == "invalid_client"
    assert (await world.token(GRANT, **other.basic)).status_code == 200
    async with world.maker() as session:
        entry = (await session.scalars(select(AuditEntry))).one()
    assert (entry.action, entry.company_id) == ("credential.leaked", app.company_id)
    assert app.secret not in str(entry.details)


async def test_real_and_invented_secrets_are_answered_alike(world: Any) -> None:
    app = await world.app()
    answers = [
        await world.http.post("/oauth/leaked-secrets", data={"secret": secret})
        for secret in (app.secret, secrets.new_secret("sandbox"), app.secret)
    ]
    assert {(answer.status_code, answer.content) for answer in answers} == {(202, answers[0].content)}


async def test_text_that_cannot_be_a_secret_is_counted_as_such(world: Any) -> None:
    answer = await world.http.post("/oauth/leaked-secrets", data={"secret": "gzs_nonsense گذر"})
    assert answer.json() == {"received": 2, "well_formed": 0}


async def test_empty_or_endless_report_is_refused(world: Any) -> None:
    for text in ("", " ".join(["x"] * 21)):
        answer = await world.http.post("/oauth/leaked-secrets", data={"secret": text})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
