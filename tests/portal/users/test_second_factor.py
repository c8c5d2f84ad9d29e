"""The second factor: set up, demanded, once-only, reviewers."""

from __future__ import annotations

import re
from datetime import timedelta

import pyotp
from sqlalchemy import select

from portal.users import second_factor
from portal.users.models import User
from tests.factories.portal_app import PASSWORD, Browser, Portal


def code_at(portal: Portal, secret: str) -> str:
    return pyotp.TOTP(secret).at(portal.clock.now())


async def with_second_factor(portal: Portal, email: str) -> tuple[Browser, str]:
    browser = await portal.signed_in_browser(email)
    await browser.submit("/profile/second-factor", on="/profile")
    found = re.search(r'id="totp-secret">([A-Z2-7]{32})<', (await browser.get("/profile")).text)
    assert found is not None
    wrong = await browser.submit("/profile/second-factor/confirm", on="/profile", code="000000")
    assert wrong.status_code == 422
    done = await browser.submit("/profile/second-factor/confirm", on="/profile", code=code_at(portal, found.group(1)))
    assert done.status_code == 303
    return browser, found.group(1)


async def test_signing_in_asks_for_the_code_and_takes_it_once(portal: Portal) -> None:
    _, secret = await with_second_factor(portal, "sara@example.ir")
    portal.clock.advance(timedelta(minutes=1))
    async with portal.browser() as browser, portal.browser() as second:
        halfway = await browser.submit("/sign-in", email="sara@example.ir", password=PASSWORD)
        assert halfway.headers["location"].startswith("/sign-in/code")
        before = browser.cookies["gozar_session"]
        assert (await browser.get("/profile")).status_code == 303
        persian = code_at(portal, secret).translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
        done = await browser.submit("/sign-in/code", code=persian)
        assert done.headers["location"] == "/dashboard"
        assert browser.cookies["gozar_session"] != before
        assert (await browser.get("/profile")).status_code == 200
        await second.submit("/sign-in", email="sara@example.ir", password=PASSWORD)
        replayed = await second.submit("/sign-in/code", code=code_at(portal, secret))
        assert replayed.status_code == 422


async def test_the_secret_is_sealed_in_the_database(portal: Portal) -> None:
    _, secret = await with_second_factor(portal, "sara@example.ir")
    async with portal.sessions() as session:
        stored = (await session.scalars(select(User))).one().totp_secret
    assert stored is not None and secret.encode() not in stored


async def test_a_script_needs_the_code_too(portal: Portal) -> None:
    _, secret = await with_second_factor(portal, "sara@example.ir")
    portal.clock.advance(timedelta(minutes=1))
    body = {"email": "sara@example.ir", "password": PASSWORD}
    async with portal.script() as client:
        needed = await client.post("/api/v1/sessions", json=body)
        assert needed.status_code == 401 and needed.json()["type"].endswith("#code-needed")
        given = await client.post("/api/v1/sessions", json={**body, "code": code_at(portal, secret)})
        assert given.status_code == 201


async def test_it_is_turned_off_with_a_code_only(portal: Portal) -> None:
    browser, secret = await with_second_factor(portal, "sara@example.ir")
    assert (await browser.submit("/profile/second-factor/remove", on="/profile", code="123")).status_code == 422
    portal.clock.advance(timedelta(minutes=1))
    done = await browser.submit("/profile/second-factor/remove", on="/profile", code=code_at(portal, secret))
    assert done.status_code == 303
    async with portal.sessions() as session:
        assert (await session.scalars(select(User))).one().totp_confirmed_at is None


async def test_a_code_of_a_neighbouring_step_is_fine_and_an_older_one_is_not(portal: Portal) -> None:
    user = User(id="usr_1", email="a@example.ir", name="A", password_hash="", totp_step=0)
    keyring, now = portal.shell.keyring, portal.clock.now()
    secret = second_factor.begin(user, keyring=keyring)
    codes = [pyotp.TOTP(secret).at(now - timedelta(seconds=seconds)) for seconds in (60, 30)]
    second_factor.verify(user, codes[1], now=now, keyring=keyring)
    for code in codes:
        try:
            second_factor.verify(user, code, now=now, keyring=keyring)
        except second_factor.WrongCode:
            continue
        raise AssertionError("a used or old code was taken")
