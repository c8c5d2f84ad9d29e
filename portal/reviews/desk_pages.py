"""Pages of the review desk: queue, one page for each request, kill switches; and the public register."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App
from portal.companies.models import Company
from portal.conformance import reports
from portal.conformance.models import ConformanceRun
from portal.kernel.errors import Invalid, NotFound
from portal.products.models import Plan
from portal.reviews import (
    decisions,
    evidence,
    policy,
    presentation,
    queries,
    questionnaire,
    register,
    service,
    snapshot,
)
from portal.reviews.decisions import ScopeVerdict, Terms
from portal.reviews.desk_api import read_cursor, write_cursor
from portal.reviews.models import QUEUED, ReviewRequest
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import reviewer
from portal.users.models import User
from portal.users.queries import users_by_id
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

DESK = frozenset({"reviewer", "admin"})
navigation: Sequence[NavItem] = [
    NavItem("main", "/desk", "میز بررسی", "Review desk", position=60, icon="inbox", roles=DESK),
    NavItem("footer", "/register", "فهرست عمومی برنامه‌های تأییدشده", "Register of approved apps", position=30),
]


@get("/desk", guards=[reviewer])
async def queue_page(
    user: CurrentUser,
    session: Db,
    now: Now,
    status: FromQuery[str] = "",
    assigned: FromQuery[str] = "",
    product: FromQuery[str] = "",
    kind: FromQuery[str] = "",
    sensitive: FromQuery[str] = "",
    overdue: FromQuery[str] = "",
    text: FromQuery[str] = "",
    after: FromQuery[str] = "",
) -> Template:
    """The queue, most urgent first, with filters and the load of each reviewer."""
    if status and status not in QUEUED:
        status = ""
    who = user.id if assigned == "me" else assigned
    filters = queries.Filters(status, who, product, kind, bool(sensitive), bool(overdue), text[:80])
    rows = await queries.queue(session, filters, now=now, after=read_cursor(after))
    load = await queries.load(session)
    chosen = {
        "status": status, "assigned": assigned, "product": product, "kind": kind, "sensitive": sensitive,
        "overdue": overdue, "text": text,
    }  # fmt: skip
    return page(
        "reviews/desk.html",
        rows=[(row, presentation.days_left_of(row.due_at, now)) for row in rows[: queries.PAGE]],
        more=write_cursor(rows[queries.PAGE - 1]) if len(rows) > queries.PAGE else "",
        counts=await queries.counts(session, now=now),
        load=load,
        names={row.id: row.name for row, _ in load},
        products=await queries.products(session),
        form=Form(chosen),
        chosen={key: value for key, value in chosen.items() if value},
        me=user.id,
    )


@get("/desk/{review_id:str}", guards=[reviewer])
async def review_page(review_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """Everything a decision needs, on one page."""
    request = await queries.visible(session, review_id, user)
    return await _review(session, request, Form(), user, now)


async def _review(
    session: AsyncSession, request: ReviewRequest, form: Form, user: User, now: datetime, status: int = 200
) -> Template:
    scopes = await service.scopes_of(session, request)
    last = await queries.last_approval(session, request.app_id, but=request.id)
    proof = await evidence.of_request(session, request)
    run = await session.get(ConformanceRun, proof.run_id) if proof else None
    said = await queries.comments(session, request, user)
    made = await queries.decisions(session, request.id)
    pending = await decisions.pending(session, request.id)
    record = await queries.case(session, request)
    who = {row.author_id for row in said} | {row.actor for row in record} | {row.proposed_by for row in made}
    who |= {row.confirmed_by for row in made if row.confirmed_by} | {request.assigned_to or "", request.created_by}
    plans = await session.scalars(
        select(Plan)
        .where(Plan.product_id.in_({row.product_id for row in scopes}), Plan.environment == "production")
        .order_by(Plan.product_id, Plan.position, Plan.id)
    )
    by_product: dict[str, list[Plan]] = {}
    for plan in plans:
        by_product.setdefault(plan.product_id, []).append(plan)
    return page(
        "reviews/review.html",
        status=status,
        form=form,
        review=request,
        app=await session.get_one(App, request.app_id),
        company=await session.get_one(Company, request.company_id),
        scopes=scopes,
        plans=by_product,
        differences=snapshot.difference(last.snapshot if last else {}, request.snapshot),
        last=last,
        proof=proof,
        lacks=await evidence.lacks(session, request),
        run=run,
        report=reports.as_json(run, run.results) if run else None,
        proved=set(run.scopes) if run else set(),
        steps=questionnaire.sections(),
        answers=request.snapshot.get("answers", request.answers),
        files={row.question: row for row in await queries.attachments(session, request.id)},
        comments=said,
        decisions=made,
        pending=pending,
        record=record,
        people=await users_by_id(session, who - {""}),
        policy=policy.current(),
        scope_reasons=policy.current().reasons_for("scope"),
        days=presentation.days_left(request, now),
        queued=request.status in QUEUED,
        load=await queries.load(session),
        me=user,
    )


async def _again(session: AsyncSession, review_id: str, user: User) -> ReviewRequest:
    """Undo what a refused verb did, and read anew what the page shows."""
    await session.rollback()
    await session.refresh(user)
    return await queries.visible(session, review_id, user)


@post("/desk/{review_id:str}/assign", guards=[reviewer])
async def assign(request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Redirect:
    """Take the request, give it to somebody, or put it back."""
    form = await read_form(request)
    found = await queries.visible(session, review_id, user)
    to = None
    if form["reviewer"]:
        to = await session.get(User, form["reviewer"])
        if to is None:
            raise NotFound
    await service.assign(session, found, to=to, by=user, now=now)
    return see(f"/desk/{review_id}")


@post("/desk/{review_id:str}/checklist", guards=[reviewer])
async def checklist(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Redirect:
    """Keep the ticked items."""
    form = await read_form(request)
    found = await queries.visible(session, review_id, user)
    ticked = set(form.all("items"))
    for item in policy.current().checklist:
        if (item in ticked) != (item in found.checklist):
            await service.tick(session, found, item=item, done=item in ticked, by=user, now=now)
    return see(f"/desk/{review_id}")


@post("/desk/{review_id:str}/comments", guards=[reviewer])
async def comment(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Say something, to colleagues or to the Company."""
    form = await read_form(request)
    found = await queries.visible(session, review_id, user)
    try:
        await service.comment(
            session,
            found,
            body=form["body"],
            internal=form["audience"] != "company",
            pin=form["pin"],
            by=user,
            now=now,
        )
    except REFUSALS as error:
        found = await _again(session, review_id, user)
        return await _review(session, found, form.refused(error), user, now, status=422)
    return see(f"/desk/{review_id}")


def _terms(form: Form) -> Terms:
    """The terms typed into the decision form; raises Invalid for a date that is none."""
    expires = None
    if form["expires_at"]:
        try:
            expires = datetime.fromisoformat(form["expires_at"]).replace(tzinfo=UTC)
        except ValueError:
            raise Invalid(
                "Write a date such as 2027-05-30", fa="تاریخ را مانند 2027-05-30 بنویسید", field="expires_at"
            ) from None
    plans = {name[6:]: value for name, value in form.values.items() if name.startswith("plans.") and value}
    conditions = tuple(line.strip() for line in form["conditions"].splitlines() if line.strip())
    return Terms(plans, form["ramp"] or "standard", conditions, expires, form["evidence_exception"])


@post("/desk/{review_id:str}/decide", guards=[reviewer])
async def decide(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Template | Redirect:
    """Approve, ask for changes, reject, confirm or decline."""
    form = await read_form(request)
    found = await queries.visible(session, review_id, user)
    try:
        await _decide(session, found, form, user, now)
    except REFUSALS as error:
        found = await _again(session, review_id, user)
        return await _review(session, found, form.refused(error), user, now, status=422)
    tell(Notice("success", "رأی ثبت شد.", "The decision is recorded."))
    return see(f"/desk/{review_id}")


async def _decide(session: AsyncSession, found: ReviewRequest, form: Form, user: User, now: datetime) -> None:
    match form["outcome"]:
        case "approve":
            verdicts = {
                row.scope: ScopeVerdict(
                    form[f"scopes.{row.scope}"] == "yes",
                    form[f"scopes.{row.scope}.reason_code"],
                    form[f"scopes.{row.scope}.reason"],
                )
                for row in await service.scopes_of(session, found)
                if form[f"scopes.{row.scope}"]
            }
            await decisions.approve(
                session,
                found,
                verdicts=verdicts,
                terms=_terms(form),
                reason=form["reason"],
                evidence_passes=await evidence.passes(
                    session, found, scopes=[scope for scope, row in verdicts.items() if row.approved]
                ),
                by=user,
                now=now,
            )
        case "changes":
            await decisions.request_changes(
                session, found, reason_code=form["reason_code"], reason=form["reason"], by=user, now=now
            )
        case "reject":
            await decisions.reject(
                session, found, reason_code=form["reason_code"], reason=form["reason"], by=user, now=now
            )
        case "confirm":
            await decisions.confirm(session, found, by=user, now=now)
        case "decline":
            await decisions.decline(session, found, reason=form["reason"], by=user, now=now)
        case _:
            raise Invalid("Choose a decision", fa="رأی را برگزینید", field="outcome")


@get("/register")
async def register_page(session: Db, text: FromQuery[str] = "") -> Template:
    """The public register: approved Apps with their scopes and dates, and revocations."""
    return page("reviews/register.html", form=Form({"text": text}), rows=await register.rows(session, text=text[:80]))


routes: Sequence[Router] = pages(
    queue_page,
    review_page,
    assign,
    checklist,
    comment,
    decide,
    register_page,
)
