"""What the Company is told: the next step, in both languages, and the wire shape of a request."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from portal.reviews import guards, queries
from portal.reviews.models import RequestStatus, ReviewRequest
from portal.reviews.schemas import CommentInfo, DecisionInfo, ReviewInfo, ScopeInfo
from portal.reviews.service import scopes_of
from portal.reviews.workdays import iran
from portal.users.models import User

NEXT_STEP: dict[str, tuple[str, str]] = {
    RequestStatus.DRAFT: (
        "پرسش‌ها را پاسخ دهید، دامنه‌ها را برگزینید و درخواست را بفرستید.",
        "Answer the questions, choose scopes and submit.",
    ),
    RequestStatus.SUBMITTED: (
        "درخواست در صف است؛ کاری از شما نمی‌خواهد.",
        "The request is in the queue; nothing is needed from you.",
    ),
    RequestStatus.IN_REVIEW: (
        "کارشناس در حال بررسی است؛ کاری از شما نمی‌خواهد.",
        "A reviewer is at work; nothing is needed from you.",
    ),
    RequestStatus.AWAITING_SECOND: (
        "رأی پیشنهاد شده و در انتظار تأیید کارشناس دوم است.",
        "A decision was proposed and waits for a second reviewer.",
    ),
    RequestStatus.CHANGES_REQUESTED: (
        "موارد گفته‌شده را اصلاح کنید و دوباره بفرستید؛ ساعت بررسی ایستاده است.",
        "Mend what is named and submit again; the clock has stopped.",
    ),
    RequestStatus.APPROVED: ("برای محیط عملیاتی اعتبارنامه بسازید.", "Make a credential for production."),
    RequestStatus.REJECTED: ("دلیل را بخوانید؛ می‌توانید تجدیدنظر بخواهید.", "Read the reason; you may appeal."),
    RequestStatus.WITHDRAWN: (
        "درخواست را پس گرفته‌اید؛ می‌توانید درخواست تازه‌ای بسازید.",
        "You took the request back; you may start another.",
    ),
}


def days_left(request: ReviewRequest, now: datetime) -> int:
    """Working days to the due date, or what is kept while the clock has stopped."""
    return iran().left(now, request.due_at) if request.due_at else request.days_left


def days_left_of(due_at: datetime | None, now: datetime) -> int:
    """Working days to a due date; 0 when there is none."""
    return iran().left(now, due_at) if due_at else 0


async def whole(session: AsyncSession, request: ReviewRequest, user: User, *, now: datetime) -> ReviewInfo:
    """A request with its scopes, decisions and comments, as `user` may see it."""
    made = await queries.decisions(session, request.id)
    if not guards.is_reviewer(user):
        made = [row for row in made if row.effective_at is not None]
    return ReviewInfo(
        id=request.id,
        reference=request.reference,
        app=request.app_id,
        company=request.company_id,
        kind=request.kind,
        status=request.status,
        app_version=request.app_version,
        evidence=request.evidence_id,
        answers=request.answers,
        scopes=[ScopeInfo.of(row) for row in await scopes_of(session, request)],
        created_at=request.created_at,
        submitted_at=request.submitted_at,
        due_at=request.due_at,
        decided_at=request.decided_at,
        assigned_to=request.assigned_to if guards.is_reviewer(user) else None,
        position=await queries.position(session, request),
        days_left=days_left(request, now),
        next_step=NEXT_STEP[request.status][1],
        appeal_of=request.appeal_of,
        decisions=[DecisionInfo.of(row) for row in made],
        comments=[CommentInfo.of(row) for row in await queries.comments(session, request, user)],
    )
