"""Pages of the Company on its way to production: where the App stands, where a request stands, an appeal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.pages import app_context
from portal.companies.models import CompanyStatus
from portal.reviews import evidence, policy, presentation, queries, questionnaire, service
from portal.reviews.models import EDITABLE, QUEUED, RequestStatus, ReviewRequest
from portal.reviews.own_requests import again, own
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.users.models import User
from portal.users.queries import users_by_id
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}/review", "به سوی محیط عملیاتی", "Go live", position=70, icon="rocket"),
]


async def tasks(
    session: AsyncSession, request: ReviewRequest, context: dict[str, Any]
) -> list[tuple[str, str, str, str, str]]:
    """The task list: (state, title fa, title en, path, hint fa/en joined by |)."""
    missing = {error.field for error in await service.missing(session, request)}
    sent_back = request.status == RequestStatus.CHANGES_REQUESTED
    made: list[tuple[str, str, str, str, str]] = []

    def add(done: bool, fa: str, en: str, path: str, hint: str = "|") -> None:
        made.append(("done" if done else ("changes" if sent_back else "todo"), fa, en, path, hint))

    verified = context["company"].status == CompanyStatus.VERIFIED
    company = f"/companies/{request.company_id}/proofs"
    add(verified, "احراز شرکت", "Verify the company", company, "رأی بدون آن صادر نمی‌شود|No decision is made without it")
    scopes = await service.scopes_of(session, request)
    asked_well = bool(scopes) and not any(field.startswith("scopes") for field in missing)
    add(asked_well, "دامنه‌های دسترسی و دلیل هرکدام", "Scopes and why each is needed", f"/reviews/{request.id}/scopes")
    for section in questionnaire.sections():
        done = not any(f"answers.{question.id}" in missing for question in section.questions)
        add(done, section.fa, section.en, f"/reviews/{request.id}/questions/{section.id}")
    proof = await evidence.passes(session, request)
    add(
        proof,
        "شواهد آزمون انطباق",
        "Conformance evidence",
        f"/reviews/{request.id}/evidence",
        "بدون آن کارشناس باید دلیل بنویسد|Without it the reviewer has to give a reason",
    )
    state = "blocked" if missing else "todo"
    made.append((state, "بازبینی پاسخ‌ها و ارسال", "Check your answers and submit", f"/reviews/{request.id}/check", "|"))
    return made


@get("/apps/{app_id:str}/review")
async def go_live(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """Where the App stands on its way to production."""
    context = await app_context(session, user_id=user.id, app_id=app_id)
    found = await queries.of_app(session, app_id, user)
    current = next((row for row in found if row.status in EDITABLE), None)
    approval = await queries.standing(session, app_id)
    return page(
        "reviews/go_live.html",
        requests=found,
        current=current,
        waiting=next((row for row in found if row.status in QUEUED), None),
        tasks=await tasks(session, current, context) if current else [],
        approval=approval,
        ramp=policy.current().ramp,
        changes=await queries.ramp_changes(session, approval.id) if approval else [],
        target=policy.current().service_target_days,
        **context,
    )


@post("/apps/{app_id:str}/review")
async def start(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Redirect:
    """Start a request; with one open already, go on with it."""
    found = await service.open_request(session, app_id)
    if found is None:
        await service.start(session, app_id=app_id, by=user, now=now)
    return see(f"/apps/{app_id}/review")


@get("/reviews/{review_id:str}")
async def status_page(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Where the request stands: confirmation, place in the queue, reasons, next step, what was said, the record."""
    review, context = await own(session, review_id, user)
    if review.status == RequestStatus.DRAFT:
        return see(f"/apps/{review.app_id}/review")
    return await _status(session, review, Form(), context, user, now, sent="sent" in request.query_params)


async def _status(
    session: AsyncSession,
    review: ReviewRequest,
    form: Form,
    context: dict[str, Any],
    user: User,
    now: datetime,
    *,
    sent: bool = False,
    status: int = 200,
) -> Template:
    said = await queries.comments(session, review, user)
    record = await queries.case(session, review)
    people = await users_by_id(session, {row.author_id for row in said} | {row.actor for row in record})
    return page(
        "reviews/status.html",
        status=status,
        form=form,
        review=review,
        sent=sent,
        place=await queries.position(session, review),
        days=presentation.days_left(review, now),
        next_step=presentation.NEXT_STEP[review.status],
        decisions=[row for row in await queries.decisions(session, review.id) if row.effective_at],
        scopes=await service.scopes_of(session, review),
        comments=said,
        record=record,
        people=people,
        reasons=policy.current().reasons,
        may_appeal=review.status == RequestStatus.REJECTED,
        **context,
    )


@post("/reviews/{review_id:str}/comments")
async def comment(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Answer the desk."""
    form = await read_form(request)
    review, context = await own(session, review_id, user)
    try:
        await service.comment(session, review, body=form["body"], internal=False, pin="", by=user, now=now)
    except REFUSALS as error:
        review, context = await again(session, review_id, user)
        return await _status(session, review, form.refused(error), context, user, now, status=422)
    return see(f"/reviews/{review.id}")


@post("/reviews/{review_id:str}/withdraw")
async def withdraw(review_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext) -> Redirect:
    """Take the request back."""
    review = await queries.visible(session, review_id, user)
    await service.withdraw(session, review, by=user, now=now)
    tell(Notice("info", "درخواست را پس گرفتید.", "You took the request back."))
    return see(f"/apps/{review.app_id}/review")


@post("/reviews/{review_id:str}/appeal")
async def appeal(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Contest a rejection."""
    form = await read_form(request)
    review, context = await own(session, review_id, user)
    try:
        made = await service.appeal(session, review, grounds=form["grounds"], by=user, now=now)
    except REFUSALS as error:
        review, context = await again(session, review_id, user)
        return await _status(session, review, form.refused(error), context, user, now, status=422)
    return see(f"/reviews/{made.id}?sent=1")


routes: Sequence[Router] = pages(go_live, start, status_page, comment, withdraw, appeal, guards=[signed_in])
