"""Signing up, in and out, as pages."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from portal.users.models import SignIn, User
from tests.factories.portal_app import PASSWORD, Portal


async def test_a_person_signs_up_and_in_and_out_in_persian_and_english(portal: Portal) -> None:
    for prefix, email, direction in (("", "a@example.ir", 'dir="rtl"'), ("/en", "b@example.ir", 'dir="ltr"')):
        async with portal.browser() as browser:
            page = await browser.get(f"{prefix}/sign-up")
            assert page.status_code == 200 and direction in page.text
            taken = await browser.submit(f"{prefix}/sign-up", name="سارا احمدی", email=email, password=PASSWORD)
            assert taken.status_code == 303 and taken.headers["location"].startswith(f"{prefix}/sign-in?done=signed-up")
            entered = await browser.submit(f"{prefix}/sign-in", email=email.upper(), password=PASSWORD)
            assert entered.status_code == 303 and entered.headers["location"] == f"{prefix}/dashboard"
            assert (await browser.get(f"{prefix}/profile")).status_code == 200
            left = await browser.submit(f"{prefix}/sign-out", on=f"{prefix}/profile")
            assert left.status_code == 303
            assert (await browser.get(f"{prefix}/profile")).headers["location"] == f"{prefix}/sign-in?next=/profile"


async def test_every_error_of_a_form_is_shown_at_once_beside_its_field(portal: Portal) -> None:
    async with portal.browser() as browser:
        answer = await browser.submit("/en/sign-up", name="", email="not an address", password="short")
    assert answer.status_code == 422
    for field in ("name", "email", "password"):
        assert f'id="{field}-error"' in answer.text and f'href="#{field}"' in answer.text
    summary = answer.text.split('class="error-summary"')[1].split("</div>")[0]
    assert [part.split('"')[0] for part in summary.split('href="#')[1:]] == ["name", "email", "password"]
    assert "short" not in answer.text.replace("shorter", "")


async def test_a_taken_address_gets_the_same_answer_and_its_owner_a_mail(portal: Portal) -> None:
    async with portal.browser() as browser:
        first = await browser.submit("/sign-up", name="Sara", email="sara@example.ir", password=PASSWORD)
        second = await browser.submit("/sign-up", name="Other", email="sara@example.ir", password="another long phrase")
    assert (first.status_code, first.headers["location"]) == (second.status_code, second.headers["location"])
    assert [message.to for message in portal.mailer.sent] == ["sara@example.ir"] * 2
    assert "حساب دارید" in portal.mailer.sent[1].subject
    async with portal.sessions() as session:
        assert [user.name for user in await session.scalars(select(User))] == ["Sara"]


async def test_unknown_address_and_wrong_password_look_the_same(portal: Portal) -> None:
    async with portal.browser() as browser:
        await browser.submit("/sign-up", name="Sara", email="sara@example.ir", password=PASSWORD)
        wrong = await browser.submit("/en/sign-in", email="sara@example.ir", password="not this one at all")
        unknown = await browser.submit("/en/sign-in", email="nobody@example.ir", password="not this one at all")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.text.replace("sara@example.ir", "X") == unknown.text.replace("nobody@example.ir", "X")


async def test_a_session_id_brought_by_the_client_is_never_adopted(portal: Portal) -> None:
    async with portal.browser() as browser:
        await browser.submit("/sign-up", name="Sara", email="sara@example.ir", password=PASSWORD)
        browser.cookies.set("gozar_session", "chosen-by-the-attacker", domain="gozar.test")
        answer = await browser.submit("/sign-in", email="sara@example.ir", password=PASSWORD)
        cookie = answer.headers["set-cookie"]
    assert "chosen-by-the-attacker" not in cookie
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie


async def test_sessions_end_when_idle_and_at_the_latest_after_twelve_hours(portal: Portal) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    portal.clock.advance(timedelta(minutes=29))
    assert (await browser.get("/profile")).status_code == 200
    portal.clock.advance(timedelta(minutes=31))
    assert (await browser.get("/profile")).status_code == 303
    browser = await portal.signed_in_browser("sara@example.ir")
    for _ in range(24):
        portal.clock.advance(timedelta(minutes=29))
        assert (await browser.get("/profile")).status_code == 200
    portal.clock.advance(timedelta(minutes=29))
    assert (await browser.get("/profile")).status_code == 303


async def test_the_cookie_is_stored_hashed(portal: Portal) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    token = browser.cookies["gozar_session"]
    async with portal.sessions() as session:
        stored = (await session.scalars(select(SignIn))).one()
    assert len(token) >= 43 and stored.id_hash != token


async def test_a_disabled_user_is_out_at_once(portal: Portal) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    async with portal.sessions.begin() as session:
        (await session.scalars(select(User))).one().disabled_at = portal.clock.now()
    assert (await browser.get("/profile")).status_code == 303
    assert (await browser.submit("/sign-in", email="sara@example.ir", password=PASSWORD)).status_code == 422


async def test_sign_in_goes_on_to_pages_of_this_site_only(portal: Portal) -> None:
    await portal.signed_in_browser("sara@example.ir")
    for target, where in (
        ("/profile", "/profile"),
        ("//evil.example/x", "/dashboard"),
        ("https://evil.example", "/dashboard"),
        ("/\\evil.example", "/dashboard"),
        ("/en/profile", "/en/profile"),
    ):
        async with portal.browser() as browser:
            answer = await browser.submit("/sign-in", email="sara@example.ir", password=PASSWORD, next=target)
            assert answer.headers["location"] == where


async def test_a_form_without_its_token_or_from_another_site_is_refused(portal: Portal) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    naked = await browser.post("/sign-out", data={})
    assert naked.status_code == 403 and "text/html" in naked.headers["content-type"]
    page = await browser.get("/profile")
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert (await browser.post("/sign-out", data={"csrf_token": token}, headers=headers)).status_code == 403
    other = await portal.signed_in_browser("other@example.ir")
    assert (await other.post("/sign-out", data={"csrf_token": token})).status_code == 403
    by_header = await browser.post("/sign-out", headers={"x-csrf-token": token, "origin": "http://gozar.test"})
    assert by_header.status_code == 303
