"""JSON routes of the review desk: queue, assignment, decisions, kill switches. Only reviewers reach them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import select

from portal.kernel.errors import Invalid, NotFound
from portal.reviews import decisions, evidence, presentation, queries, register, service, snapshot, suspensions
from portal.reviews.decisions import ScopeVerdict, Terms
from portal.reviews.production import Grade, Suspension, Target
from portal.reviews.schemas import (
    Approve,
    Assignment,
    Because,
    Change,
    LoadLine,
    NewNote,
    NewSuspension,
    Queue,
    QueueLine,
    Refusal,
    ReviewInfo,
    SuspensionInfo,
    Tick,
)
from portal.users.dependencies import CurrentUser
from portal.users.guards import reviewer, signed_in
from portal.users.models import User
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now

DECIDING = problems(400, 401, 403, 404, 409, 415, 422)


def read_cursor(text: str) -> tuple[datetime, str] | None:
    """Due date and id of the last row seen; raises `Invalid` for anything else."""
    if not text:
        return None
    try:
        due, _, last = urlsafe_b64decode(text.encode("ascii")).decode("ascii").partition(" ")
        return datetime.fromisoformat(due), last
    except (ValueError, UnicodeError):
        raise Invalid("`after` is the `next` of an earlier page", fa="نشانی صفحه نادرست است", field="after") from None


def write_cursor(row: queries.QueueRow) -> str:
    """The `after` that continues behind `row`."""
    due = row.due_at.isoformat() if row.due_at else ""
    return urlsafe_b64encode(f"{due} {row.id}".encode("ascii")).decode("ascii")


@get("/reviews", guards=[reviewer], responses=problems(400, 401, 403, 422))
async def queue(
    session: Db,
    now: Now,
    status: FromQuery[str] = "",
    assigned: FromQuery[str] = "",
    product: FromQuery[str] = "",
    kind: FromQuery[str] = "",
    sensitive: FromQuery[bool] = False,
    overdue: FromQuery[bool] = False,
    text: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Queue:
    """The queue, most urgent first, fifty at a time. `assigned` is a User id or `none`; `text` searches reference and names."""
    filters = queries.Filters(status, assigned, product, kind, sensitive, overdue, text[:80])
    rows = await queries.queue(session, filters, now=now, after=read_cursor(after))
    shown = rows[: queries.PAGE]
    more = write_cursor(shown[-1]) if len(rows) > queries.PAGE else ""
    return Queue([QueueLine.of(row) for row in shown], await queries.counts(session, now=now), more)


@get("/reviews/load", guards=[reviewer], responses=problems(401, 403))
async def load(session: Db) -> list[LoadLine]:
    """Requests in hand per reviewer, the least loaded first."""
    return [LoadLine(user.id, user.name, count) for user, count in await queries.load(session)]


@get("/reviews/{review_id:str}/differences", guards=[reviewer], responses=problems(401, 403, 404))
async def differences(review_id: FromPath[str], user: CurrentUser, session: Db) -> list[Change]:
    """What differs from the App's last approval: scopes, redirects, keys, answers, evidence. Everything, for a first request."""
    request = await queries.visible(session, review_id, user)
    last = await queries.last_approval(session, request.app_id, but=request.id)
    found = snapshot.difference(last.snapshot if last else {}, request.snapshot)
    return [Change(row.area, row.key, row.change, row.before, row.after) for row in found]


@post("/reviews/{review_id:str}/assign", status_code=200, guards=[reviewer], responses=DECIDING)
async def assign(
    review_id: FromPath[str], data: JSONBody[Assignment], user: CurrentUser, session: Db, now: Now
) -> ReviewInfo:
    """Give the request to a reviewer, or back to the queue."""
    request = await queries.visible(session, review_id, user)
    to = None
    if data.reviewer is not None:
        to = user if data.reviewer == "me" else await session.get(User, data.reviewer)
        if to is None:
            raise NotFound
    await service.assign(session, request, to=to, by=user, now=now)
    return await presentation.whole(session, request, user, now=now)


@post("/reviews/{review_id:str}/checklist", status_code=200, guards=[reviewer], responses=DECIDING)
async def checklist(
    review_id: FromPath[str], data: JSONBody[Tick], user: CurrentUser, session: Db, now: Now
) -> ReviewInfo:
    """Mark one item of the checklist."""
    request = await queries.visible(session, review_id, user)
    await service.tick(session, request, item=data.item, done=data.done, by=user, now=now)
    return await presentation.whole(session, request, user, now=now)


@post("/reviews/{review_id:str}/approve", status_code=200, guards=[reviewer], responses=DECIDING)
async def approve(
    review_id: FromPath[str], data: JSONBody[Approve], user: CurrentUser, session: Db, now: Now
) -> ReviewInfo:
    """Approve, scope by scope. With a sensitive scope it waits for a second reviewer (`confirm`)."""
    request = await queries.visible(session, review_id, user)
    terms = Terms(data.plans, data.ramp, tuple(data.conditions), data.expires_at, data.evidence_exception)
    await decisions.approve(
        session,
        request,
        verdicts={scope: ScopeVerdict(row.approved, row.reason_code, row.reason) for scope, row in data.scopes.items()},
        terms=terms,
        reason=data.reason,
        evidence_passes=await evidence.passes(session, request),
        by=user,
        now=now,
    )
    return await presentation.whole(session, request, user, now=now)


@post("/reviews/{review_id:str}/confirm", status_code=200, guards=[reviewer], responses=DECIDING)
async def confirm(review_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> ReviewInfo:
    """The second reviewer's yes; production opens."""
    request = await queries.visible(session, review_id, user)
    await decisions.confirm(session, request, by=user, now=now)
    return await presentation.whole(session, request, user, now=now)


@post("/reviews/{review_id:str}/decline", status_code=200, guards=[reviewer], responses=DECIDING)
async def decline(
    review_id: FromPath[str], data: JSONBody[Because], user: CurrentUser, session: Db, now: Now
) -> ReviewInfo:
    """The second reviewer's no; the request goes back to review."""
    request = await queries.visible(session, review_id, user)
    await decisions.decline(session, request, reason=data.reason, by=user, now=now)
    return await presentation.whole(session, request, user, now=now)


@post("/reviews/{review_id:str}/reject", status_code=200, guards=[reviewer], responses=DECIDING)
async def reject(
    review_id: FromPath[str], data: JSONBody[Refusal], user: CurrentUser, session: Db, now: Now
) -> ReviewInfo:
    """Refuse the request with a reason; the Company may appeal."""
    request = await queries.visible(session, review_id, user)
    await decisions.reject(session, request, reason_code=data.reason_code, reason=data.reason, by=user, now=now)
    return await presentation.whole(session, request, user, now=now)


@post("/reviews/{review_id:str}/request-changes", status_code=200, guards=[reviewer], responses=DECIDING)
async def request_changes(
    review_id: FromPath[str], data: JSONBody[Refusal], user: CurrentUser, session: Db, now: Now
) -> ReviewInfo:
    """Hand the request back to the Company; the clock stops."""
    request = await queries.visible(session, review_id, user)
    await decisions.request_changes(
        session, request, reason_code=data.reason_code, reason=data.reason, by=user, now=now
    )
    return await presentation.whole(session, request, user, now=now)


@post("/suspensions", guards=[signed_in], responses=DECIDING)
async def suspend(data: JSONBody[NewSuspension], user: CurrentUser, session: Db, now: Now) -> SuspensionInfo:
    """Cut an App, Company, scope or Product: the next call is refused. An owner may do so for its own (`voluntary`)."""
    try:
        target, grade = Target(data.target), Grade(data.grade)
    except ValueError:
        raise Invalid(
            "target is app, company, scope or product; grade is limited, voluntary or involuntary",
            fa="هدف یا درجهٔ تعلیق نادرست است",
            field="target" if data.target not in list(Target) else "grade",
        ) from None
    row = await suspensions.impose(
        session,
        target=target,
        target_id=data.id,
        grade=grade,
        reason_code=data.reason_code,
        reason=data.reason,
        by=user,
        now=now,
    )
    return SuspensionInfo.of(row)


@get("/suspensions", guards=[reviewer], responses=problems(401, 403))
async def standing(session: Db, all: FromQuery[bool] = False) -> list[SuspensionInfo]:
    """Suspensions that stand, newest first; with `all`, lifted ones too."""
    query = select(Suspension).order_by(Suspension.imposed_at.desc()).limit(500)
    if not all:
        query = query.where(Suspension.lifted_at.is_(None))
    return [SuspensionInfo.of(row) for row in await session.scalars(query)]


@post("/suspensions/{suspension_id:str}/lift", status_code=200, guards=[signed_in], responses=DECIDING)
async def lift(
    suspension_id: FromPath[str], data: JSONBody[Because], user: CurrentUser, session: Db, now: Now
) -> SuspensionInfo:
    """Propose to lift a suspension; another reviewer confirms. A voluntary one is lifted by its owner at once."""
    row = await suspensions.find(session, suspension_id, by=user)
    await suspensions.propose_lift(session, row, reason=data.reason, by=user, now=now)
    return SuspensionInfo.of(row)


@post("/suspensions/{suspension_id:str}/confirm-lift", status_code=200, guards=[reviewer], responses=DECIDING)
async def confirm_lift(suspension_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> SuspensionInfo:
    """The second reviewer's yes to lifting; access is restored."""
    row = await suspensions.find(session, suspension_id, by=user)
    await suspensions.confirm_lift(session, row, by=user, now=now)
    return SuspensionInfo.of(row)


@post("/suspensions/{suspension_id:str}/notes", status_code=204, guards=[reviewer], responses=DECIDING)
async def incident_note(
    suspension_id: FromPath[str], data: JSONBody[NewNote], user: CurrentUser, session: Db, now: Now
) -> None:
    """Add an incident note for internal, company or public readers."""
    row = await suspensions.find(session, suspension_id, by=user)
    await suspensions.note(session, row, body=data.body, audience=data.audience, by=user, now=now)


@get("/register")
async def public_register(session: Db, text: FromQuery[str] = "") -> list[register.Listed]:
    """The public register: every approved App with its scopes and dates, and what was suspended, expired or revoked."""
    return await register.rows(session, text=text[:80])


routes = [
    api(
        public_register,
        queue,
        load,
        differences,
        assign,
        checklist,
        approve,
        confirm,
        decline,
        reject,
        request_changes,
        suspend,
        standing,
        lift,
        confirm_lift,
        incident_note,
        tag="review desk",
    )
]
