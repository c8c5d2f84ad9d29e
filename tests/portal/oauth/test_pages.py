"""A person's way through an authorization, on the pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from sqlalchemy import select

from portal.companies.models import MemberRole, Membership
from portal.kernel.database import transaction
from portal.oauth import pages
from portal.oauth.api import routes
from portal.oauth.interactions import Person
from portal.oauth.people import NoPeople
from portal.users import pages as users_pages
from portal.users.models import User
from tests.factories.oauth import NOW, PUBLIC_URL, MadeApp, authorization_form, code_form
from tests.factories.portal_app import Browser, Portal, portal_app

MARYAM = Person("Patient/p1", "مریم رضایی", "1990-01-01", "female")
ALI = Person("Patient/p2", "علی کریمی")
DOCTOR = Person("Practitioner/d1", "دکتر سارا احمدی")
VISIT = Person("Encounter/e1", "2026-01-01 · ویزیت")


@dataclass(slots=True)
class Site:
    """The portal with the authorization server's routes, over one database."""

    portal: Portal
    world: Any

    @property
    def now(self) -> Any:
        return self.world.clock.now()

    async def begin(self, browser: Browser, app: MadeApp, **changes: Any) -> str:
        answer = await browser.get("/sandbox/oauth/authorize", params=authorization_form(app.client_id, **changes))
        assert answer.status_code == 303, answer.text
        return urlsplit(answer.headers["location"]).path

    async def arrive(self, browser: Browser, app: MadeApp, person: Person = MARYAM, **changes: Any) -> str:
        place = await self.begin(browser, app, **changes)
        signed = await browser.submit(f"{place}/sign-in", on=place, person=person.reference)
        assert signed.status_code == 303, signed.text
        return place


@pytest.fixture
async def site(world: Any, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Site]:
    people = NoPeople([MARYAM, ALI, DOCTOR], [VISIT])
    handlers = [*users_pages.routes, *routes(world.oauth), *pages.routes(world.oauth, people)]
    folder = tmp_path / "site"
    folder.mkdir()
    async with portal_app(migrated_file, folder, handlers, navigation=pages.navigation, sessions=world.maker) as portal:
        yield Site(portal, world)


def back(answer: Any) -> dict[str, str]:
    assert answer.status_code == 303, answer.text
    place = urlsplit(answer.headers["location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == "https://app.test/callback"
    return dict(parse_qsl(place.query))


async def test_citizen_signs_in_agrees_and_returns_with_a_code(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.begin(browser, app)
    asked = await browser.get(place)
    assert "مریم رضایی" in asked.text
    assert asked.headers["referrer-policy"] == "no-referrer"
    await browser.submit(f"{place}/sign-in", on=place, person="Patient/p1")
    consent = await browser.get(place)
    assert "دیدن نتایج آزمایش و علائم حیاتی" in consent.text
    assert "form-action 'self' https://app.test;" in consent.headers["content-security-policy"]
    assert "script-src 'self';" in consent.headers["content-security-policy"]
    keys = re.findall(r'name="scope" value="([^"]+)"', consent.text)
    assert keys == ["patient/Observation.rs", "identity", "offline_access"]
    answer = back(await browser.submit(f"{place}/decision", on=place, decision="allow", scope=keys))
    assert answer["state"] == "s" * 22
    assert answer["iss"] == f"{PUBLIC_URL}/sandbox"
    body = (await site.world.token(code_form(app.client_id, answer["code"]))).json()
    assert body["patient"] == "p1"


async def test_what_is_switched_off_is_not_granted(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    sent = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    body = (await site.world.token(code_form(app.client_id, back(sent)["code"]))).json()
    assert body["scope"] == "launch/patient patient/Observation.rs"
    assert "refresh_token" not in body
    assert "id_token" not in body


async def test_agreeing_to_nothing_is_told_beside_the_switches(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    answer = await browser.submit(f"{place}/decision", on=place, decision="allow")
    assert answer.status_code == 422
    assert "دست‌کم یک دسترسی را برگزینید" in answer.text


async def test_a_switch_that_was_not_offered_grants_nothing(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    answer = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Patient.cruds"])
    assert answer.status_code == 422


async def test_refusal_returns_to_the_app(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    answer = back(await browser.submit(f"{place}/decision", on=place, decision="deny"))
    assert (answer["error"], answer["state"]) == ("access_denied", "s" * 22)
    assert answer["iss"] == f"{PUBLIC_URL}/sandbox"
    again = await browser.get(place)
    assert again.status_code == 404
    assert "به پایان رسیده" in again.text


async def test_english_pages_are_english(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app, ui_locales="en")
    assert place.startswith("/en/")
    consent = await browser.get(place)
    assert "See test results and vital signs" in consent.text
    assert "Do you allow this app?" in consent.text


async def test_practitioner_chooses_the_patient(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app, DOCTOR)
    picker = await browser.get(place)
    assert "پروندهٔ کدام بیمار؟" in picker.text
    await browser.submit(f"{place}/patient", on=place, patient="p2")
    consent = await browser.get(place)
    assert "علی کریمی" in consent.text
    sent = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    body = (await site.world.token(code_form(app.client_id, back(sent)["code"]))).json()
    assert body["patient"] == "p2"


async def test_citizen_cannot_choose_another_persons_record(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    answer = await browser.submit(f"{place}/patient", on=place, patient="p2")
    assert answer.status_code == 404


async def test_patient_chosen_by_somebody_else_is_not_opened_to_a_citizen(site: Site) -> None:
    app, doctor, citizen = await site.world.app(public=True), site.portal.browser(), site.portal.browser()
    place = await site.arrive(doctor, app, DOCTOR)
    await doctor.submit(f"{place}/patient", on=place, patient="p2")
    await citizen.submit(f"{place}/sign-in", on=place, person="Patient/p1")
    standing = await citizen.get("/sandbox/permissions")
    token = re.search(r'name="csrf_token" value="([0-9a-f]+)"', standing.text)
    assert token is not None
    form = {"csrf_token": token.group(1), "decision": "allow", "scope": "patient/Observation.rs"}
    answer = await citizen.post(f"{place}/decision", data=form)
    assert answer.status_code == 422


@pytest.mark.parametrize("verb", ["sign-in", "patient", "decision", "another"])
async def test_form_without_the_csrf_token_is_refused(site: Site, verb: str) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    answer = await browser.post(f"{place}/{verb}", data={"decision": "allow", "scope": "patient/Observation.rs"})
    assert answer.status_code == 403


async def test_decision_needs_a_signed_in_person(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.begin(browser, app)
    answer = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    assert answer.headers["location"] == place


async def test_sign_in_of_one_tenant_is_none_in_another(site: Site) -> None:
    first, second = await site.world.app(public=True), await site.world.app(public=True)
    browser = site.portal.browser()
    await site.arrive(browser, first)
    place = await site.begin(browser, second)
    assert "با نام چه کسی وارد می‌شوید؟" in (await browser.get(place)).text


async def test_somebody_else_can_sign_in_instead(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    await browser.get(place)
    await browser.submit(f"{place}/another", on=place)
    assert "با نام چه کسی وارد می‌شوید؟" in (await browser.get(place)).text


@pytest.mark.parametrize(
    "asked", [{"prompt": "login"}, {"prompt": "login consent"}, {"prompt": "select_account"}, {"max_age": "60"}]
)
async def test_app_that_wants_a_fresh_sign_in_gets_one(site: Site, asked: dict[str, str]) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    await site.arrive(browser, app)
    site.world.clock.advance(timedelta(seconds=61))
    place = await site.begin(browser, app)
    assert "دیدن نتایج آزمایش" in (await browser.get(place)).text, "a sign-in lasts for ordinary requests"
    place = await site.begin(browser, app, **asked)
    assert "با نام چه کسی وارد می‌شوید؟" in (await browser.get(place)).text
    sent = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    assert sent.headers["location"].endswith(place), "nor is a decision taken from an old sign-in"


async def test_recent_sign_in_is_fresh_enough_for_max_age(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    await site.arrive(browser, app)
    place = await site.begin(browser, app, max_age="60")
    assert "دیدن نتایج آزمایش" in (await browser.get(place)).text


async def test_unknown_person_cannot_sign_in(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.begin(browser, app)
    answer = await browser.submit(f"{place}/sign-in", on=place, person="Patient/nobody")
    assert answer.status_code == 404


async def test_personas_do_not_exist_in_production(site: Site) -> None:
    app, browser = await site.world.app(public=True, environment="production"), site.portal.browser()
    form = authorization_form(app.client_id, environment="production")
    begun = await browser.get("/production/oauth/authorize", params=form)
    place = urlsplit(begun.headers["location"]).path
    answer = await browser.get(place)
    assert answer.status_code == 404
    assert "راه‌اندازی نشده" in answer.text


@pytest.mark.parametrize(
    "path", ["/staging/oauth/interaction/x", "/sandbox/oauth/interaction/گذر", "/staging/permissions"]
)
async def test_place_that_is_none_looks_absent(site: Site, path: str) -> None:
    assert (await site.portal.browser().get(path)).status_code == 404


async def test_citizen_sees_and_withdraws_a_permission_with_effect_on_the_next_call(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    place = await site.arrive(browser, app)
    keys = ["patient/Observation.rs", "offline_access"]
    sent = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=keys)
    body = (await site.world.token(code_form(app.client_id, back(sent)["code"]))).json()
    await site.world.oauth.tokens.verify(body["access_token"], "sandbox", NOW)
    listed = await browser.get("/sandbox/permissions")
    assert "Nabz" in listed.text
    assert "دیدن نتایج آزمایش و علائم حیاتی" in listed.text
    action = re.search(r'action="(/sandbox/permissions/grt_\w+/withdraw)"', listed.text)
    assert action is not None
    done = await browser.submit(action.group(1), on="/sandbox/permissions")
    assert done.status_code == 303
    with pytest.raises(Exception, match="revoked"):
        site.world.oauth.tokens.cached(body["access_token"], "sandbox", NOW.timestamp())
    assert (await site.world.refresh(app, body["refresh_token"])).json()["error"] == "invalid_grant"
    again = await browser.submit(action.group(1), on="/sandbox/permissions")
    assert again.status_code == 404


async def test_permission_of_another_person_cannot_be_withdrawn(site: Site) -> None:
    app, browser, other = await site.world.app(public=True), site.portal.browser(), site.portal.browser()
    place = await site.arrive(browser, app)
    await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    listed = await browser.get("/sandbox/permissions")
    action = re.search(r'action="(/sandbox/permissions/grt_\w+/withdraw)"', listed.text)
    assert action is not None
    begun = f"/sandbox/permissions?app={app.client_id}"
    await other.submit(f"/sandbox/permissions/sign-in?app={app.client_id}", on=begun, person="Patient/p2")
    assert (await other.submit(action.group(1), on="/sandbox/permissions")).status_code == 404
    assert "هنوز به برنامه‌ای اجازه نداده‌اید" in (await other.get("/sandbox/permissions")).text


async def test_signing_out_ends_the_citizens_session(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    await site.arrive(browser, app)
    await browser.submit("/sandbox/permissions/sign-out", on="/sandbox/permissions")
    assert "شناسهٔ برنامه" in (await browser.get("/sandbox/permissions")).text


async def test_unknown_app_on_the_permissions_page_is_told_beside_the_field(site: Site) -> None:
    answer = await site.portal.browser().get("/sandbox/permissions?app=gz_nobody")
    assert "برنامه‌ای با این شناسه نیست" in answer.text


async def _simulator(site: Site) -> tuple[MadeApp, Browser, str]:
    app = await site.world.app(public=True)
    browser = await site.portal.signed_in_browser("dev@example.ir")
    async with transaction(site.world.maker) as session:
        user = (await session.scalars(select(User).where(User.email == "dev@example.ir"))).one()
        session.add(Membership(company_id=app.company_id, user_id=user.id, role=MemberRole.DEVELOPER, created_at=NOW))
    return app, browser, f"/apps/{app.app_id}/launch"


LAUNCH = {
    "practitioner": "Practitioner/d1",
    "patient": "p2",
    "encounter": "e1",
    "fault": "",
    "launch_url": "https://app.test/launch",
}


async def _launched(site: Site, fault: str = "") -> tuple[MadeApp, Browser, str]:
    app, browser, page = await _simulator(site)
    answer = await browser.submit(page, **{**LAUNCH, "fault": fault})
    assert answer.status_code == 200, answer.text
    found = re.search(r'href="(https://app\.test/launch\?[^"]+)"', answer.text)
    assert found is not None
    query = dict(parse_qsl(urlsplit(found.group(1).replace("&amp;", "&")).query))
    assert query["iss"] == f"{PUBLIC_URL}/sandbox/fhir/R4"
    return app, browser, query["launch"]


async def test_launch_from_the_record_system_brings_its_context(site: Site) -> None:
    app, browser, launch = await _launched(site)
    scope = "launch patient/Observation.rs openid fhirUser"
    place = await site.begin(browser, app, scope=scope, launch=launch)
    assert "دکتر سارا احمدی" in (await browser.get(place)).text
    refused = await browser.submit(f"{place}/sign-in", on=place, person="Patient/p1")
    assert refused.status_code == 404
    await browser.submit(f"{place}/sign-in", on=place, person="Practitioner/d1")
    sent = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    body = (await site.world.token(code_form(app.client_id, back(sent)["code"]))).json()
    assert (body["patient"], body["encounter"], body["need_patient_banner"]) == ("p2", "e1", False)


async def test_launch_leads_to_one_grant(site: Site) -> None:
    app, browser, launch = await _launched(site)
    asked = {"scope": "launch patient/Observation.rs", "launch": launch}
    first = await site.arrive(browser, app, DOCTOR, **asked)
    second = await site.begin(browser, app, **asked)
    sent = await browser.submit(f"{first}/decision", on=first, decision="allow", scope=["patient/Observation.rs"])
    assert "code" in back(sent)
    again = await browser.get("/sandbox/oauth/authorize", params=authorization_form(app.client_id, **asked))
    assert back(again)["error"] == "invalid_request"
    late = await browser.submit(f"{second}/decision", on=second, decision="allow", scope=["patient/Observation.rs"])
    assert late.status_code in (404, 410) and "location" not in late.headers


@pytest.mark.parametrize("fault", ["denied", "wrong_state", "wrong_issuer", "expired_code", "no_patient"])
async def test_fault_of_the_simulator_is_played(site: Site, fault: str) -> None:
    app, browser, launch = await _launched(site, fault)
    place = await site.arrive(browser, app, DOCTOR, scope="launch patient/Observation.rs", launch=launch)
    sent = await browser.submit(f"{place}/decision", on=place, decision="allow", scope=["patient/Observation.rs"])
    answer = back(sent)
    assert (answer.get("error") == "access_denied") is (fault == "denied")
    assert (answer["state"] != "s" * 22) is (fault == "wrong_state")
    assert (answer["iss"] != f"{PUBLIC_URL}/sandbox") is (fault == "wrong_issuer")
    if fault in ("expired_code", "no_patient"):
        redeemed = (await site.world.token(code_form(app.client_id, answer["code"]))).json()
        assert (redeemed.get("error") == "invalid_grant") is (fault == "expired_code")
        assert "patient" not in redeemed


async def test_launch_is_forgotten_after_ten_minutes_and_foreign_to_other_apps(site: Site) -> None:
    app, browser, launch = await _launched(site)
    other = await site.world.app(public=True)
    for target, wait in ((other, 0), (app, 10)):
        site.world.clock.advance(timedelta(minutes=wait))
        form = authorization_form(target.client_id, scope="launch patient/Observation.rs", launch=launch)
        answer = await browser.get("/sandbox/oauth/authorize", params=form)
        assert back(answer)["error"] == "invalid_request"


async def test_unknown_launch_fault_looks_like_an_unknown_launch(site: Site) -> None:
    app, browser, launch = await _launched(site, "unknown_launch")
    form = authorization_form(app.client_id, scope="launch patient/Observation.rs", launch=launch)
    assert back(await browser.get("/sandbox/oauth/authorize", params=form))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "launch_url",
    [
        "https://evil.test/launch",
        "javascript:alert(1)",
        "https://app.test\\@evil.test/",
        "https://app.test/#x",
        "",
        "http://[",
    ],
)
async def test_simulator_opens_the_apps_own_origin_only(site: Site, launch_url: str) -> None:
    _, browser, page = await _simulator(site)
    answer = await browser.submit(page, **{**LAUNCH, "launch_url": launch_url})
    assert answer.status_code == 422
    assert "هم‌مبدأ" in answer.text


async def test_simulator_of_another_company_looks_absent(site: Site) -> None:
    _, browser, _ = await _simulator(site)
    other = await site.world.app(public=True)
    assert (await browser.get(f"/apps/{other.app_id}/launch")).status_code == 404
    async with site.portal.browser() as visitor:
        assert (await visitor.get(f"/apps/{other.app_id}/launch")).status_code == 303


async def test_unusable_request_is_shown_to_a_person_as_a_page(site: Site) -> None:
    app, browser = await site.world.app(public=True), site.portal.browser()
    form = authorization_form(app.client_id, redirect_uri="https://evil.test/")
    answer = await browser.get("/sandbox/oauth/authorize", params=form)
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")
    assert "برنامه درخواستی فرستاده است که پذیرفته نیست" in answer.text
    assert 'href="https://evil.test' not in answer.text
