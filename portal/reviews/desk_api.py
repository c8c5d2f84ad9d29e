"""JSON routes of the review desk: queue, assignment, decisions, kill switches. Only reviewers reach them."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from portal.kernel.errors import Invalid, NotFound
from portal.reviews import decisions, evidence, queries, register, service, snapshot
from portal.reviews.cases import CASES, TheCase
from portal.reviews.decisions import ScopeVerdict, Terms
from portal.reviews.schemas import (
    Approve,
    Assignment,
    Because,
    Change,
    LoadLine,
    Queue,
    QueueLine,
    Refusal,
    ReviewInfo,
    Tick,
)
from portal.users.dependencies import CurrentUser
from portal.users.guards import reviewer
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
async def assign(data: JSONBody[Assignment], case: TheCase) -> ReviewInfo:
    """Give the request to a reviewer, or back to the queue."""
    to = None
    if data.reviewer is not None:
        to = case.by if data.reviewer == "me" else await case.session.get(User, data.reviewer)
        if to is None:
            raise NotFound
    await service.assign(case.session, case.request, to=to, by=case.by, now=case.now)
    return await case.shown()


@post("/reviews/{review_id:str}/checklist", status_code=200, guards=[reviewer], responses=DECIDING)
async def checklist(data: JSONBody[Tick], case: TheCase) -> ReviewInfo:
    """Mark one item of the checklist."""
    await service.tick(case.session, case.request, item=data.item, done=data.done, by=case.by, now=case.now)
    return await case.shown()


@post("/reviews/{review_id:str}/approve", status_code=200, guards=[reviewer], responses=DECIDING)
async def approve(data: JSONBody[Approve], case: TheCase) -> ReviewInfo:
    """Approve, scope by scope. With a sensitive scope it waits for a second reviewer (`confirm`)."""
    terms = Terms(data.plans, data.ramp, tuple(data.conditions), data.expires_at, data.evidence_exception)
    await decisions.approve(
        case.session,
        case.request,
        verdicts={scope: ScopeVerdict(row.approved, row.reason_code, row.reason) for scope, row in data.scopes.items()},
        terms=terms,
        reason=data.reason,
        evidence_passes=await evidence.passes(
            case.session, case.request, scopes=[scope for scope, row in data.scopes.items() if row.approved]
        ),
        by=case.by,
        now=case.now,
    )
    return await case.shown()


@post("/reviews/{review_id:str}/confirm", status_code=200, guards=[reviewer], responses=DECIDING)
async def confirm(case: TheCase) -> ReviewInfo:
    """The second reviewer's yes; production opens."""
    await decisions.confirm(case.session, case.request, by=case.by, now=case.now)
    return await case.shown()


@post("/reviews/{review_id:str}/decline", status_code=200, guards=[reviewer], responses=DECIDING)
async def decline(data: JSONBody[Because], case: TheCase) -> ReviewInfo:
    """The second reviewer's no; the request goes back to review."""
    await decisions.decline(case.session, case.request, reason=data.reason, by=case.by, now=case.now)
    return await case.shown()


@post("/reviews/{review_id:str}/reject", status_code=200, guards=[reviewer], responses=DECIDING)
async def reject(data: JSONBody[Refusal], case: TheCase) -> ReviewInfo:
    """Refuse the request with a reason; the Company may appeal."""
    await decisions.reject(
        case.session, case.request, reason_code=data.reason_code, reason=data.reason, by=case.by, now=case.now
    )
    return await case.shown()


@post("/reviews/{review_id:str}/request-changes", status_code=200, guards=[reviewer], responses=DECIDING)
async def request_changes(data: JSONBody[Refusal], case: TheCase) -> ReviewInfo:
    """Hand the request back to the Company; the clock stops."""
    await decisions.request_changes(
        case.session, case.request, reason_code=data.reason_code, reason=data.reason, by=case.by, now=case.now
    )
    return await case.shown()


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
        tag="review desk",
        dependencies=CASES,
    )
]
