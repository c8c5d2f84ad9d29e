"""The pages of promotion, without a browser: the Company's way, the desk, documents, the register."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from portal.conformance.dependencies import Ports, conformance_dependency
from portal.conformance.hand import HandFailed
from portal.kernel.blobs import MemoryBlobs
from portal.kernel.database import transaction
from portal.kernel.signing import PortalSigner
from portal.reviews import questionnaire
from portal.reviews.dependencies import blobs_dependency
from portal.reviews.routes import routes as review_routes
from portal.users import pages as users_pages
from portal.users.passwords import hash_password
from tests.factories.portal_app import PASSWORD, Browser, Portal, portal_app
from tests.portal.reviews.world import PLAIN, SENSITIVE, WHY, build, good_answers

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


class NoHand:
    async def get(self, tenant: str, path: str) -> object:
        raise HandFailed("there is no exchange here")

    async def send(self, tenant: str, method: str, path: str, resource: dict[str, object]) -> object:
        raise HandFailed("there is no exchange here")


@pytest.fixture
async def portal(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Portal]:
    ports = Ports(NoHand(), PortalSigner(b"s" * 32))
    routes = [*users_pages.routes, *review_routes]
    given = {**conformance_dependency(ports), **blobs_dependency(MemoryBlobs())}
    async with portal_app(migrated_portal, tmp_path, routes, dependencies=given) as made:
        hashed = await hash_password(PASSWORD)
        async with transaction(made.sessions) as session:
            world = await build(session)
            for user in (world.owner, world.viewer, world.stranger, world.first, world.second):
                user.password_hash = hashed
        yield made


async def signed_in(portal: Portal, name: str) -> Browser:
    browser = portal.browser()
    answer = await browser.submit("/sign-in", email=f"{name}@example.org", password=PASSWORD)
    assert answer.status_code == 303, answer.text
    return browser


async def started(browser: Browser) -> str:
    await browser.submit("/apps/app_1/review")
    shown = await browser.get("/apps/app_1/review")
    found = re.search(r"/reviews/(rev_\w+)/scopes", shown.text)
    assert found is not None, shown.text
    return found.group(1)


async def filled(browser: Browser, review: str, *scopes: str) -> None:
    chosen = {"scopes": list(scopes), **{f"scopes.{scope}": WHY for scope in scopes}}
    answer = await browser.submit(f"/reviews/{review}/scopes", **chosen)
    assert answer.status_code == 303, answer.text
    for section in questionnaire.sections():
        ids = {question.id for question in section.questions}
        fields = {f"answers.{key}": value for key, value in good_answers().items() if key in ids}
        answer = await browser.submit(f"/reviews/{review}/questions/{section.id}", **fields)
        assert answer.status_code == 303, f"{section.id}: {answer.text}"


async def test_from_task_list_to_a_reference_number_and_to_production(portal: Portal) -> None:
    owner = await signed_in(portal, "owner")
    review = await started(owner)
    await filled(owner, review, PLAIN, SENSITIVE)
    answer = await owner.submit(f"/reviews/{review}/submit", on=f"/reviews/{review}/check")
    assert answer.status_code == 422, "the declaration is not ticked"
    answer = await owner.submit(f"/reviews/{review}/submit", on=f"/reviews/{review}/check", declared="yes")
    assert answer.headers["location"] == f"/reviews/{review}?sent=1"
    shown = await owner.get(answer.headers["location"])
    assert re.search(r"GZ-[2-9A-Z]{4}-[2-9A-Z]{4}", shown.text)
    assert "۱۰" in shown.text, "the expected working days"
    first, second = await signed_in(portal, "first"), await signed_in(portal, "second")
    queue = await first.get("/desk?sensitive=1&assigned=none")
    assert review in queue.text
    verdict = {f"scopes.{PLAIN}": "yes", f"scopes.{SENSITIVE}": "yes", "outcome": "approve"}
    refused = await first.submit(f"/desk/{review}/decide", on=f"/desk/{review}", **verdict)
    assert refused.status_code == 422, "there is no evidence and no reason was given"
    verdict["evidence_exception"] = "observed at the clinic"
    assert (await first.submit(f"/desk/{review}/decide", on=f"/desk/{review}", **verdict)).status_code == 303
    assert 'value="confirm"' not in (await first.get(f"/desk/{review}")).text
    assert (await second.submit(f"/desk/{review}/decide", on=f"/desk/{review}", outcome="confirm")).status_code == 303
    assert "تأیید شد" in (await owner.get(f"/reviews/{review}")).text
    assert PLAIN in (await portal.browser().get("/register")).text
    assert PLAIN in (await portal.browser().get("/en/register?text=%D8%AF%D8%A7%D8%B1%D9%88")).text


async def test_a_step_saves_what_was_typed_and_names_what_is_missing(portal: Portal) -> None:
    owner = await signed_in(portal, "owner")
    review = await started(owner)
    path = f"/reviews/{review}/questions/business"
    answer = await owner.submit(path, **{"answers.purpose": "short", "answers.expected_users": "۱۲۰۰"})
    assert answer.status_code == 422
    assert 'href="#answers.purpose"' in answer.text
    assert 'href="#answers.expected_users"' not in answer.text, "Persian digits are digits"
    later = await owner.submit(path, **{"answers.purpose": "still short", "then": "later"})
    assert later.headers["location"] == "/apps/app_1/review"
    shown = await owner.get(path)
    assert "still short" in shown.text
    assert 'value="1200"' in shown.text


@pytest.mark.parametrize(
    ("content", "kept"),
    [(PDF, True), (b"<html>%PDF-", False), (b"%PDF-1.7 cut", False), (b"", False), (b"MZ" + PDF, False)],
)
async def test_only_real_pdfs_are_kept(portal: Portal, content: bytes, kept: bool) -> None:
    owner = await signed_in(portal, "owner")
    review = await started(owner)
    page = f"/reviews/{review}/questions/privacy-policy"
    token = re.search(r'name="csrf_token" value="(\w+)"', (await owner.get(page)).text)
    assert token is not None
    sent = await owner.post(
        f"/reviews/{review}/upload/policy_file",
        data={"csrf_token": token.group(1)},
        files={"file": ("../../سیاست.pdf", content, "application/pdf")},
    )
    assert sent.status_code == (303 if kept else 422), sent.text
    assert ('href="#answers.policy_file"' in sent.text) != kept, "what is wrong is said beside the field"
    links = re.findall(rf"/reviews/{review}/files/att_\w+(?=\")", (await owner.get(page)).text)
    assert bool(links) == kept
    if kept:
        got = await owner.get(links[0])
        assert got.content == PDF
        names = f"filename*=UTF-8''{quote('سیاست.pdf')}"
        assert got.headers["content-disposition"].endswith(names), "no folder of the sender's"
        assert got.headers["content-disposition"].startswith("attachment; ")
        assert got.headers["x-content-type-options"] == "nosniff"
        for who in ("stranger", "first"):
            assert (await (await signed_in(portal, who)).get(links[0])).status_code == 404, (
                "drafts stay with the company"
            )
        assert (await portal.browser().get(links[0])).status_code == 303, "sign in first"


async def test_an_oversize_document_is_refused_kindly(portal: Portal) -> None:
    owner = await signed_in(portal, "owner")
    review = await started(owner)
    page = f"/reviews/{review}/questions/privacy-policy"
    token = re.search(r'name="csrf_token" value="(\w+)"', (await owner.get(page)).text)
    assert token is not None
    big = b"%PDF-1.7" + b"0" * (10 * 1024 * 1024) + b"%%EOF"
    sent = await owner.post(
        f"/reviews/{review}/upload/policy_file",
        data={"csrf_token": token.group(1)},
        files={"file": ("a.pdf", big, "application/pdf")},
    )
    assert sent.status_code in (413, 422)
    assert "files/att_" not in (await owner.get(page)).text


async def test_every_page_is_closed_to_the_wrong_reader(portal: Portal) -> None:
    owner = await signed_in(portal, "owner")
    review = await started(owner)
    await filled(owner, review, PLAIN)
    company = [
        "/apps/app_1/review",
        *(f"/reviews/{review}/{part}" for part in ("scopes", "evidence", "check", "questions/business")),
    ]
    stranger = await signed_in(portal, "stranger")
    for path in company:
        assert (await owner.get(path)).status_code == 200, path
        assert (await stranger.get(path)).status_code == 404, path
        assert (await portal.browser().get(path)).status_code == 303, path
    for path in ("/desk", f"/desk/{review}", "/suspensions"):
        assert (await owner.get(path)).status_code == 403, path
        assert (await portal.browser().get(path)).status_code == 303, path
    first = await signed_in(portal, "first")
    assert (await first.get(f"/desk/{review}")).status_code == 404, "a draft is not the desk's business"


async def test_a_kill_switch_shows_what_it_hits_and_lifting_takes_two(portal: Portal) -> None:
    first, second = await signed_in(portal, "first"), await signed_in(portal, "second")
    shown = await first.get("/suspensions?target=app&id=app_1")
    assert "همراه دارو" in shown.text
    cut = {"target": "app", "id": "app_1", "grade": "involuntary", "reason_code": "abuse"}
    answer = await first.submit("/suspensions", on="/suspensions?target=app&id=app_1", **cut)
    assert answer.status_code == 303
    assert (await first.submit("/suspensions", **{**cut, "id": "app_none"})).status_code == 422
    case = answer.headers["location"]
    assert re.fullmatch(r"/suspensions/sus_\w+", case)
    assert case in (await first.get("/suspensions")).text
    short = await first.submit(f"{case}/lift", on=case, reason="no")
    assert short.status_code == 422
    assert 'href="#reason"' in short.text
    await first.submit(f"{case}/lift", on=case, reason="the cause is mended")
    assert "I confirm the lift" not in (await first.get(f"/en{case}")).text, "one reviewer alone lifts nothing"
    await second.submit(f"{case}/decline", on=case)
    assert "Propose to lift" in (await second.get(f"/en{case}")).text
    await first.submit(f"{case}/lift", on=case, reason="the cause is mended, truly")
    assert "I confirm the lift" in (await second.get(f"/en{case}")).text
    await second.submit(f"{case}/lift", on=case)
    assert "Lifted" in (await first.get(f"/en{case}")).text


async def test_incident_notes_reach_those_they_are_for(portal: Portal) -> None:
    first, owner = await signed_in(portal, "first"), await signed_in(portal, "owner")
    cut = {"target": "company", "id": "com_1", "grade": "limited", "reason_code": "incident"}
    case = (await first.submit("/suspensions", on="/suspensions?target=company&id=com_1", **cut)).headers["location"]
    for audience, body in (("internal", "ring the officer"), ("company", "send us the log"), ("public", "looked into")):
        assert (await first.submit(f"{case}/notes", on=case, audience=audience, body=body)).status_code == 303
    assert (await first.submit(f"{case}/notes", on=case, audience="public", body=" ")).status_code == 422
    shown = (await owner.get("/apps/app_1/access")).text
    assert "ring the officer" not in shown
    assert "send us the log" in shown
    assert "looked into" in shown
    assert (await owner.get(case)).status_code == 403
    assert (await (await signed_in(portal, "stranger")).get("/apps/app_1/access")).status_code == 404


async def test_an_owner_cuts_its_own_app_off_and_opens_it_again(portal: Portal) -> None:
    owner, viewer = await signed_in(portal, "owner"), await signed_in(portal, "viewer")
    page = "/apps/app_1/access"
    assert "stop-title" not in (await viewer.get(page)).text
    assert (await viewer.submit(page, reason_code="incident")).status_code == 403
    assert (await owner.submit(page, reason_code="whim")).status_code == 422
    assert (await owner.submit(page, reason_code="incident", reason="a key has leaked")).status_code == 303
    shown = (await owner.get(page)).text
    found = re.search(rf"{page}/sus_\w+/resumption", shown)
    assert found is not None
    assert "stop-title" not in shown, "it is cut already"
    assert (await viewer.submit(found.group(0), on=page)).status_code == 404
    assert (await owner.submit(found.group(0), on=page)).status_code == 303
    assert "stop-title" in (await owner.get(page)).text


async def test_what_the_ministry_cut_no_owner_opens(portal: Portal) -> None:
    first, owner = await signed_in(portal, "first"), await signed_in(portal, "owner")
    cut = {"target": "app", "id": "app_1", "grade": "involuntary", "reason_code": "abuse"}
    case = (await first.submit("/suspensions", on="/suspensions?target=app&id=app_1", **cut)).headers["location"]
    page = "/apps/app_1/access"
    answer = await owner.submit(f"{page}/{case.rpartition('/')[2]}/resumption", on=page)
    assert answer.status_code == 404


async def test_company_proofs_are_sent_by_the_owner_and_judged_at_the_desk(portal: Portal) -> None:
    owner, first = await signed_in(portal, "owner"), await signed_in(portal, "first")
    path = "/companies/com_1/proofs"
    wrong = await owner.submit(path, kind="domain", subject="not a domain")
    assert wrong.status_code == 422
    assert (await owner.submit(path, kind="domain", subject="example.ir")).status_code == 303
    assert "gozar-domain-proof=" in (await owner.get(path)).text
    assert (await owner.submit(path, kind="identity", subject="ثبت ۱۲۳۴۵")).status_code == 303
    found = re.search(r"/proofs/(prf_\w+)\"", (await first.get("/proofs")).text)
    assert found is not None
    judged = await first.submit(f"/proofs/{found.group(1)}", on="/proofs", verdict="accept")
    assert judged.status_code == 303
    assert "پذیرفته" in (await owner.get(path)).text
    assert (await (await signed_in(portal, "stranger")).get(path)).status_code == 404
    assert (await owner.get("/proofs")).status_code == 403
