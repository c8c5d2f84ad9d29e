"""The front page and the signed-in home."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from portal.apps.models import Credential
from portal.usage.models import UsageHour
from portal.users.models import Role, User
from tests.factories.companies import registered
from tests.factories.portal_app import PASSWORD, Browser, Portal
from tests.factories.rooms import app_of, sandbox_of


async def signed_in(portal: Portal, email: str) -> Browser:
    browser = portal.browser()
    await browser.submit("/sign-in", email=email, password=PASSWORD)
    return browser


async def test_the_front_page_is_for_everybody(portal: Portal) -> None:
    async with portal.browser() as visitor:
        for path, direction in (("/", "rtl"), ("/en", "ltr")):
            page = await visitor.get(path)
            assert page.status_code == 200 and f'dir="{direction}"' in page.text and "/products/pharmacy" in page.text
            assert f'href="{"/docs/" if direction == "rtl" else "/docs/en/"}"' in page.text


async def test_the_home_begins_with_registering_a_company(portal: Portal) -> None:
    async with portal.browser() as visitor:
        assert (await visitor.get("/dashboard")).headers["location"] == "/sign-in?next=/dashboard"
    browser = await portal.signed_in_browser("owner@example.ir")
    assert 'href="/companies/new"' in (await browser.get("/dashboard")).text


async def test_tasks_follow_the_real_state_of_the_app(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    browser = await signed_in(portal, "owner@example.ir")
    first = (await browser.get("/en/dashboard")).text
    assert first.count('class="done"') == 0 and f"/en/apps/{app['id']}/products" in first
    await sandbox_of(owner, app["id"])
    assert (await browser.get("/en/dashboard")).text.count('class="done"') == 2
    async with portal.sessions.begin() as session:
        (await session.scalars(select(Credential))).one().last_used_at = portal.clock.now()
    assert (await browser.get("/en/dashboard")).text.count('class="done"') == 3


async def test_calls_are_drawn_for_ones_own_apps_only_and_never_made_up(portal: Portal) -> None:
    owner, other = await portal.signed_in_script("owner@example.ir"), await portal.signed_in_script("b@example.ir")
    app = await app_of(owner)
    place = (await sandbox_of(owner, app["id"]))["environment"]
    await app_of(other, number=2)
    browser, stranger = await signed_in(portal, "owner@example.ir"), await signed_in(portal, "b@example.ir")
    assert "<figure" not in (await browser.get("/dashboard")).text
    async with portal.sessions.begin() as session:
        session.add(
            UsageHour(
                client_id=place["client_id"],
                product_id="appointments",
                hour=portal.clock.now() - timedelta(days=1),
                environment="sandbox",
                company_id=app["company_id"],
                app_id=app["id"],
                admitted=1234,
            )
        )
    drawn = (await browser.get("/en/dashboard")).text
    assert "<figure" in drawn and "1,234" in drawn
    assert "۱٬۲۳۴" in (await browser.get("/dashboard")).text
    assert "<figure" not in (await stranger.get("/dashboard")).text


async def test_a_reviewer_without_a_company_goes_to_the_desk(portal: Portal) -> None:
    browser = await portal.signed_in_browser("officer@example.ir")
    async with portal.sessions.begin() as session:
        (await session.scalars(select(User))).one().role = Role.REVIEWER
    assert (await browser.get("/dashboard")).headers["location"] == "/verification"
    assert (await browser.get("/verification")).status_code == 200


async def test_a_company_is_verified_or_rejected_with_a_reason_on_the_page(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    company = (await registered(owner))["id"]
    officer = await portal.signed_in_browser("officer@example.ir")
    async with portal.sessions.begin() as session:
        (await session.scalars(select(User).where(User.email == "officer@example.ir"))).one().role = Role.REVIEWER
    await officer.submit(f"/verification/{company}", on="/verification", status="rejected", reason="")
    assert (await owner.get(f"/api/v1/companies/{company}")).json()["status"] == "unverified"
    reason = "شمارهٔ گواهی در سامانه نیست"
    await officer.submit(f"/verification/{company}", on="/verification", status="rejected", reason=reason)
    told = (await owner.get(f"/api/v1/companies/{company}")).json()
    assert told["status"] == "rejected" and told["status_reason"] == reason
