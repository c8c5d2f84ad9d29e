"""The review on the dashboard: sending the request, and the ministry's word."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.queries import presence
from portal.reviews.models import QUEUED, RequestStatus, ReviewRequest
from portal.web.tasks import Task, TaskState


async def tasks(session: AsyncSession, *, app_id: str, company_id: str, now: datetime) -> Sequence[Task]:
    """Where the newest request of the App stands."""
    newest = (
        await session.scalars(
            select(ReviewRequest)
            .where(ReviewRequest.app_id == app_id, ReviewRequest.status != RequestStatus.WITHDRAWN)
            .order_by(ReviewRequest.created_at.desc(), ReviewRequest.id)
            .limit(1)
        )
    ).first()
    status = newest.status if newest else None
    sent: TaskState = "todo" if await presence(session, app_id, "sandbox") else "blocked"
    decided: TaskState = "blocked"
    hint = ("", "")
    if status == RequestStatus.CHANGES_REQUESTED:
        sent = "changes"
    elif status is not None and status != RequestStatus.DRAFT:
        sent = "done"
    if status in QUEUED:
        hint = (
            "درخواست در دست بررسی است؛ کاری از سوی شما لازم نیست",
            "The request is being reviewed; nothing for you to do",
        )
    elif status == RequestStatus.APPROVED:
        decided = "done"
    elif status == RequestStatus.REJECTED:
        decided, hint = "changes", ("درخواست رد شد؛ دلیل‌ها را بخوانید", "The request was rejected; read the reasons")
    path = f"/apps/{app_id}/review"
    return [
        Task(60, sent, "فرستادن درخواست بررسی", "Submit the review request", path),
        Task(70, decided, "رأی وزارت و گشودن محیط عملیاتی", "The ministry's decision opens production", path, *hint),
    ]
