"""Companies through the JSON API: success, invalid, unauthenticated, other company."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.users.models import Role, User
from tests.factories.companies import national_id, registered
from tests.factories.portal_app import Portal


async def test_a_company_is_registered_read_and_changed(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    made = await registered(owner)
    assert made["role"] == "owner" and made["status"] == "unverified" and made["id"].startswith("com_")
    path = f"/api/v1/companies/{made['id']}"
    changed = await owner.patch(path, json={"name": "سلامت‌یار نو", "website": "https://example.ir"})
    assert changed.json()["name"] == "سلامت‌یار نو"
    assert (await owner.get(path)).json() == changed.json()
    assert [item["id"] for item in (await owner.get("/api/v1/companies")).json()] == [made["id"]]
    async with portal.sessions() as session:
        actions = list(await session.scalars(select(AuditEntry.action).where(AuditEntry.company_id == made["id"])))
    assert actions == ["company.registered", "company.changed"]


async def test_every_wrong_field_is_named(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    answer = await owner.post(
        "/api/v1/companies",
        json={"name": " ", "national_id": "12345678901", "certificate_number": "؟", "website": "nowhere"},
    )
    assert answer.status_code == 422 and answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [
        "name",
        "national_id",
        "certificate_number",
        "website",
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"name": 5, "national_id": "1"}', "application/json", 400),
        (b'{"name": "A", "national_id": "1", "status": "verified"}', "application/json", 400),
        (b"name=A", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"name": "' + b"a" * 300_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_does_not_fit_is_a_problem_never_a_500(
    portal: Portal, body: bytes, content_type: str, status: int
) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    answer = await owner.post("/api/v1/companies", content=body, headers={"content-type": content_type})
    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert problem["status"] == status and problem["title"] and problem["request_id"] == answer.headers["x-request-id"]


async def test_a_national_id_is_registered_once(portal: Portal) -> None:
    first, second = await portal.signed_in_script("a@example.ir"), await portal.signed_in_script("b@example.ir")
    await registered(first)
    answer = await second.post("/api/v1/companies", json={"name": "Other", "national_id": national_id()})
    assert answer.status_code == 409 and answer.json()["type"].endswith("#company-already-registered")


async def test_somebody_elses_company_looks_absent_on_every_route(portal: Portal) -> None:
    owner, stranger = await portal.signed_in_script("a@example.ir"), await portal.signed_in_script("b@example.ir")
    company = (await registered(owner))["id"]
    member = (await owner.get("/api/v1/me")).json()["id"]
    base = f"/api/v1/companies/{company}"
    for method, path, body in (
        ("GET", base, None),
        ("PATCH", base, {"name": "Mine now"}),
        ("GET", f"{base}/members", None),
        ("PATCH", f"{base}/members/{member}", {"role": "viewer"}),
        ("DELETE", f"{base}/members/{member}", None),
        ("GET", f"{base}/invitations", None),
        ("POST", f"{base}/invitations", {"email": "x@example.ir"}),
    ):
        hidden = await stranger.request(method, path, json=body)
        absent = await stranger.request(method, path.replace(company, "com_absent"), json=body)
        assert hidden.status_code == absent.status_code == 404, (method, path, hidden.text)
        assert hidden.json()["detail"] == absent.json()["detail"]
        async with portal.script() as nobody:
            unauthenticated = await nobody.request(method, path, json=body)
            assert unauthenticated.status_code == 401 and "www-authenticate" in unauthenticated.headers


async def test_a_colleague_joins_by_the_mailed_link_once_and_with_that_address_only(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    company = (await registered(owner))["id"]
    sent = await owner.post(
        f"/api/v1/companies/{company}/invitations", json={"email": "Dev@Example.ir", "role": "developer"}
    )
    assert sent.status_code == 201 and sent.json()["email"] == "dev@example.ir" and "token" not in sent.json()
    found = re.search(r"/invitations/(\S+)", portal.mailer.sent[-1].text)
    assert found is not None
    token = found.group(1)
    stranger, colleague = await portal.signed_in_script("x@example.ir"), await portal.signed_in_script("dev@example.ir")
    portal.clock.advance(timedelta(minutes=1))
    refused = await stranger.post("/api/v1/invitations/acceptance", json={"token": token})
    assert refused.status_code == 409
    joined = await colleague.post("/api/v1/invitations/acceptance", json={"token": token})
    assert joined.status_code == 200 and joined.json()["role"] == "developer"
    assert (await colleague.post("/api/v1/invitations/acceptance", json={"token": token})).status_code == 404
    assert (await colleague.patch(f"/api/v1/companies/{company}", json={"name": "Mine"})).status_code == 403
    assert [m["role"] for m in (await owner.get(f"/api/v1/companies/{company}/members")).json()] == [
        "owner",
        "developer",
    ]


async def test_an_invitation_expires_and_can_be_withdrawn(portal: Portal) -> None:
    owner, colleague = (
        await portal.signed_in_script("owner@example.ir"),
        await portal.signed_in_script("dev@example.ir"),
    )
    company = (await registered(owner))["id"]
    base = f"/api/v1/companies/{company}/invitations"
    first = (await owner.post(base, json={"email": "dev@example.ir"})).json()
    token = portal.mailer.sent[-1].text.split("/invitations/")[1].split()[0]
    assert (await owner.delete(f"{base}/{first['id']}")).status_code == 204
    assert (await colleague.post("/api/v1/invitations/acceptance", json={"token": token})).status_code == 404
    await owner.post(base, json={"email": "dev@example.ir"})
    token = portal.mailer.sent[-1].text.split("/invitations/")[1].split()[0]
    portal.clock.advance(timedelta(days=14, seconds=1))
    again = await portal.signed_in_script("dev@example.ir")
    assert (await again.post("/api/v1/invitations/acceptance", json={"token": token})).status_code == 404


async def test_a_company_keeps_at_least_one_owner(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    company, me = (await registered(owner))["id"], (await owner.get("/api/v1/me")).json()["id"]
    path = f"/api/v1/companies/{company}/members/{me}"
    for answer in (await owner.patch(path, json={"role": "viewer"}), await owner.delete(path)):
        assert answer.status_code == 409 and answer.json()["type"].endswith("#last-owner")


async def test_only_reviewers_verify_and_a_new_name_is_verified_again(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    company = (await registered(owner))["id"]
    path = f"/api/v1/companies/{company}"
    assert (await owner.put(f"{path}/verification", json={"status": "verified"})).status_code == 403
    officer = await portal.signed_in_script("officer@example.ir")
    async with portal.sessions.begin() as session:
        (await session.scalars(select(User).where(User.email == "officer@example.ir"))).one().role = Role.REVIEWER
    assert (await officer.put(f"{path}/verification", json={"status": "rejected"})).status_code == 422
    assert (await officer.put(f"{path}/verification", json={"status": "verified"})).status_code == 200
    assert (await owner.get(path)).json()["status"] == "verified"
    await owner.patch(path, json={"website": "https://example.ir"})
    assert (await owner.get(path)).json()["status"] == "verified"
    await owner.patch(path, json={"name": "Another name"})
    assert (await owner.get(path)).json()["status"] == "unverified"
