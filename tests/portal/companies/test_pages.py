"""Companies on the pages."""

from __future__ import annotations

import re

from tests.factories.companies import national_id
from tests.factories.portal_app import PASSWORD, Portal


async def test_the_path_of_a_company_on_pages(portal: Portal) -> None:
    owner = await portal.signed_in_browser("owner@example.ir", name="مالک شرکت")
    wrong = await owner.submit("/companies/new", name="سلامت‌یار", national_id="10380284791")
    assert wrong.status_code == 422 and 'id="national_id-error"' in wrong.text and "رقم کنترل" in wrong.text
    made = await owner.submit("/companies/new", name="سلامت‌یار", national_id=national_id())
    assert made.status_code == 303
    company = made.headers["location"].rsplit("/", 1)[1]
    members = f"/companies/{company}/members"
    sent = await owner.submit(f"/companies/{company}/invitations", on=members, email="dev@example.ir", role="developer")
    assert sent.status_code == 303 and "دعوت‌نامه فرستاده شد" in (await owner.get(members)).text
    assert "دعوت‌نامه فرستاده شد" not in (await owner.get(members)).text
    found = re.search(r"http://gozar.test(/invitations/\S+)", portal.mailer.sent[-1].text)
    assert found is not None
    link = found.group(1)
    async with portal.browser() as visitor:
        assert "dev@example.ir" in (await visitor.get(link)).text
    colleague = await portal.signed_in_browser("dev@example.ir")
    joined = await colleague.submit(link)
    assert joined.status_code == 303
    assert "owner@example.ir" in (await colleague.get(members)).text
    gone = await colleague.get(link)
    assert gone.status_code == 404 and "text/html" in gone.headers["content-type"]


async def test_pages_of_another_company_look_absent_and_visitors_are_sent_to_sign_in(portal: Portal) -> None:
    owner = await portal.signed_in_browser("owner@example.ir")
    made = await owner.submit("/companies/new", name="سلامت‌یار", national_id=national_id())
    company = made.headers["location"].rsplit("/", 1)[1]
    stranger = await portal.signed_in_browser("x@example.ir")
    for path in (f"/companies/{company}/members", f"/companies/{company}/settings"):
        assert (await stranger.get(path)).status_code == 404
        async with portal.browser() as visitor:
            assert (await visitor.get(path)).headers["location"] == f"/sign-in?next={path}"
    standing = await stranger.get("/profile")
    token = standing.text.split('name="csrf_token" value="')[1].split('"')[0]
    for path in ("settings", "invitations", "members/x/role", "members/x/remove", "invitations/x/withdraw"):
        assert (await stranger.post(f"/companies/{company}/{path}", data={"csrf_token": token})).status_code == 404


async def test_a_developer_sees_members_but_no_controls(portal: Portal) -> None:
    owner = await portal.signed_in_browser("owner@example.ir")
    made = await owner.submit("/en/companies/new", name="Salamat", national_id=national_id())
    company = made.headers["location"].rsplit("/", 1)[1]
    await owner.submit(
        f"/companies/{company}/invitations", on=f"/companies/{company}/members", email="v@example.ir", role="viewer"
    )
    link = portal.mailer.sent[-1].text.split("http://gozar.test")[1].split()[0]
    viewer = await portal.signed_in_browser("v@example.ir", password=PASSWORD)
    await viewer.submit(link)
    page = await viewer.get(f"/en/companies/{company}/members")
    assert page.status_code == 200 and "/role" not in page.text and "Invite a colleague" not in page.text
    answer = await viewer.submit(f"/companies/{company}/settings", on=f"/companies/{company}/members", name="Mine")
    assert answer.status_code == 403


async def test_reviewers_alone_see_the_list_to_verify(portal: Portal) -> None:
    owner = await portal.signed_in_browser("owner@example.ir")
    assert (await owner.get("/verification")).status_code == 403
