"""Pages of kill switches: what is cut and cutting it, one case with its notes and its lifting, and the Company's own page of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.pages import app_context
from portal.kernel.errors import DomainError, Invalid, NotFound
from portal.reviews import blast, policy, suspensions
from portal.reviews.desk_pages import DESK
from portal.reviews.production import Grade, Suspension, Target
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import reviewer, signed_in
from portal.users.models import User
from portal.users.queries import users_by_id
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem("main", "/suspensions", "تعلیق‌ها", "Suspensions", position=70, icon="ban", roles=DESK),
    NavItem("app", "/apps/{id}/access", "دسترسی و تعلیق", "Access", position=95, icon="ban"),
]


@get("/suspensions", guards=[reviewer])
async def suspensions_page(session: Db, now: Now, target: FromQuery[str] = "", id: FromQuery[str] = "") -> Template:
    """What is cut now, and the form to cut something, with what that would hit."""
    return await _suspensions(session, Form({"target": target, "id": id}), now)


async def _suspensions(session: AsyncSession, form: Form, now: datetime, status: int = 200) -> Template:
    rows = list(await session.scalars(select(Suspension).order_by(Suspension.imposed_at.desc()).limit(200)))
    hit = None
    if form["id"] and form["target"] in list(Target):
        hit = await blast.radius(session, Target(form["target"]), form["id"].strip(), now=now)
    return page(
        "reviews/suspensions.html",
        status=status,
        form=form,
        standing=[row for row in rows if row.lifted_at is None],
        lifted=[row for row in rows if row.lifted_at is not None],
        names=await blast.names(session, rows),
        people=await users_by_id(session, {row.imposed_by for row in rows}),
        reasons=policy.current().suspensions,
        hit=hit,
    )


@post("/suspensions", guards=[reviewer])
async def suspend(request: AnyRequest, user: CurrentUser, session: Db, now: Now, tell: TellNext) -> Template | Redirect:
    """Cut; the next call is refused."""
    form = await read_form(request)
    try:
        if form["target"] not in list(Target) or form["grade"] not in list(Grade):
            raise Invalid("Choose what to cut and how", fa="هدف و درجه را برگزینید", field="target")
        row = await suspensions.impose(
            session,
            target=Target(form["target"]),
            target_id=form["id"].strip(),
            grade=Grade(form["grade"]),
            reason_code=form["reason_code"],
            reason=form["reason"],
            by=user,
            now=now,
        )
    except NotFound:
        await session.rollback()
        wrong = Invalid("There is no such thing to cut", fa="چنین چیزی برای تعلیق نیست", field="id")
        return await _suspensions(session, form.refused(wrong), now, status=422)
    except REFUSALS as error:
        await session.rollback()
        return await _suspensions(session, form.refused(error), now, status=422)
    tell(Notice("success", "تعلیق از همین فراخوان برقرار است.", "The suspension holds from the next call on."))
    return see(f"/suspensions/{row.id}")


@get("/suspensions/{suspension_id:str}", guards=[reviewer])
async def case_page(suspension_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """One case: why, since when, its notes, and the way to its end."""
    row = await suspensions.find(session, suspension_id, by=user)
    return await _case(session, row, Form(), user)


async def _case(
    session: AsyncSession, row: Suspension, form: Form, user: User, refused: DomainError | None = None
) -> Template:
    found = await suspensions.notes(session, row, by=user)
    who = {row.imposed_by, row.lift_proposed_by or "", row.lifted_by or "", *(note.author_id for note in found)}
    return page(
        "reviews/suspension.html",
        status=200 if refused is None else 422,
        form=form if refused is None else form.refused(refused),
        row=row,
        notes=found,
        names=await blast.names(session, [row]),
        people=await users_by_id(session, who - {""}),
        reasons=policy.current().suspensions,
        me=user,
    )


@post("/suspensions/{suspension_id:str}/{verb:str}", guards=[reviewer])
async def act(
    request: AnyRequest,
    suspension_id: FromPath[str],
    verb: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Template | Redirect:
    """`notes`: add one. `lift`: propose to lift, or confirm a colleague's proposal. `decline`: drop the proposal."""
    form = await read_form(request)
    row = await suspensions.find(session, suspension_id, by=user)
    try:
        tell(await _acted(session, row, verb, form, user, now))
    except REFUSALS as error:
        await session.rollback()
        await session.refresh(user)
        row = await suspensions.find(session, suspension_id, by=user)
        return await _case(session, row, form, user, error)
    return see(f"/suspensions/{suspension_id}")


async def _acted(session: AsyncSession, row: Suspension, verb: str, form: Form, user: User, now: datetime) -> Notice:
    match verb:
        case "notes":
            await suspensions.note(session, row, body=form["body"], audience=form["audience"], by=user, now=now)
            return Notice("success", "یادداشت ثبت شد.", "The note is kept.")
        case "lift" if row.lift_proposed_by and row.lift_proposed_by != user.id:
            await suspensions.confirm_lift(session, row, by=user, now=now)
            return Notice("success", "تعلیق برداشته شد.", "The suspension is lifted.")
        case "lift":
            await suspensions.propose_lift(session, row, reason=form["reason"], by=user, now=now)
            return Notice("info", "پیشنهاد رفع تعلیق در انتظار همکار دوم است.", "The lift waits for a second reviewer.")
        case "decline":
            await suspensions.decline_lift(session, row, by=user, now=now)
            return Notice(
                "info", "پیشنهاد رفع کنار گذاشته شد؛ تعلیق برقرار است.", "The lift is dropped; the cut stands."
            )
        case _:
            raise NotFound


@get("/apps/{app_id:str}/access", guards=[signed_in])
async def access_page(app_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """The Company's view: what is cut, why, what the ministry says about it, and its own switch."""
    return await _access(session, app_id, Form(), user)


async def _access(
    session: AsyncSession, app_id: str, form: Form, user: User, refused: DomainError | None = None
) -> Template:
    context = await app_context(session, user_id=user.id, app_id=app_id)
    rows = await suspensions.of_app(session, app_id, by=user)
    return page(
        "reviews/access.html",
        status=200 if refused is None else 422,
        form=form if refused is None else form.refused(refused),
        standing=[row for row in rows if row.lifted_at is None],
        lifted=[row for row in rows if row.lifted_at is not None],
        notes={row.id: await suspensions.notes(session, row, by=user) for row in rows},
        reasons=policy.current().suspensions,
        **context,
    )


@post("/apps/{app_id:str}/access", guards=[signed_in])
async def stop(
    request: AnyRequest, app_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Template | Redirect:
    """An owner cuts the App off, or (`whole` ticked) every App of the Company."""
    form = await read_form(request)
    context = await app_context(session, user_id=user.id, app_id=app_id)
    whole = form["whole"] == "yes"
    try:
        await suspensions.impose(
            session,
            target=Target.COMPANY if whole else Target.APP,
            target_id=context["company"].id if whole else app_id,
            grade=Grade.VOLUNTARY,
            reason_code=form["reason_code"],
            reason=form["reason"],
            by=user,
            now=now,
        )
    except REFUSALS as error:
        await session.rollback()
        await session.refresh(user)
        return await _access(session, app_id, form, user, error)
    tell(Notice("success", "دسترسی از همین فراخوان قطع است.", "Access is cut from the next call on."))
    return see(f"/apps/{app_id}/access")


@post("/apps/{app_id:str}/access/{suspension_id:str}/resumption", guards=[signed_in])
async def resume(
    app_id: FromPath[str], suspension_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Redirect:
    """An owner ends what the Company itself had cut."""
    row = next((row for row in await suspensions.of_app(session, app_id, by=user) if row.id == suspension_id), None)
    if row is None or row.grade != Grade.VOLUNTARY:
        raise NotFound
    await suspensions.propose_lift(session, row, reason="", by=user, now=now)
    tell(Notice("success", "دسترسی دوباره باز شد.", "Access is open again."))
    return see(f"/apps/{app_id}/access")


routes: Sequence[Router] = pages(suspensions_page, suspend, case_page, act, access_page, stop, resume)
