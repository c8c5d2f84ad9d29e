"""JSON routes of kill switches: imposing, reading, notes, lifting by two reviewers; and a Company's own voluntary ones."""

from __future__ import annotations

from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import Invalid
from portal.reviews import suspensions
from portal.reviews.production import Grade, Suspension, Target
from portal.reviews.schemas import Because, NewNote, NewSuspension, NoteInfo, SuspensionCase, SuspensionInfo
from portal.users.dependencies import CurrentUser
from portal.users.guards import reviewer, signed_in
from portal.users.models import User
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now

DECIDING = problems(400, 401, 403, 404, 409, 415, 422)


@post("/suspensions", guards=[signed_in], responses=DECIDING)
async def suspend(data: JSONBody[NewSuspension], user: CurrentUser, session: Db, now: Now) -> SuspensionInfo:
    """Cut an App, Company, scope or Product: the next call is refused. An owner may do so for its own (`voluntary`)."""
    if data.target not in list(Target) or data.grade not in list(Grade):
        raise Invalid(
            "target is app, company, scope or product; grade is limited, voluntary or involuntary",
            fa="هدف یا درجهٔ تعلیق نادرست است",
            field="target" if data.target not in list(Target) else "grade",
        )
    row = await suspensions.impose(
        session,
        target=Target(data.target),
        target_id=data.id,
        grade=Grade(data.grade),
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


@get("/suspensions/{suspension_id:str}", guards=[signed_in], responses=problems(401, 404))
async def one(suspension_id: FromPath[str], user: CurrentUser, session: Db) -> SuspensionCase:
    """A suspension and its incident notes, as far as they are meant for the reader: the Company sees its own."""
    row = await suspensions.find(session, suspension_id, by=user)
    return await _case(session, row, user)


@get("/apps/{app_id:str}/suspensions", guards=[signed_in], responses=problems(401, 404))
async def of_app(app_id: FromPath[str], user: CurrentUser, session: Db) -> list[SuspensionCase]:
    """Suspensions of an App and of its Company, newest first, with the notes meant for the reader."""
    return [await _case(session, row, user) for row in await suspensions.of_app(session, app_id, by=user)]


async def _case(session: AsyncSession, row: Suspension, user: User) -> SuspensionCase:
    notes = await suspensions.notes(session, row, by=user)
    return SuspensionCase(SuspensionInfo.of(row), [NoteInfo(note.at, note.audience, note.body) for note in notes])


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


@post("/suspensions/{suspension_id:str}/decline-lift", status_code=200, guards=[reviewer], responses=DECIDING)
async def decline_lift(suspension_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> SuspensionInfo:
    """Take a proposed lift back, or refuse a colleague's; the suspension stands."""
    row = await suspensions.find(session, suspension_id, by=user)
    await suspensions.decline_lift(session, row, by=user, now=now)
    return SuspensionInfo.of(row)


@post("/suspensions/{suspension_id:str}/notes", status_code=204, guards=[reviewer], responses=DECIDING)
async def incident_note(
    suspension_id: FromPath[str], data: JSONBody[NewNote], user: CurrentUser, session: Db, now: Now
) -> None:
    """Add an incident note for internal, company or public readers."""
    row = await suspensions.find(session, suspension_id, by=user)
    await suspensions.note(session, row, body=data.body, audience=data.audience, by=user, now=now)


routes = [
    api(suspend, standing, one, of_app, lift, confirm_lift, decline_lift, incident_note, tag="suspensions"),
]
