"""Pages of a draft: the questionnaire step by step, scopes, evidence, and all of it once more before it is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import DomainError, Invalid, NotFound
from portal.products.models import Product, ProductScope
from portal.reviews import evidence, policy, queries, questionnaire, service
from portal.reviews.models import ReviewRequest
from portal.reviews.own_requests import again, draft
from portal.users.confirmation import must_be_confirmed
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.web.dependencies import Db, Now, ShellValues
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.pages import page, pages, see
from portal.web.visit import Notice


@get("/reviews/{review_id:str}/questions/{section_id:str}")
async def questions_page(
    review_id: FromPath[str], section_id: FromPath[str], user: CurrentUser, session: Db
) -> Template:
    """One step of the questionnaire, with what was saved so far."""
    request, context = await draft(session, review_id, user)
    section = _section(section_id)
    return await questions_form(session, request, section, context)


def _section(section_id: str) -> questionnaire.Section:
    found = questionnaire.section(section_id)
    if found is None:
        raise NotFound
    return found


async def questions_form(
    session: AsyncSession,
    request: ReviewRequest,
    section: questionnaire.Section,
    context: dict[str, Any],
    *,
    form: Form | None = None,
    refused: DomainError | None = None,
) -> Template:
    """A step with what was saved, or what was typed and refused."""
    if form is None:
        form = Form({f"answers.{key}": str(value) for key, value in request.answers.items()})
    if refused is not None:
        form = form.refused(refused)
    return page(
        "reviews/questions.html",
        status=422 if refused is not None else 200,
        form=form,
        review=request,
        section=section,
        steps=questionnaire.sections(),
        ready={row.id for row in questionnaire.sections() if not questionnaire.problems(request.answers, of=row)},
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
    review, context = await draft(session, review_id, user)
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
        return await questions_form(session, review, section, context, form=form, refused=first)
    order = [row.id for row in questionnaire.sections()]
    following = order[order.index(section.id) + 1 :]
    return see(f"/reviews/{review.id}/questions/{following[0]}" if following else f"/apps/{review.app_id}/review")


@get("/reviews/{review_id:str}/scopes")
async def scopes_page(review_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """What the App asks for, and why."""
    request, context = await draft(session, review_id, user)
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
    review, context = await draft(session, review_id, user)
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
    request, context = await draft(session, review_id, user)
    return await _evidence(session, request, Form({"app_version": request.app_version}), context)


async def _evidence(
    session: AsyncSession, request: ReviewRequest, form: Form, context: dict[str, Any], status: int = 200
) -> Template:
    found = await evidence.newest(session, request.app_id)
    lacks = await evidence.lacks(session, request)
    return page("reviews/evidence.html", status=status, form=form, review=request, found=found, lacks=lacks, **context)


@post("/reviews/{review_id:str}/evidence")
async def save_evidence(
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template | Redirect:
    """Bind evidence and App version to the request."""
    form = await read_form(request)
    review, context = await draft(session, review_id, user)
    try:
        await service.set_version(session, review, version=form["app_version"], by=user, now=now)
        await evidence.attach(session, review, evidence_id=form["evidence"], by=user, now=now)
    except REFUSALS as error:
        review, context = await again(session, review_id, user)
        return await _evidence(session, review, form.refused(error), context, status=422)
    return see(f"/apps/{review.app_id}/review")


@get("/reviews/{review_id:str}/check")
async def check_page(review_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """All answers on one page, before they are sent."""
    request, context = await draft(session, review_id, user)
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
    request: AnyRequest, review_id: FromPath[str], user: CurrentUser, session: Db, now: Now, shell: ShellValues
) -> Template | Redirect:
    """Send the request; what is missing is listed on the same page."""
    form = await read_form(request)
    review, context = await draft(session, review_id, user)
    if form["declared"] != "yes":
        error: DomainError = Invalid("Confirm the declaration", fa="درستی پاسخ‌ها را تأیید کنید", field="declared")
        return await _check(session, review, form.refused(error), context, status=422)
    try:
        must_be_confirmed(user, demanded=shell.confirm_email)
        await service.submit(session, review, by=user, now=now)
    except REFUSALS as error:
        review, context = await again(session, review_id, user)
        return await _check(session, review, form.refused(error), context, status=422)
    return see(f"/reviews/{review.id}?sent=1")


routes: Sequence[Router] = pages(
    questions_page,
    save_questions,
    scopes_page,
    save_scopes,
    evidence_page,
    save_evidence,
    check_page,
    submit,
    guards=[signed_in],
)
