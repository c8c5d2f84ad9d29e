"""The JSON API of promotion, as scripts of a company and of the desk use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal.kernel.blobs import MemoryBlobs
from portal.kernel.database import transaction
from portal.reviews import api, attachment_api, desk_api, suspension_api
from portal.reviews.dependencies import blobs_dependency
from portal.users import api as users_api
from portal.users.service import make_personal_token
from tests.factories.portal_app import Portal, portal_app
from tests.portal.reviews.world import NOW, PLAIN, SENSITIVE, WHY, World, build, good_answers


@dataclass
class Desk:
    """Signed-in scripts of everybody in the world."""

    portal: Portal
    world: World
    tokens: dict[str, str]

    def of(self, name: str) -> httpx.AsyncClient:
        return self.portal.script(self.tokens.get(name, ""))


@pytest.fixture
async def desk(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    routes = [*users_api.routes, *api.routes, *attachment_api.routes, *desk_api.routes, *suspension_api.routes]
    given = blobs_dependency(MemoryBlobs())
    async with portal_app(migrated_portal, tmp_path, routes, dependencies=given) as portal:
        async with transaction(portal.sessions) as session:
            world = await build(session)
            tokens = {}
            for name in ("owner", "viewer", "stranger", "first", "second", "admin"):
                _, plain = await make_personal_token(
                    session, user=getattr(world, name), name="test", now=portal.clock.now(), lasts=timedelta(days=30)
                )
                tokens[name] = plain
        yield Desk(portal, world, tokens)


async def call(desk: Desk, who: str, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    async with desk.of(who) as client:
        answer = (
            await client.request(method, f"/api/v1{path}", json=body)
            if body is not None
            else await client.request(method, f"/api/v1{path}")
        )
    assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


async def submitted(desk: Desk, *scopes: str) -> str:
    made = await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201)
    draft = {"answers": good_answers(), "scopes": dict.fromkeys(scopes or (PLAIN,), WHY), "app_version": "2.1.0"}
    await call(desk, "owner", "PATCH", f"/reviews/{made['id']}", draft)
    assert await call(desk, "owner", "GET", f"/reviews/{made['id']}/missing") == []
    await call(desk, "owner", "POST", f"/reviews/{made['id']}/submit")
    return str(made["id"])


async def test_from_draft_to_production_with_two_reviewers(desk: Desk) -> None:
    review = await submitted(desk, PLAIN, SENSITIVE)
    seen = await call(desk, "owner", "GET", f"/reviews/{review}")
    assert (seen["status"], seen["position"], seen["days_left"]) == ("submitted", 1, 10)
    queue = await call(desk, "first", "GET", "/reviews?sensitive=true")
    assert [row["id"] for row in queue["items"]] == [review]
    assert queue["counts"]["submitted"] == 1
    await call(desk, "first", "POST", f"/reviews/{review}/assign", {"reviewer": "me"})
    changes = await call(desk, "first", "GET", f"/reviews/{review}/differences")
    assert {row["area"] for row in changes} >= {"scopes", "redirects", "answers"}
    verdict = {
        "scopes": {PLAIN: {"approved": True}, SENSITIVE: {"approved": True}},
        "evidence_exception": "observed at the clinic",
        "conditions": ["Report monthly"],
    }
    await call(desk, "first", "POST", f"/reviews/{review}/approve", verdict)
    shown = await call(desk, "owner", "GET", f"/reviews/{review}")
    assert shown["status"] == "awaiting_second"
    assert shown["decisions"] == [], "a proposal is not shown to the company"
    await call(desk, "first", "POST", f"/reviews/{review}/confirm", status=403)
    await call(desk, "second", "POST", f"/reviews/{review}/confirm")
    shown = await call(desk, "owner", "GET", f"/reviews/{review}")
    assert shown["status"] == "approved"
    assert shown["decisions"][0]["conditions"] == ["Report monthly"]
    record = await call(desk, "owner", "GET", f"/reviews/{review}/record")
    assert [entry["action"] for entry in record] == [
        "review.started",
        "review.submitted",
        "review.assigned",
        "review.proposed",
        "review.approved",
    ]


async def test_the_queue_filters_and_pages(desk: Desk) -> None:
    review = await submitted(desk)
    for query, found in (
        ("assigned=none", 1),
        (f"assigned={desk.world.first.id}", 0),
        ("product=health-record", 1),
        ("product=prescriptions", 0),
        ("overdue=true", 0),
        ("kind=production", 1),
        ("text=همراه", 1),
        ("text=%25", 1),
        ("text=nothing", 0),
    ):
        queue = await call(desk, "first", "GET", f"/reviews?{query}")
        assert len(queue["items"]) == found, query
    await call(desk, "first", "GET", "/reviews?after=nonsense", status=422)
    load = await call(desk, "first", "GET", "/reviews/load")
    assert {row["in_hand"] for row in load} == {0}
    await call(desk, "first", "POST", f"/reviews/{review}/assign", {"reviewer": desk.world.second.id})
    load = await call(desk, "first", "GET", "/reviews/load")
    assert load[-1] == {"reviewer": desk.world.second.id, "name": "second", "in_hand": 1}


async def test_suspension_and_reinstatement(desk: Desk) -> None:
    cut = {
        "target": "app",
        "id": "app_1",
        "grade": "involuntary",
        "reason_code": "data-leak",
        "reason": "Under inquiry",
    }
    made = await call(desk, "first", "POST", "/suspensions", cut, 201)
    assert len(await call(desk, "second", "GET", "/suspensions")) == 1
    await call(
        desk,
        "first",
        "POST",
        f"/suspensions/{made['id']}/notes",
        {"body": "We look into it", "audience": "public"},
        204,
    )
    await call(desk, "owner", "POST", f"/suspensions/{made['id']}/lift", {"reason": "please, it is mended"}, 404)
    await call(desk, "first", "POST", f"/suspensions/{made['id']}/lift", {"reason": "the leak is closed"})
    await call(desk, "first", "POST", f"/suspensions/{made['id']}/confirm-lift", status=403)
    lifted = await call(desk, "second", "POST", f"/suspensions/{made['id']}/confirm-lift")
    assert lifted["lifted_at"] is not None
    assert await call(desk, "second", "GET", "/suspensions") == []
    for wrong, field in (
        ({"target": "planet"}, "target"),
        ({"grade": "harsh"}, "grade"),
        ({"reason_code": "whim"}, "reason_code"),
    ):
        problem = await call(desk, "first", "POST", "/suspensions", {**cut, **wrong}, 422)
        assert problem["errors"][0]["field"] == field


COMPANY_ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"app_version": "2"}),
    ("GET", "/missing", None),
    ("POST", "/submit", None),
    ("POST", "/withdraw", None),
    ("POST", "/appeal", {"grounds": WHY}),
    ("POST", "/comments", {"body": "hm"}),
    ("GET", "/record", None),
]
DESK_ROUTES = [
    ("GET", "/differences", None),
    ("POST", "/assign", {"reviewer": "me"}),
    ("POST", "/checklist", {"item": "company"}),
    ("POST", "/approve", {"scopes": {}}),
    ("POST", "/confirm", None),
    ("POST", "/decline", {}),
    ("POST", "/reject", {"reason_code": "privacy"}),
    ("POST", "/request-changes", {"reason_code": "privacy", "reason": "mend the policy"}),
]


async def test_no_route_opens_to_the_wrong_caller(desk: Desk) -> None:
    review = await submitted(desk)
    for method, path, body in COMPANY_ROUTES:
        await call(desk, "nobody", method, f"/reviews/{review}{path}", body, 401)
        await call(desk, "stranger", method, f"/reviews/{review}{path}", body, 404)
        await call(desk, "owner", method, f"/reviews/rev_none{path}", body, 404)
    for method, path, body in DESK_ROUTES:
        await call(desk, "nobody", method, f"/reviews/{review}{path}", body, 401)
        await call(desk, "owner", method, f"/reviews/{review}{path}", body, 403)
        await call(desk, "first", method, f"/reviews/rev_none{path}", body, 404)
    for path in ("/reviews", "/reviews/load", "/suspensions"):
        await call(desk, "nobody", "GET", path, status=401)
        await call(desk, "owner", "GET", path, status=403)


async def test_a_draft_is_nobody_elses_business(desk: Desk) -> None:
    made = await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201)
    await call(desk, "first", "GET", f"/reviews/{made['id']}", status=404)
    await call(desk, "viewer", "GET", f"/reviews/{made['id']}")
    await call(desk, "viewer", "PATCH", f"/reviews/{made['id']}", {"app_version": "2"}, 403)


@pytest.mark.parametrize(
    "body",
    [
        {"unknown": 1},
        {"answers": []},
        {"scopes": {"x": 5}},
        {"answers": {"purpose": None}},
        {"app_version": "1 <script>"},
        {"evidence": "ev_none"},
        {"scopes": {"no/Such.scope": "x"}},
    ],
)
async def test_bad_bodies_are_named_and_change_nothing(desk: Desk, body: dict[str, Any]) -> None:
    made = await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201)
    async with desk.of("owner") as client:
        answer = await client.patch(f"/api/v1/reviews/{made['id']}", json=body)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    seen = await call(desk, "owner", "GET", f"/reviews/{made['id']}")
    assert (seen["answers"], seen["scopes"], seen["app_version"]) == ({}, [], "1.0.0")


async def test_the_questionnaire_is_public_and_versioned(desk: Desk) -> None:
    shown = await call(desk, "nobody", "GET", "/questionnaire")
    assert len(shown["sections"]) == 6
    assert shown["policy_version"] == "1405.1"
    assert desk.portal.clock.now() > NOW


PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"


async def send(desk: Desk, who: str, path: str, content: bytes, kind: str = "application/pdf") -> httpx.Response:
    async with desk.of(who) as client:
        return await client.post(f"/api/v1{path}", content=content, headers={"content-type": kind})


async def test_documents_travel_by_api_for_those_concerned_only(desk: Desk) -> None:
    review = (await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201))["id"]
    path = f"/reviews/{review}/attachments"
    made = await send(desk, "owner", f"{path}/policy_file?name=..%2F..%2Fetc%2Fpa%22ss%0d%0awd.PDF", PDF)
    assert made.status_code == 201, made.text
    info = made.json()
    assert (info["name"], info["size"], info["question"]) == ("pa ss wd.pdf", len(PDF), "policy_file")
    assert [row["id"] for row in await call(desk, "owner", "GET", path)] == [info["id"]]
    async with desk.of("owner") as client:
        got = await client.get(f"/api/v1{path}/{info['id']}/content")
    assert got.content == PDF
    assert got.headers["content-type"] == "application/pdf"
    assert got.headers["content-disposition"].startswith("attachment; ")
    for who, status in (("nobody", 401), ("stranger", 404), ("first", 404)):
        await call(desk, who, "GET", f"{path}/{info['id']}/content", status=status)
        await call(desk, who, "DELETE", f"{path}/{info['id']}", status=status)
        assert (await send(desk, who, f"{path}/policy_file", PDF)).status_code == status
    await call(desk, "viewer", "DELETE", f"{path}/{info['id']}", status=403)
    await call(desk, "owner", "DELETE", f"{path}/{info['id']}", status=204)
    await call(desk, "owner", "GET", f"{path}/{info['id']}/content", status=404)


@pytest.mark.parametrize(
    ("question", "content", "kind", "status"),
    [
        ("policy_file", b"<html>", "application/pdf", 422),
        ("policy_file", b"", "application/pdf", 422),
        ("policy_file", b"%PDF-1.7 cut", "application/pdf", 422),
        ("policy_file", PDF, "text/html", 415),
        ("policy_file", PDF, "application/json", 415),
        ("purpose", PDF, "application/pdf", 404),
        ("no-such", PDF, "application/pdf", 404),
        ("policy_file", b"%PDF-1.7" + b"0" * (11 * 1024 * 1024), "application/pdf", 413),
    ],
)
async def test_what_is_no_document_is_refused(
    desk: Desk, question: str, content: bytes, kind: str, status: int
) -> None:
    review = (await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201))["id"]
    answer = await send(desk, "owner", f"/reviews/{review}/attachments/{question}", content, kind)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert await call(desk, "owner", "GET", f"/reviews/{review}/attachments") == []


async def test_text_is_no_answer_where_a_document_is_asked_for(desk: Desk) -> None:
    review = (await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201))["id"]
    problem = await call(desk, "owner", "PATCH", f"/reviews/{review}", {"answers": {"policy_file": "deadbeef"}}, 422)
    assert problem["errors"][0]["field"] == "answers.policy_file"


async def test_a_document_goes_over_to_the_next_request(desk: Desk) -> None:
    review = await submitted(desk)
    await call(
        desk,
        "first",
        "POST",
        f"/reviews/{review}/request-changes",
        {"reason_code": "privacy", "reason": "attach your policy"},
    )
    await send(desk, "owner", f"/reviews/{review}/attachments/policy_file?name=policy.pdf", PDF)
    await call(desk, "owner", "POST", f"/reviews/{review}/submit")
    assert len(await call(desk, "first", "GET", f"/reviews/{review}/attachments")) == 1, "submitted: the desk reads it"
    assert (await send(desk, "owner", f"/reviews/{review}/attachments/policy_file", PDF)).status_code == 409
    await call(desk, "owner", "POST", f"/reviews/{review}/withdraw")
    again = (await call(desk, "owner", "POST", "/apps/app_1/reviews", status=201))["id"]
    assert [row["name"] for row in await call(desk, "owner", "GET", f"/reviews/{again}/attachments")] == ["policy.pdf"]


async def test_a_company_reads_its_suspensions_and_the_notes_meant_for_it(desk: Desk) -> None:
    cut = {"target": "app", "id": "app_1", "grade": "limited", "reason_code": "incident"}
    made = await call(desk, "first", "POST", "/suspensions", cut, 201)
    path = f"/suspensions/{made['id']}"
    for audience in ("internal", "company"):
        await call(desk, "first", "POST", f"{path}/notes", {"body": f"for {audience}", "audience": audience}, 204)
    own = await call(desk, "owner", "GET", "/apps/app_1/suspensions")
    assert [note["body"] for note in own[0]["notes"]] == ["for company"]
    assert len((await call(desk, "second", "GET", path))["notes"]) == 2
    await call(desk, "stranger", "GET", path, status=404)
    await call(desk, "stranger", "GET", "/apps/app_1/suspensions", status=404)
    await call(desk, "first", "POST", f"{path}/decline-lift", status=409)
