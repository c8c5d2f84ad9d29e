"""Pages of the Company: from the task list of a request to its confirmation, its status and an appeal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from litestar import Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.pages import app_context
from portal.companies.models import CompanyStatus
from portal.kernel.errors import DomainError, Invalid, NotFound
from portal.products.models import Product, ProductScope
from portal.reviews import attachments, evidence, policy, presentation, queries, questionnaire, service
from portal.reviews.dependencies import BlobsPort
from portal.reviews.models import EDITABLE, QUEUED, RequestStatus, ReviewRequest
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
UPLOAD = attachments.MOST_BYTES + 256 * 1024


async def _own(session: AsyncSession, review_id: str, user: User) -> tuple[ReviewRequest, dict[str, Any]]:
    """A request of one of the User's Companies, and what every page of its App needs."""
    request = await queries.visible(session, review_id, user)
    return request, await app_context(session, user_id=user.id, app_id=request.app_id)


async def _again(session: AsyncSession, review_id: str, user: User) -> tuple[ReviewRequest, dict[str, Any]]:
    """Undo what a refused verb did, and read anew what the page shows."""
    await session.rollback()
    await session.refresh(user)
    return await _own(session, review_id, user)


async def _draft(session: AsyncSession, review_id: str, user: User) -> tuple[ReviewRequest, dict[str, Any]]:
    """As `_own`, for a page that edits; a request that is not a draft shows its status instead (NotFound)."""
    request, context = await _own(session, review_id, user)
    if request.status not in EDITABLE:
        raise service.RequestClosed
    return request, context


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


@get("/reviews/{review_id:str}/questions/{section_id:str}")
async def questions_page(
    review_id: FromPath[str], section_id: FromPath[str], user: CurrentUser, session: Db
) -> Template:
    """One step of the questionnaire, with what was saved so far."""
    request, context = await _draft(session, review_id, user)
    section = _section(section_id)
    form = Form({f"answers.{key}": str(value) for key, value in request.answers.items()})
    return await _questions(session, request, section, form, context)


def _section(section_id: str) -> questionnaire.Section:
    found = questionnaire.section(section_id)
    if found is None:
        raise NotFound
    return found


async def _questions(
    session: AsyncSession,
    request: ReviewRequest,
    section: questionnaire.Section,
    form: Form,
    context: dict[str, Any],
    status: int = 200,
) -> Template:
    return page(
        "reviews/questions.html",
        status=status,
        form=form,
        review=request,
        section=section,
        steps=questionnaire.sections(),
        files=await queries.attachments(session, request.id),
        **context,
    )


@post("/reviews/{review_id:str}/questions/{section_id:str}")
async def save_questions(
    request: AnyRequest,
    review_id: FromPath[str],
    section_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Template | Redirect:
    """Save the step as it is; then go on, or show what is missing beside each field."""
    form = await read_form(request)
    review, context = await _draft(session, review_id, user)
    section = _section(section_id)
    given = {
        question.id: form[f"answers.{question.id}"]
        for question in section.questions
        if question.kind != "file" and f"answers.{question.id}" in form.values
    }
    await service.save_answers(session, review, answers=given, by=user, now=now)
    if form["then"] == "later":
        tell(
            Notice("success", "پیش‌نویس ذخیره شد؛ هر زمان برگردید.", "The draft is saved; come back whenever you like.")
        )
        return see(f"/apps/{review.app_id}/review")
    wrong = questionnaire.problems(review.answers, of=section)
    if wrong:
        first = Invalid(wrong[0].message, fa=wrong[0].message_fa, field=wrong[0].field, others=tuple(wrong[1:]))
        return await _questions(session, review, section, form.refused(first), context, status=422)
    order = [row.id for row in questionnaire.sections()]
    following = order[order.index(section.id) + 1 :]
    return see(f"/reviews/{review.id}/questions/{following[0]}" if following else f"/apps/{review.app_id}/review")


@post("/reviews/{review_id:str}/upload/{question:str}", request_max_body_size=UPLOAD)
async def upload(
    request: AnyRequest,
    review_id: FromPath[str],
    question: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
    blobs: BlobsPort,
) -> Redirect:
    """Keep a PDF as the answer to a question."""
    review, _ = await _draft(session, review_id, user)
    known = questionnaire.questions().get(question)
    if known is None:
        raise NotFound
    sent = (await request.form()).get("file")
    back = see(f"/reviews/{review.id}/questions/{known.section}")
    if not isinstance(sent, UploadFile) or not sent.filename:
        tell(Notice("error", "پرونده‌ای برنگزیدید.", "You chose no file."))
        return back
    try:
        await attachments.add(
            session,
            review,
            question=question,
            name=sent.filename,
            content=await sent.read(),
            blobs=blobs,
            by=user,
            now=now,
        )
    except Invalid as error:
        tell(Notice("error", error.message_fa, error.message))
    return back


@post("/reviews/{review_id:str}/files/{attachment_id:str}/removal")
async def remove_file(
    review_id: FromPath[str], attachment_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Redirect:
    """Take a document off the draft."""
    review, _ = await _draft(session, review_id, user)
    found = await attachments.get(session, review, attachment_id)
    await attachments.remove(session, review, attachment_id, by=user, now=now)
    return see(f"/reviews/{review.id}/questions/{questionnaire.questions()[found.question].section}")


@get("/reviews/{review_id:str}/files/{attachment_id:str}")
async def download(
    review_id: FromPath[str], attachment_id: FromPath[str], user: CurrentUser, session: Db, blobs: BlobsPort
) -> Response[bytes]:
    """A document, for its Company and the desk; never shown inside a page of ours."""
    review = await queries.visible(session, review_id, user)
    found = await attachments.get(session, review, attachment_id)
    content = await blobs.get(found.sha256)
    if content is None:
        raise NotFound
    headers = {
        "content-disposition": f'attachment; filename="{found.id}.pdf"',
        "content-security-policy": "sandbox; default-src 'none'",
        "cache-control": "private, no-store",
    }
    return Response(content, media_type="application/pdf", headers=headers)


@get("/reviews/{review_id:str}/scopes")
async def scopes_page(review_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """What the App asks for, and why."""
    request, context = await _draft(session, review_id, user)
    rows = await service.scopes_of(session, request)
    chosen = {row.scope: row.justification for row in rows}
    values = {f"scopes.{scope}": text for scope, text in chosen.items()}
    return await _scopes(session, request, Form(values, {"scopes": list(chosen)} if chosen else {}), context)


async def _scopes(
    session: AsyncSession, request: ReviewRequest, form: Form, context: dict[str, Any], status: int = 200
) -> Template:
    held = set(context["places"]["sandbox"].scopes) if "sandbox" in context["places"] else set()
    rows = await session.execute(
        select(ProductScope, Product)
        .join(Product, Product.id == ProductScope.product_id)
        .order_by(Product.position, ProductScope.scope)
    )
    offered: dict[str, tuple[Product, list[ProductScope]]] = {}
    seen: set[str] = set()
    for scope, product in rows:
        if scope.scope in held and scope.scope not in seen:
            seen.add(scope.scope)
            offered.setdefault(product.id, (product, []))[1].append(scope)
    proof = await evidence.of_request(session, request)
    return page(
        "reviews/scopes.html",
        status=status,
        form=form,
        review=request,
        offered=list(offered.values()),
        least=policy.current().justification_min,
        proof=proof,
        **context,
    )


@post("/reviews/{review_id:str}/scopes")
async def save_scopes(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Keep the chosen scopes; then go on, or say which justification is too short."""
    form = await read_form(request)
    review, context = await _draft(session, review_id, user)
    chosen = {scope: form[f"scopes.{scope}"] for scope in form.all("scopes")}
    await service.set_scopes(session, review, scopes=chosen, by=user, now=now)
    wrong = [error for error in await service.missing(session, review) if error.field.startswith("scopes")]
    if wrong and form["then"] != "later":
        first = Invalid(wrong[0].message, fa=wrong[0].message_fa, field=wrong[0].field, others=tuple(wrong[1:]))
        return await _scopes(session, review, form.refused(first), context, status=422)
    return see(f"/apps/{review.app_id}/review")


@get("/reviews/{review_id:str}/evidence")
async def evidence_page(review_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """Choose the signed evidence that goes with the request."""
    request, context = await _draft(session, review_id, user)
    return await _evidence(session, request, Form({"app_version": request.app_version}), context)


async def _evidence(
    session: AsyncSession, request: ReviewRequest, form: Form, context: dict[str, Any], status: int = 200
) -> Template:
    found = await evidence.newest(session, request.app_id)
    return page("reviews/evidence.html", status=status, form=form, review=request, found=found, **context)


@post("/reviews/{review_id:str}/evidence")
async def save_evidence(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Bind evidence and App version to the request."""
    form = await read_form(request)
    review, context = await _draft(session, review_id, user)
    try:
        await service.set_version(session, review, version=form["app_version"], by=user, now=now)
        await evidence.attach(session, review, evidence_id=form["evidence"], by=user, now=now)
    except REFUSALS as error:
        review, context = await _again(session, review_id, user)
        return await _evidence(session, review, form.refused(error), context, status=422)
    return see(f"/apps/{review.app_id}/review")


@get("/reviews/{review_id:str}/check")
async def check_page(review_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """All answers on one page, before they are sent."""
    request, context = await _draft(session, review_id, user)
    return await _check(session, request, Form(), context)


async def _check(
    session: AsyncSession, request: ReviewRequest, form: Form, context: dict[str, Any], status: int = 200
) -> Template:
    return page(
        "reviews/check.html",
        status=status,
        form=form,
        review=request,
        steps=questionnaire.sections(),
        scopes=await service.scopes_of(session, request),
        proof=await evidence.of_request(session, request),
        files={row.question: row for row in await queries.attachments(session, request.id)},
        **context,
    )


@post("/reviews/{review_id:str}/submit")
async def submit(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Send the request; what is missing is listed on the same page."""
    form = await read_form(request)
    review, context = await _draft(session, review_id, user)
    if form["declared"] != "yes":
        error: DomainError = Invalid("Confirm the declaration", fa="درستی پاسخ‌ها را تأیید کنید", field="declared")
        return await _check(session, review, form.refused(error), context, status=422)
    try:
        await service.submit(session, review, by=user, now=now)
    except REFUSALS as error:
        review, context = await _again(session, review_id, user)
        return await _check(session, review, form.refused(error), context, status=422)
    return see(f"/reviews/{review.id}?sent=1")


@get("/reviews/{review_id:str}")
async def status_page(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Where the request stands: confirmation, place in the queue, reasons, next step, what was said, the record."""
    review, context = await _own(session, review_id, user)
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
    review, context = await _own(session, review_id, user)
    try:
        await service.comment(session, review, body=form["body"], internal=False, pin="", by=user, now=now)
    except REFUSALS as error:
        review, context = await _again(session, review_id, user)
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
    review, context = await _own(session, review_id, user)
    try:
        made = await service.appeal(session, review, grounds=form["grounds"], by=user, now=now)
    except REFUSALS as error:
        review, context = await _again(session, review_id, user)
        return await _status(session, review, form.refused(error), context, user, now, status=422)
    return see(f"/reviews/{made.id}?sent=1")


routes: Sequence[Router] = pages(
    go_live,
    start,
    questions_page,
    save_questions,
    upload,
    remove_file,
    download,
    scopes_page,
    save_scopes,
    evidence_page,
    save_evidence,
    check_page,
    submit,
    status_page,
    comment,
    withdraw,
    appeal,
    guards=[signed_in],
)
