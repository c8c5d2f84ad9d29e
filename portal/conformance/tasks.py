"""The conformance step on the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.queries import presence
from portal.conformance.models import ConformanceRun, RunStatus
from portal.web.tasks import Task, TaskState


async def tasks(session: AsyncSession, *, app_id: str, company_id: str, now: datetime) -> Sequence[Task]:
    """A passed run of the suite."""
    newest = (
        await session.scalars(
            select(ConformanceRun)
            .where(ConformanceRun.app_id == app_id, ConformanceRun.status != RunStatus.ABANDONED)
            .order_by(ConformanceRun.started_at.desc(), ConformanceRun.id)
            .limit(1)
        )
    ).first()
    state: TaskState = "todo" if await presence(session, app_id, "sandbox") else "blocked"
    hint = ("", "")
    if newest is not None and newest.status == RunStatus.RUNNING:
        hint = ("یک آزمون در جریان است", "A run is recording")
    elif newest is not None and newest.passes:
        state = "done"
    elif newest is not None:
        state, hint = "changes", ("آخرین آزمون موفق نبود", "The last run did not pass")
    return [Task(45, state, "آزمون انطباق", "Conformance run", f"/apps/{app_id}/conformance", *hint)]
