"""Steps that the rooms above contribute to the dashboard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from portal.conformance.models import ConformanceRun, RunStatus
from portal.conformance.tasks import tasks as conformance_tasks
from portal.reviews.models import RequestStatus, ReviewRequest
from portal.reviews.tasks import tasks as review_tasks
from tests.factories.portal_app import Portal
from tests.factories.rooms import app_of, sandbox_of


async def states(portal: Portal, source: Any, app: dict[str, Any]) -> list[str]:
    async with portal.sessions() as session:
        found = await source(session, app_id=app["id"], company_id=app["company_id"], now=portal.clock.now())
    return [task.state for task in found]


async def test_nothing_above_starts_before_the_sandbox_is_open(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    assert await states(portal, conformance_tasks, app) == ["blocked"]
    assert await states(portal, review_tasks, app) == ["blocked", "blocked"]
    await sandbox_of(owner, app["id"])
    assert await states(portal, conformance_tasks, app) == ["todo"]
    assert await states(portal, review_tasks, app) == ["todo", "blocked"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (RequestStatus.DRAFT, ["todo", "blocked"]),
        (RequestStatus.SUBMITTED, ["done", "blocked"]),
        (RequestStatus.CHANGES_REQUESTED, ["changes", "blocked"]),
        (RequestStatus.APPROVED, ["done", "done"]),
        (RequestStatus.REJECTED, ["done", "changes"]),
        (RequestStatus.WITHDRAWN, ["todo", "blocked"]),
    ],
)
async def test_the_review_steps_follow_the_request(portal: Portal, status: RequestStatus, expected: list[str]) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    await sandbox_of(owner, app["id"])
    me = (await owner.get("/api/v1/me")).json()["id"]
    now = portal.clock.now()
    async with portal.sessions.begin() as session:
        session.add(
            ReviewRequest(
                id="rev_1",
                app_id=app["id"],
                company_id=app["company_id"],
                status=status,
                reference="R-1",
                answers={},
                snapshot={},
                checklist={},
                created_by=me,
                created_at=now,
                updated_at=now,
            )
        )
    assert await states(portal, review_tasks, app) == expected


async def test_the_newest_finished_run_counts(portal: Portal) -> None:
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    client = (await sandbox_of(owner, app["id"]))["environment"]
    me = (await owner.get("/api/v1/me")).json()["id"]
    for number, (status, passes, expected) in enumerate(
        [
            (RunStatus.RUNNING, False, "todo"),
            (RunStatus.JUDGED, False, "changes"),
            (RunStatus.ABANDONED, False, "changes"),
            (RunStatus.JUDGED, True, "done"),
        ]
    ):
        async with portal.sessions.begin() as session:
            session.add(
                ConformanceRun(
                    id=f"run_{number}",
                    app_id=app["id"],
                    company_id=app["company_id"],
                    client_id=client["client_id"],
                    tenant=client["tenant"],
                    app_version="1",
                    suite_version="1",
                    products=[],
                    scopes=[],
                    status=status,
                    results={},
                    passes=passes,
                    started_by=me,
                    started_at=portal.clock.now() + timedelta(minutes=number),
                    expires_at=portal.clock.now() + timedelta(hours=2),
                )
            )
        assert await states(portal, conformance_tasks, app) == [expected]
