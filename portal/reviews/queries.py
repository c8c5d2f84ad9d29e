"""Reads of promotion, each filtered by who asks: members see their Company's requests, reviewers the desk's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App
from portal.audit.models import AuditEntry
from portal.companies.models import Company, Membership
from portal.kernel.errors import NotFound
from portal.products.models import Product
from portal.reviews import guards
from portal.reviews.models import (
    QUEUED,
    Attachment,
    Comment,
    Decision,
    RequestStatus,
    ReviewRequest,
    ReviewScope,
)
from portal.reviews.production import Approval, RampChange
from portal.users.models import Role, User

PAGE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What a reviewer wants to see of the queue. Empty means any."""

    status: str = ""
    assigned: str = ""
    product: str = ""
    kind: str = ""
    sensitive: bool = False
    overdue: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One line of the queue."""

    id: str
    reference: str
    kind: str
    status: str
    app_name: str
    company_name: str
    assigned_to: str | None
    submitted_at: datetime | None
    due_at: datetime | None


async def visible(session: AsyncSession, request_id: str, user: User) -> ReviewRequest:
    """The request, if `user` belongs to its Company or to the desk; raises NotFound. Drafts stay with the Company."""
    found = await session.get(ReviewRequest, request_id)
    if found is None:
        raise NotFound
    if guards.is_reviewer(user) and found.status != RequestStatus.DRAFT:
        return found
    await guards.may_read(session, user, found.company_id)
    return found


async def of_app(session: AsyncSession, app_id: str, user: User) -> list[ReviewRequest]:
    """Requests of one App, newest first; raises NotFound for strangers."""
    app = await session.get(App, app_id)
    if app is None:
        raise NotFound
    if not guards.is_reviewer(user):
        await guards.may_read(session, user, app.company_id)
    found = await session.scalars(
        select(ReviewRequest).where(ReviewRequest.app_id == app_id).order_by(ReviewRequest.created_at.desc())
    )
    rows = list(found)
    return [row for row in rows if row.status != RequestStatus.DRAFT] if guards.is_reviewer(user) else rows


async def of_member(session: AsyncSession, user: User) -> list[ReviewRequest]:
    """Requests of all Companies of a User, newest first, at most a hundred."""
    own = select(Membership.company_id).where(Membership.user_id == user.id)
    found = await session.scalars(
        select(ReviewRequest)
        .where(ReviewRequest.company_id.in_(own))
        .order_by(ReviewRequest.updated_at.desc())
        .limit(100)
    )
    return list(found)


def _wanted(filters: Filters, now: datetime) -> list[ColumnElement[bool]]:
    # Only what waits in the queue has a due date.
    wanted: list[ColumnElement[bool]] = [ReviewRequest.due_at.is_not(None)]
    if filters.status:
        wanted.append(ReviewRequest.status == filters.status)
    if filters.assigned == "none":
        wanted.append(ReviewRequest.assigned_to.is_(None))
    elif filters.assigned:
        wanted.append(ReviewRequest.assigned_to == filters.assigned)
    if filters.kind:
        wanted.append(ReviewRequest.kind == filters.kind)
    if filters.overdue:
        wanted.append(ReviewRequest.due_at < now)
    if filters.product or filters.sensitive:
        scope = ReviewScope.request_id == ReviewRequest.id
        if filters.product:
            wanted.append(exists().where(scope, ReviewScope.product_id == filters.product))
        if filters.sensitive:
            wanted.append(exists().where(scope, ReviewScope.sensitive.is_(True)))
    if filters.text:
        like = f"%{filters.text.replace('%', '').replace('_', '')}%"
        wanted.append(
            or_(
                ReviewRequest.reference.ilike(like),
                ReviewRequest.app_id.in_(select(App.id).where(App.name.ilike(like))),
                ReviewRequest.company_id.in_(select(Company.id).where(Company.name.ilike(like))),
            )
        )
    return wanted


async def queue(
    session: AsyncSession, filters: Filters, *, now: datetime, after: tuple[datetime, str] | None = None
) -> list[QueueRow]:
    """A page of the queue, most urgent first (one row more than PAGE when there are more). `after`: due and id of the last row."""
    wanted = _wanted(filters, now)
    if after is not None:
        due, last = after
        wanted.append(or_(ReviewRequest.due_at > due, and_(ReviewRequest.due_at == due, ReviewRequest.id > last)))
    query = (
        select(
            ReviewRequest.id,
            ReviewRequest.reference,
            ReviewRequest.kind,
            ReviewRequest.status,
            App.name,
            Company.name,
            ReviewRequest.assigned_to,
            ReviewRequest.submitted_at,
            ReviewRequest.due_at,
        )
        .join(App, App.id == ReviewRequest.app_id)
        .join(Company, Company.id == ReviewRequest.company_id)
        .where(*wanted)
        .order_by(ReviewRequest.due_at, ReviewRequest.id)
        .limit(PAGE + 1)
    )
    return [QueueRow(*row) for row in await session.execute(query)]


async def counts(session: AsyncSession, *, now: datetime) -> dict[str, int]:
    """Open requests by status, and how many are overdue."""
    rows = await session.execute(
        select(ReviewRequest.status, func.count())
        .where(ReviewRequest.status.in_(QUEUED))
        .group_by(ReviewRequest.status)
    )
    found = {str(status): count for status, count in rows}
    overdue = select(func.count()).select_from(ReviewRequest).where(ReviewRequest.due_at < now)
    found["overdue"] = await session.scalar(overdue) or 0
    return found


async def load(session: AsyncSession) -> list[tuple[User, int]]:
    """Every reviewer with the number of requests in hand, the least loaded first."""
    rows = await session.execute(
        select(User, func.count(ReviewRequest.id))
        .outerjoin(ReviewRequest, and_(ReviewRequest.assigned_to == User.id, ReviewRequest.status.in_(QUEUED)))
        .where(User.role.in_([Role.REVIEWER, Role.ADMIN]), User.disabled_at.is_(None))
        .group_by(User.id)
        .order_by(func.count(ReviewRequest.id), User.name)
    )
    return [(user, count) for user, count in rows]


async def position(session: AsyncSession, request: ReviewRequest) -> int:
    """Place in the queue, from 1; 0 when the request does not wait there."""
    if request.status not in QUEUED or request.due_at is None:
        return 0
    before = await session.scalar(
        select(func.count()).where(
            ReviewRequest.status.in_(QUEUED),
            or_(
                ReviewRequest.due_at < request.due_at,
                and_(ReviewRequest.due_at == request.due_at, ReviewRequest.id < request.id),
            ),
        )
    )
    return (before or 0) + 1


async def comments(session: AsyncSession, request: ReviewRequest, user: User) -> list[Comment]:
    """Remarks on a request, oldest first; internal ones for reviewers only."""
    query = select(Comment).where(Comment.request_id == request.id).order_by(Comment.at)
    if not guards.is_reviewer(user):
        query = query.where(Comment.internal.is_(False))
    return list(await session.scalars(query))


async def decisions(session: AsyncSession, request_id: str) -> list[Decision]:
    """Decisions on a request, newest first."""
    found = await session.scalars(
        select(Decision).where(Decision.request_id == request_id).order_by(Decision.proposed_at.desc())
    )
    return list(found)


async def attachments(session: AsyncSession, request_id: str) -> list[Attachment]:
    """Documents of a request that were not removed."""
    found = await session.scalars(
        select(Attachment)
        .where(Attachment.request_id == request_id, Attachment.removed_at.is_(None))
        .order_by(Attachment.uploaded_at)
    )
    return list(found)


async def standing(session: AsyncSession, app_id: str) -> Approval | None:
    """The App's approval in force."""
    return (
        await session.scalars(select(Approval).where(Approval.app_id == app_id, Approval.revoked_at.is_(None)))
    ).first()


async def last_approval(session: AsyncSession, app_id: str, *, but: str = "") -> Approval | None:
    """The App's latest approval, also one that has ended; that of request `but` does not count."""
    return (
        await session.scalars(
            select(Approval)
            .where(Approval.app_id == app_id, Approval.request_id != but)
            .order_by(Approval.approved_at.desc())
            .limit(1)
        )
    ).first()


async def ramp_changes(session: AsyncSession, approval_id: str) -> list[RampChange]:
    """Steps of a ramp, newest first."""
    found = await session.scalars(
        select(RampChange).where(RampChange.approval_id == approval_id).order_by(RampChange.at.desc())
    )
    return list(found)


async def case(session: AsyncSession, request: ReviewRequest) -> list[AuditEntry]:
    """The audit entries of a request: what its applicant may read about its own case."""
    found = await session.scalars(
        select(AuditEntry).where(AuditEntry.subject == request.id).order_by(AuditEntry.number)
    )
    return list(found)


async def products(session: AsyncSession) -> list[Product]:
    """The catalogue, for filters."""
    return list(await session.scalars(select(Product).order_by(Product.position, Product.id)))
