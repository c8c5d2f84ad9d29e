"""An address is proved by a mailed link; only a deployment that mails for real waits for it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from portal.users import confirmation
from portal.users.confirmation import EmailUnconfirmed
from portal.users.models import User
from tests.factories.portal_app import PASSWORD, Portal

SARA = {"email": "sara@example.ir", "name": "Sara Ahmadi", "password": PASSWORD}


def link(portal: Portal) -> str:
    """Path of the link in the newest mail."""
    found = re.search(r"(/confirm/[\w-]+)\n", portal.mailer.sent[-1].text)
    assert found is not None, portal.mailer.sent[-1].text
    return found.group(1)


async def signed_up(portal: Portal) -> str:
    """Sign up by API; returns a bearer token."""
    async with portal.script() as client:
        assert (await client.post("/api/v1/users", json=SARA)).status_code == 202
        made = await client.post("/api/v1/sessions", json={"email": SARA["email"], "password": PASSWORD})
    token: str = made.json()["token"]
    return token


async def confirmed(portal: Portal, token: str) -> bool:
    async with portal.script(token) as client:
        return bool((await client.get("/api/v1/me")).json()["email_confirmed"])


async def test_signing_up_is_usable_at_once_and_confirmed_by_the_link(portal: Portal) -> None:
    token = await signed_up(portal)
    assert not await confirmed(portal, token)
    browser = portal.browser()
    path = link(portal)
    assert (await browser.get(path)).status_code == 200
    assert not await confirmed(portal, token), "mail scanners follow links: looking confirms nothing"
    answer = await browser.submit(path)
    assert answer.headers["location"] == "/sign-in?done=confirmed"
    assert await confirmed(portal, token)
    assert (await browser.submit(path, on="/sign-in")).status_code == 404, "a link works once"


async def test_by_api_too_and_a_new_link_ends_the_old(portal: Portal) -> None:
    token = await signed_up(portal)
    old = link(portal).rpartition("/")[2]
    async with portal.script(token) as client:
        assert (await client.post("/api/v1/me/confirmation")).status_code == 202
        fresh = link(portal).rpartition("/")[2]
        assert (await client.post("/api/v1/confirmations", json={"token": old})).status_code == 404
        assert (await client.post("/api/v1/confirmations", json={"token": fresh})).status_code == 204
        mails = len(portal.mailer.sent)
        await client.post("/api/v1/me/confirmation")
    assert len(portal.mailer.sent) == mails, "nothing is mailed to an address that is confirmed"


@pytest.mark.parametrize("token", ["", "x", "../../etc", "%00", "A" * 500])
async def test_a_made_up_token_confirms_nothing(portal: Portal, token: str) -> None:
    async with portal.script() as client:
        assert (await client.post("/api/v1/confirmations", json={"token": token})).status_code == 404


async def test_a_link_ends_after_three_days(portal: Portal) -> None:
    token = await signed_up(portal)
    plain = link(portal).rpartition("/")[2]
    portal.clock.advance(timedelta(days=3, seconds=1))
    async with portal.script() as client:
        assert (await client.post("/api/v1/confirmations", json={"token": plain})).status_code == 404
    assert token


async def test_the_profile_says_so_and_mails_another(portal: Portal) -> None:
    browser = await portal.signed_in_browser("zahra@example.ir")
    assert "تأیید نشده" in (await browser.get("/profile")).text
    mails = len(portal.mailer.sent)
    assert (await browser.submit("/profile/confirmation", on="/profile")).status_code == 303
    assert len(portal.mailer.sent) == mails + 1
    await browser.submit(link(portal))
    assert "تأیید نشده" not in (await browser.get("/profile")).text


async def test_only_a_deployment_that_mails_waits_for_it(portal: Portal) -> None:
    user = User(email_confirmed_at=None)
    confirmation.must_be_confirmed(user, demanded=replace(portal.shell).confirm_email)
    with pytest.raises(EmailUnconfirmed):
        confirmation.must_be_confirmed(user, demanded=True)
