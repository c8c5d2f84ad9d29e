"""The JSON API of promotion, as scripts of a company and of the desk use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from portal.kernel.database import transaction
from portal.reviews import api, desk_api
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
    routes = [*users_api.routes, *api.routes, *desk_api.routes]
    async with portal_app(migrated_portal, tmp_path, routes) as portal:
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
