"""Verbs of the Company on its ReviewRequest, and of the desk up to (not including) the decision.

DomainError
├── RequestClosed (Conflict)      not in a state that allows this
├── AlreadyOpen (Conflict)        an App has one open request at a time
├── Incomplete (Invalid)          submission lacks something; names every field
└── TooLate (Conflict)            the time to appeal is over
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.audit.service import record
from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.kernel.ids import ALPHABET, new_id
from portal.products.models import Product, ProductScope
from portal.reviews import guards, policy, questionnaire, snapshot
from portal.reviews.models import (
    EDITABLE,
    OPEN,
    QUEUED,
    Attachment,
    Comment,
    Decision,
    RequestKind,
    RequestStatus,
    ReviewRequest,
    ReviewScope,
)
from portal.reviews.production import Approval
from portal.reviews.workdays import iran
from portal.subscriptions.models import Subscription
from portal.users.models import User

# Letters and digits that are not mistaken for one another when read out over the telephone.
SPOKEN = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"


class RequestClosed(Conflict):
    code = "request-closed"
    title = "The request is not in a state that allows this"
    title_fa = "وضعیت کنونی درخواست اجازهٔ این کار را نمی‌دهد"


class AlreadyOpen(Conflict):
    code = "request-already-open"
    title = "This app already has an open request"
    title_fa = "این برنامه هم‌اکنون یک درخواست باز دارد"


class Incomplete(Invalid):
    code = "request-incomplete"
    title = "The request is not complete"
    title_fa = "درخواست کامل نیست"


class TooLate(Conflict):
    code = "appeal-too-late"
    title = "The time in which this decision could be appealed is over"
    title_fa = "مهلت تجدیدنظرخواهی از این رأی گذشته است"


def new_reference() -> str:
    """A number to quote: `GZ-7K3M-9QXD`."""
    raw = new_id("x")[2:]
    picked = [SPOKEN[ALPHABET.index(letter) % len(SPOKEN)] for letter in raw[:8]]
    return f"GZ-{''.join(picked[:4])}-{''.join(picked[4:])}"


async def open_request(session: AsyncSession, app_id: str) -> ReviewRequest | None:
    """The App's request that is not finished, if there is one."""
    return (
        await session.scalars(
            select(ReviewRequest).where(ReviewRequest.app_id == app_id, ReviewRequest.status.in_(OPEN))
        )
    ).first()


async def start(session: AsyncSession, *, app_id: str, by: User, now: datetime) -> ReviewRequest:
    """A new draft for the App, filled with the answers of its last request; raises `AlreadyOpen`."""
    app = await session.get(App, app_id)
    if app is None:
        raise NotFound
    await guards.may_edit(session, by, app.company_id)
    if await open_request(session, app_id) is not None:
        raise AlreadyOpen
    last = (
        await session.scalars(
            select(ReviewRequest)
            .where(ReviewRequest.app_id == app_id)
            .order_by(ReviewRequest.created_at.desc())
            .limit(1)
        )
    ).first()
    approved = await session.scalar(select(Approval.id).where(Approval.app_id == app_id, Approval.revoked_at.is_(None)))
    request = ReviewRequest(
        id=new_id("rev"),
        reference=new_reference(),
        app_id=app_id,
        company_id=app.company_id,
        kind=RequestKind.CHANGE if approved else RequestKind.PRODUCTION,
        app_version=last.app_version if last else "1.0.0",
        answers=dict(last.answers) if last else {},
        snapshot={},
        checklist={},
        created_by=by.id,
        created_at=now,
        updated_at=now,
    )
    session.add(request)
    await session.flush()
    if last is not None:
        await _copy_documents(session, last, request)
    await _note(session, request, by, "review.started", now)
    return request


async def _copy_documents(session: AsyncSession, last: ReviewRequest, request: ReviewRequest) -> None:
    """The documents behind the answers that were taken over: new rows over the same bytes."""
    kept = await session.scalars(
        select(Attachment).where(Attachment.request_id == last.id, Attachment.removed_at.is_(None))
    )
    for row in kept:
        session.add(
            Attachment(
                id=new_id("att"),
                request_id=request.id,
                question=row.question,
                name=row.name,
                size=row.size,
                sha256=row.sha256,
                uploaded_by=row.uploaded_by,
                uploaded_at=row.uploaded_at,
            )
        )
    await session.flush()


async def _note(
    session: AsyncSession, request: ReviewRequest, by: User, action: str, now: datetime, **details: object
) -> None:
    await record(
        session,
        now=now,
        actor=by.id,
        action=action,
        subject=request.id,
        company_id=request.company_id,
        details={"app": request.app_id, **details},
    )


async def _editable(session: AsyncSession, request: ReviewRequest, by: User) -> None:
    await guards.may_edit(session, by, request.company_id)
    if request.status not in EDITABLE:
        raise RequestClosed(
            "The request has been submitted; withdraw it to change it",
            fa="درخواست ارسال شده است؛ برای تغییر آن را پس بگیرید",
        )


async def save_answers(
    session: AsyncSession, request: ReviewRequest, *, answers: dict[str, Any], by: User, now: datetime
) -> None:
    """Keep answers as typed, also incomplete ones; raises `Invalid` for a question that does not exist or a wrong type."""
    await _editable(session, request, by)
    request.answers = {**request.answers, **questionnaire.kept(answers)}
    request.updated_at = now


async def set_version(session: AsyncSession, request: ReviewRequest, *, version: str, by: User, now: datetime) -> None:
    """Name the App version that asks for passage; evidence must be of this very version."""
    await _editable(session, request, by)
    version = version.strip()
    if not 1 <= len(version) <= 40 or any(not (sign.isalnum() or sign in ".-+_") for sign in version):
        raise Invalid(
            "Give a version such as 1.4.0: letters, digits, dots and hyphens, at most 40",
            fa="نسخه را مانند 1.4.0 بنویسید: حرف، رقم، نقطه و خط تیره، حداکثر ۴۰ نویسه",
            field="app_version",
        )
    request.app_version = version
    request.updated_at = now


async def _offered(session: AsyncSession, app_id: str) -> dict[str, tuple[str, bool]]:
    """Scope -> (Product it is asked through, whether it is sensitive anywhere).

    A scope that several Products bring is asked through one the App is subscribed to in the sandbox, else the first of the catalogue.
    """
    subscribed = set(
        await session.scalars(
            select(Subscription.product_id)
            .join(AppEnvironment, AppEnvironment.client_id == Subscription.client_id)
            .where(AppEnvironment.app_id == app_id, Subscription.ended_at.is_(None))
        )
    )
    rows = await session.scalars(
        select(ProductScope).join(Product, Product.id == ProductScope.product_id).order_by(Product.position, Product.id)
    )
    offered: dict[str, tuple[str, bool]] = {}
    for row in rows:
        product, sensitive = offered.get(row.scope, (row.product_id, False))
        if product not in subscribed and row.product_id in subscribed:
            product = row.product_id
        offered[row.scope] = (product, sensitive or row.sensitive)
    return offered


async def set_scopes(
    session: AsyncSession, request: ReviewRequest, *, scopes: dict[str, str], by: User, now: datetime
) -> None:
    """Replace the scopes asked for (scope -> justification); raises `Invalid` for one that no Product offers."""
    await _editable(session, request, by)
    offered = await _offered(session, request.app_id)
    for scope in scopes:
        if scope not in offered:
            raise Invalid(
                f"No product offers the scope {scope!r}",
                fa=f"هیچ محصولی دامنهٔ دسترسی «{scope}» را ندارد",
                field="scopes",
            )
    await session.execute(delete(ReviewScope).where(ReviewScope.request_id == request.id))
    for scope, justification in scopes.items():
        session.add(
            ReviewScope(
                request_id=request.id,
                scope=scope,
                product_id=offered[scope][0],
                sensitive=offered[scope][1],
                justification=justification.strip(),
            )
        )
    request.updated_at = now
    await session.flush()


async def scopes_of(session: AsyncSession, request: ReviewRequest) -> list[ReviewScope]:
    """The scopes asked for, in alphabetical order."""
    found = await session.scalars(
        select(ReviewScope).where(ReviewScope.request_id == request.id).order_by(ReviewScope.scope)
    )
    return list(found)


async def missing(session: AsyncSession, request: ReviewRequest) -> list[Invalid]:
    """Everything that submission would refuse, in the order of the task list."""
    rows = await scopes_of(session, request)
    found = [*questionnaire.problems(request.answers)]
    if not rows:
        found.append(
            Invalid("Choose at least one scope", fa="دست‌کم یک دامنهٔ دسترسی برگزینید", field="scopes"),
        )
    least = policy.current().justification_min
    found += [
        Invalid(
            f"Justify {row.scope} in at least {least} characters",
            fa=f"نیاز به {row.scope} را دست‌کم در {least} نویسه توجیه کنید",
            field=f"scopes.{row.scope}",
        )
        for row in rows
        if len(row.justification) < least
    ]
    return found


async def submit(session: AsyncSession, request: ReviewRequest, *, by: User, now: datetime) -> None:
    """Hand the request to the ministry: freeze it, start (or resume) the service clock; raises `Incomplete`."""
    await _editable(session, request, by)
    found = await missing(session, request)
    if found:
        raise Incomplete(found[0].message, fa=found[0].message_fa, field=found[0].field, others=tuple(found[1:]))
    again = request.status == RequestStatus.CHANGES_REQUESTED
    days = request.days_left if again else policy.current().service_target_days
    request.status = RequestStatus.IN_REVIEW if again and request.assigned_to else RequestStatus.SUBMITTED
    request.submitted_at = request.submitted_at or now
    request.due_at = iran().due(now, max(days, 1))
    request.days_left = 0
    request.updated_at = now
    request.snapshot = await snapshot.take(session, request)
    await _note(
        session,
        request,
        by,
        "review.resubmitted" if again else "review.submitted",
        now,
        snapshot=snapshot.digest(request.snapshot),
        policy=policy.current().version,
        due=request.due_at.isoformat(),
    )


async def withdraw(session: AsyncSession, request: ReviewRequest, *, by: User, now: datetime) -> None:
    """Take an unfinished request back for good."""
    await guards.may_edit(session, by, request.company_id)
    if request.status not in OPEN:
        raise RequestClosed
    await drop_proposal(session, request, by=by)
    request.status = RequestStatus.WITHDRAWN
    request.updated_at = now
    request.due_at = None
    await _note(session, request, by, "review.withdrawn", now)


async def drop_proposal(session: AsyncSession, request: ReviewRequest, *, by: User) -> None:
    """Void a decision that still waited for its second reviewer."""
    waiting = await session.scalars(
        select(Decision).where(
            Decision.request_id == request.id, Decision.effective_at.is_(None), Decision.declined_by.is_(None)
        )
    )
    for decision in waiting:
        decision.declined_by = by.id


async def appeal(
    session: AsyncSession, request: ReviewRequest, *, grounds: str, by: User, now: datetime
) -> ReviewRequest:
    """Contest a rejection: a new request, already submitted, that other reviewers decide; raises `TooLate`."""
    await guards.may_edit(session, by, request.company_id)
    if request.status != RequestStatus.REJECTED or request.decided_at is None:
        raise RequestClosed("Only a rejected request can be appealed", fa="فقط از رأی رد می‌توان تجدیدنظر خواست")
    if now > iran().due(request.decided_at, policy.current().appeal_days):
        raise TooLate
    if len(grounds.strip()) < policy.current().justification_min:
        least = policy.current().justification_min
        raise Invalid(
            f"Give the grounds of the appeal in at least {least} characters",
            fa=f"دلیل تجدیدنظرخواهی را دست‌کم در {least} نویسه بنویسید",
            field="grounds",
        )
    if await open_request(session, request.app_id) is not None:
        raise AlreadyOpen
    rows = await scopes_of(session, request)
    made = await start(session, app_id=request.app_id, by=by, now=now)
    made.kind, made.appeal_of = RequestKind.APPEAL, request.id
    made.answers, made.app_version, made.evidence_id = dict(request.answers), request.app_version, request.evidence_id
    await set_scopes(session, made, scopes={row.scope: row.justification for row in rows}, by=by, now=now)
    session.add(Comment(id=new_id("cmt"), request_id=made.id, author_id=by.id, at=now, body=grounds.strip()))
    await submit(session, made, by=by, now=now)
    await _note(session, made, by, "review.appealed", now, appeal_of=request.id)
    return made


async def comment(
    session: AsyncSession, request: ReviewRequest, *, body: str, internal: bool, pin: str, by: User, now: datetime
) -> Comment:
    """Say something about a request; only reviewers may keep it internal."""
    if guards.is_reviewer(by):
        await guards.may_decide(session, by, request.company_id)
    else:
        await guards.may_read(session, by, request.company_id)
        if internal:
            raise NotFound
    text = body.strip()
    if not 1 <= len(text) <= 4000:
        raise Invalid("Write a comment of 1 to 4000 characters", fa="متنی میان ۱ تا ۴۰۰۰ نویسه بنویسید", field="body")
    made = Comment(
        id=new_id("cmt"), request_id=request.id, author_id=by.id, at=now, body=text, internal=internal, pin=pin.strip()
    )
    session.add(made)
    await session.flush()
    return made


async def assign(session: AsyncSession, request: ReviewRequest, *, to: User | None, by: User, now: datetime) -> None:
    """Give the request to a reviewer (or to nobody); the first assignment opens the review."""
    await guards.may_decide(session, by, request.company_id)
    if request.status not in QUEUED:
        raise RequestClosed
    if to is not None:
        await guards.may_decide(session, to, request.company_id)
    request.assigned_to = to.id if to else None
    request.assigned_at = now if to else None
    if request.status in (RequestStatus.SUBMITTED, RequestStatus.IN_REVIEW):
        request.status = RequestStatus.IN_REVIEW if to else RequestStatus.SUBMITTED
    request.updated_at = now
    await _note(session, request, by, "review.assigned", now, to=request.assigned_to or "")


async def tick(
    session: AsyncSession, request: ReviewRequest, *, item: str, done: bool, by: User, now: datetime
) -> None:
    """Mark one item of the reviewer's checklist."""
    await guards.may_decide(session, by, request.company_id)
    if request.status not in QUEUED:
        raise RequestClosed
    if item not in policy.current().checklist:
        raise Invalid(f"There is no checklist item {item!r}", fa="چنین موردی در فهرست بازبینی نیست", field="item")
    mark = {"by": by.id, "at": now.isoformat()} if done else None
    request.checklist = {**{k: v for k, v in request.checklist.items() if k != item}, **({item: mark} if mark else {})}
    request.updated_at = now
