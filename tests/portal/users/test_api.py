"""Users through the JSON API: sessions for scripts, profile, password, personal tokens."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from portal.users.models import PersonalToken, User
from tests.factories.portal_app import PASSWORD, Portal


async def test_a_script_signs_up_signs_in_and_out(portal: Portal) -> None:
    client = await portal.signed_in_script("sara@example.ir")
    me = await client.get("/api/v1/me")
    assert me.status_code == 200 and me.json()["email"] == "sara@example.ir" and not me.json()["second_factor"]
    assert (await client.delete("/api/v1/sessions/current")).status_code == 204
    gone = await client.get("/api/v1/me")
    assert gone.status_code == 401 and gone.json()["type"].endswith("#invalid-token")


async def test_tokens_end_with_their_time_and_are_stored_hashed(portal: Portal) -> None:
    client = await portal.signed_in_script("sara@example.ir")
    async with portal.sessions() as session:
        stored = (await session.scalars(select(PersonalToken))).one()
    plain = client.headers["authorization"].split()[1]
    assert plain.startswith("gzu_") and plain not in (stored.token_hash, stored.hint)
    portal.clock.advance(timedelta(hours=12))
    assert (await client.get("/api/v1/me")).status_code == 401


async def test_sign_up_answers_the_same_whether_or_not_the_address_is_free(portal: Portal) -> None:
    body = {"email": "sara@example.ir", "name": "Sara", "password": PASSWORD}
    async with portal.script() as client:
        answers = [await client.post("/api/v1/users", json=body) for _ in range(2)]
        wrong = await client.post("/api/v1/sessions", json={"email": "sara@example.ir", "password": "x" * 20})
        unknown = await client.post("/api/v1/sessions", json={"email": "no@example.ir", "password": "x" * 20})
    assert {answer.status_code for answer in answers} == {202} and answers[0].json() == answers[1].json()
    assert wrong.status_code == unknown.status_code == 401
    assert {**wrong.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "a b@example.ir"}, "email"),
        ({"email": "a@example"}, "email"),
        ({"email": "a@example..ir"}, "email"),
        ({"email": "x" * 65 + "@example.ir"}, "email"),
        ({"name": " "}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"password": "elevenchars"}, "password"),
        ({"password": "x" * 129}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"password": "sara.ahmadi@12", "email": "sara.ahmadi@example.ir"}, "password"),
    ],
)
async def test_what_cannot_be_a_user_is_refused_by_field(portal: Portal, change: dict[str, str], field: str) -> None:
    body = {"email": "sara@example.ir", "name": "Sara Ahmadi", "password": PASSWORD, **change}
    async with portal.script() as client:
        answer = await client.post("/api/v1/users", json=body)
    assert answer.status_code == 422 and [error["field"] for error in answer.json()["errors"]] == [field]


async def test_a_role_cannot_be_asked_for(portal: Portal) -> None:
    body = {"email": "sara@example.ir", "name": "Sara", "password": PASSWORD, "role": "admin"}
    async with portal.script() as client:
        assert (await client.post("/api/v1/users", json=body)).status_code == 400
    client = await portal.signed_in_script("sara@example.ir")
    assert (await client.patch("/api/v1/me", json={"role": "admin"})).status_code == 400
    assert (await client.get("/api/v1/me")).json()["role"] == "developer"


async def test_the_profile_changes_and_refuses_other_languages(portal: Portal) -> None:
    client = await portal.signed_in_script("sara@example.ir")
    changed = await client.patch("/api/v1/me", json={"name": "سارا", "language": "en"})
    assert (changed.json()["name"], changed.json()["language"]) == ("سارا", "en")
    assert (await client.patch("/api/v1/me", json={"language": "de"})).status_code == 422


async def test_a_new_password_ends_every_session_and_token(portal: Portal) -> None:
    client = await portal.signed_in_script("sara@example.ir")
    browser = portal.browser()
    await browser.submit("/sign-in", email="sara@example.ir", password=PASSWORD)
    wrong = await client.put("/api/v1/me/password", json={"current": "not mine at all", "password": "new long phrase"})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["field"] == "current"
    done = await client.put("/api/v1/me/password", json={"current": PASSWORD, "password": "new long phrase"})
    assert done.status_code == 204
    assert (await client.get("/api/v1/me")).status_code == 401
    assert (await browser.get("/profile")).status_code == 303


async def test_a_forgotten_password_is_replaced_once_by_the_mailed_link(portal: Portal) -> None:
    await portal.signed_in_script("sara@example.ir")
    async with portal.script() as client:
        for email in ("sara@example.ir", "nobody@example.ir"):
            assert (await client.post("/api/v1/password-resets", json={"email": email})).status_code == 202
        assert [m.to for m in portal.mailer.sent[1:]] == ["sara@example.ir"]
        token = portal.mailer.sent[-1].text.split("/password/reset/")[1].split()[0]
        weak = await client.put("/api/v1/password-resets", json={"token": token, "password": "short"})
        assert weak.status_code == 422
        body = {"token": token, "password": "another long phrase"}
        assert (await client.put("/api/v1/password-resets", json=body)).status_code == 204
        assert (await client.put("/api/v1/password-resets", json=body)).status_code == 404
        opened = await client.post(
            "/api/v1/sessions", json={"email": "sara@example.ir", "password": "another long phrase"}
        )
        assert opened.status_code == 201


async def test_a_reset_link_lasts_an_hour(portal: Portal) -> None:
    await portal.signed_in_script("sara@example.ir")
    async with portal.browser() as browser:
        sent = await browser.submit("/password/forgot", email="sara@example.ir")
        assert sent.status_code == 200 and "اگر این نشانی" in sent.text
        link = "/password/reset/" + portal.mailer.sent[-1].text.split("/password/reset/")[1].split()[0]
        assert (await browser.get(link)).status_code == 200
        portal.clock.advance(timedelta(hours=1))
        assert (await browser.get(link)).status_code == 404


async def test_personal_tokens_are_ones_own(portal: Portal) -> None:
    sara, reza = await portal.signed_in_script("sara@example.ir"), await portal.signed_in_script("reza@example.ir")
    made = await sara.post("/api/v1/me/tokens", json={"name": "deployment", "days": 30})
    assert made.status_code == 201
    async with portal.script(made.json()["token"]) as script:
        assert (await script.get("/api/v1/me")).json()["email"] == "sara@example.ir"
        path = f"/api/v1/me/tokens/{made.json()['info']['id']}"
        assert (await reza.delete(path)).status_code == 404
        assert (await sara.delete(path)).status_code == 204
        assert (await script.get("/api/v1/me")).status_code == 401
    for days in (0, -5, 366, 10**9):
        assert (await sara.post("/api/v1/me/tokens", json={"name": "x", "days": days})).status_code == 422


async def test_a_race_of_two_sign_ups_makes_one_user_and_no_500(portal: Portal) -> None:
    import asyncio

    body = {"email": "sara@example.ir", "name": "Sara", "password": PASSWORD}
    async with portal.script() as client:
        answers = await asyncio.gather(*(client.post("/api/v1/users", json=body) for _ in range(4)))
    assert {answer.status_code for answer in answers} == {202}
    async with portal.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == 1
