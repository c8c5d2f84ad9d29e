"""Decisions: propose, confirm, decline. An approval of a sensitive scope waits for a second reviewer; the database holds it to that.

DomainError
├── NotDecidable (Conflict)        not in the desk's hands, or already proposed
├── SamePerson (Forbidden)         the second reviewer must be another
├── ChangedSince (Conflict)        the App or the answers changed after the proposal
├── CompanyNotVerified (Conflict)  approve the Company first
├── EvidenceMissing (Conflict)     no signed Evidence that passes, and no exception was reasoned
└── JudgeAgain (Forbidden)         an appeal is decided by others than the first decision
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.companies.models import Company, CompanyStatus
from portal.kernel.errors import Conflict, Forbidden, Invalid
from portal.kernel.ids import new_id
from portal.reviews import guards, outcomes, policy, snapshot
from portal.reviews.models import (
    QUEUED,
    Decision,
    Outcome,
    RequestKind,
    RequestStatus,
    ReviewRequest,
    ReviewScope,
    ScopeDecision,
)
from portal.reviews.service import RequestClosed, scopes_of
from portal.reviews.workdays import iran
from portal.users.models import User


class NotDecidable(Conflict):
    code = "not-decidable"
    title = "The request is not waiting for a decision"
    title_fa = "این درخواست در انتظار رأی نیست"


class SamePerson(Forbidden):
    code = "second-person-needed"
    title = "The second reviewer must be another person than the first"
    title_fa = "تأییدکنندهٔ دوم باید شخص دیگری باشد"


class ChangedSince(Conflict):
    code = "changed-since-proposal"
    title = "The app's scopes, redirects, keys or answers changed after submission; review them again"
    title_fa = "دامنه‌ها، نشانی‌های بازگشت، کلیدها یا پاسخ‌ها پس از ارسال تغییر کرده‌اند؛ دوباره بررسی کنید"


class CompanyNotVerified(Conflict):
    code = "company-not-verified"
    title = "Verify the company first; an app of an unverified company cannot be approved"
    title_fa = "نخست شرکت را احراز کنید؛ برنامهٔ شرکت احرازنشده تأیید نمی‌شود"


class EvidenceMissing(Conflict):
    code = "evidence-missing"
    title = "There is no signed evidence that passes every mandatory requirement; give a reason to decide without it"
    title_fa = "شواهد امضاشده‌ای که همهٔ الزام‌های اجباری را بگذراند وجود ندارد؛ برای تصمیم بدون آن دلیل بنویسید"


class JudgeAgain(Forbidden):
    code = "appeal-needs-others"
    title = "An appeal is decided by other reviewers than the first decision"
    title_fa = "دربارهٔ تجدیدنظر کسانی جز صادرکنندگان رأی نخست تصمیم می‌گیرند"


@dataclass(frozen=True, slots=True)
class ScopeVerdict:
    """What is decided about one scope: approved, or refused with a reason code and words for the Company."""

    approved: bool
    reason_code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What an approval grants besides scopes. `plans`: product -> production Plan (absent: the Product's first)."""

    plans: dict[str, str] = field(default_factory=dict)
    ramp: str = "standard"
    conditions: tuple[str, ...] = ()
    expires_at: datetime | None = None
    evidence_exception: str = ""


async def _claim(session: AsyncSession, request: ReviewRequest, by: User, now: datetime) -> None:
    """Take the row for this transaction, so that two reviewers cannot decide at once; raises `NotDecidable`."""
    await guards.may_decide(session, by, request.company_id)
    claimed = await session.scalar(
        update(ReviewRequest)
        .where(ReviewRequest.id == request.id, ReviewRequest.status.in_(QUEUED))
        .values(updated_at=now)
        .returning(ReviewRequest.id)
        .execution_options(synchronize_session=False)
    )
    if claimed is None:
        raise NotDecidable
    await session.refresh(request)
    if request.kind == RequestKind.APPEAL:
        first = await session.scalars(select(Decision).where(Decision.request_id == request.appeal_of))
        if any(by.id in (row.proposed_by, row.confirmed_by) for row in first):
            raise JudgeAgain


async def pending(session: AsyncSession, request_id: str) -> Decision | None:
    """The decision that waits for its second reviewer."""
    return (
        await session.scalars(
            select(Decision).where(
                Decision.request_id == request_id, Decision.effective_at.is_(None), Decision.declined_by.is_(None)
            )
        )
    ).first()


def _reasoned(outcome: str, code: str, reason: str, *, field: str) -> None:
    allowed = {found.code for found in policy.current().reasons_for(outcome)}
    if code not in allowed:
        raise Invalid(
            f"Give one of the reason codes {', '.join(sorted(allowed))}",
            fa="یکی از دلیل‌های فهرست را برگزینید",
            field=field,
        )
    if code == "other" and not reason.strip():
        raise Invalid("Say the reason in words", fa="دلیل را بنویسید", field=field.replace("reason_code", "reason"))


def _verdicts(rows: list[ReviewScope], verdicts: dict[str, ScopeVerdict]) -> None:
    asked = {row.scope for row in rows}
    for scope in verdicts:
        if scope not in asked:
            raise Invalid(
                f"The request does not ask for {scope!r}", fa=f"«{scope}» در این درخواست نیست", field=f"scopes.{scope}"
            )
    for row in rows:
        verdict = verdicts.get(row.scope)
        if verdict is None:
            raise Invalid(
                f"Decide on {row.scope} too", fa=f"دربارهٔ {row.scope} نیز رأی دهید", field=f"scopes.{row.scope}"
            )
        if not verdict.approved:
            _reasoned("scope", verdict.reason_code, verdict.reason, field=f"scopes.{row.scope}.reason_code")


async def approve(
    session: AsyncSession,
    request: ReviewRequest,
    *,
    verdicts: dict[str, ScopeVerdict],
    terms: Terms,
    reason: str = "",
    evidence_passes: bool = False,
    by: User,
    now: datetime,
) -> Decision:
    """Approve with a verdict per scope. Takes effect at once, or waits for a second reviewer when an approved scope is sensitive."""
    await _claim(session, request, by, now)
    if await pending(session, request.id) is not None:
        raise NotDecidable("A decision already waits for its second reviewer", fa="رأیی در انتظار تأیید دوم است")
    company = await session.get_one(Company, request.company_id)
    if company.status != CompanyStatus.VERIFIED:
        raise CompanyNotVerified
    if not evidence_passes and len(terms.evidence_exception.strip()) < 10:
        raise EvidenceMissing
    rows = await scopes_of(session, request)
    _verdicts(rows, verdicts)
    approved = [row for row in rows if verdicts[row.scope].approved]
    if not approved:
        raise Invalid(
            "Approve at least one scope, or reject the request",
            fa="دست‌کم یک دامنه را تأیید یا درخواست را رد کنید",
            field="scopes",
        )
    expires_at = terms.expires_at or now + timedelta(days=policy.current().approval_days)
    if not now < expires_at <= now + timedelta(days=2 * policy.current().approval_days):
        raise Invalid(
            "The approval must end in the future, within two years",
            fa="پایان تأیید باید در آینده و حداکثر دو سال دیگر باشد",
            field="expires_at",
        )
    if terms.ramp not in ("standard", "none"):
        raise Invalid("ramp is `standard` or `none`", fa="گشایش standard یا none است", field="ramp")
    await outcomes.check_plans(session, {row.product_id for row in approved}, terms.plans)
    if snapshot.digest(await snapshot.take(session, request)) != snapshot.digest(request.snapshot):
        raise ChangedSince
    decision = _draft(request, Outcome.APPROVED, by=by, now=now, reason=reason)
    decision.scopes = {
        row.scope: {
            "decision": ScopeDecision.APPROVED if verdicts[row.scope].approved else ScopeDecision.REFUSED,
            "reason_code": verdicts[row.scope].reason_code,
            "reason": verdicts[row.scope].reason.strip(),
        }
        for row in rows
    }
    decision.plans, decision.ramp, decision.conditions = dict(terms.plans), terms.ramp, list(terms.conditions)
    decision.expires_at, decision.evidence_exception = expires_at, terms.evidence_exception.strip()
    decision.needs_second = any(row.sensitive for row in approved)
    session.add(decision)
    await session.flush()
    if decision.needs_second:
        request.status = RequestStatus.AWAITING_SECOND
        await _note(session, request, decision, by, "review.proposed", now)
        return decision
    return await _take_effect(session, request, decision, by, now)


def _draft(request: ReviewRequest, outcome: Outcome, *, by: User, now: datetime, reason: str) -> Decision:
    return Decision(
        id=new_id("dec"),
        request_id=request.id,
        outcome=outcome,
        scopes={},
        plans={},
        conditions=[],
        reason=reason.strip(),
        policy_version=policy.current().version,
        snapshot_hash=snapshot.digest(request.snapshot),
        needs_second=False,
        proposed_by=by.id,
        proposed_at=now,
    )


async def _note(
    session: AsyncSession, request: ReviewRequest, decision: Decision, by: User, action: str, now: datetime
) -> None:
    await record(
        session,
        now=now,
        actor=by.id,
        action=action,
        subject=request.id,
        company_id=request.company_id,
        details={
            "app": request.app_id,
            "decision": decision.id,
            "outcome": str(decision.outcome),
            "scopes": decision.scopes,
            "reason_code": decision.reason_code,
            "policy": decision.policy_version,
            "snapshot": decision.snapshot_hash,
            "proposed_by": decision.proposed_by,
            "confirmed_by": decision.confirmed_by or "",
        },
    )


async def _take_effect(
    session: AsyncSession, request: ReviewRequest, decision: Decision, by: User, now: datetime
) -> Decision:
    decision.effective_at = now
    await session.flush()
    for row in await scopes_of(session, request):
        verdict: dict[str, Any] = decision.scopes[row.scope]
        row.decision, row.reason_code, row.reason = verdict["decision"], verdict["reason_code"], verdict["reason"]
    request.status, request.decided_at, request.due_at = RequestStatus.APPROVED, now, None
    await outcomes.grant(session, request, decision, now=now)
    await _note(session, request, decision, by, "review.approved", now)
    return decision


async def confirm(session: AsyncSession, request: ReviewRequest, *, by: User, now: datetime) -> Decision:
    """The second reviewer's yes; the approval takes effect. Raises `SamePerson`, `ChangedSince`."""
    await _claim(session, request, by, now)
    decision = await pending(session, request.id)
    if decision is None:
        raise NotDecidable
    if decision.proposed_by == by.id:
        raise SamePerson
    if snapshot.digest(await snapshot.take(session, request)) != decision.snapshot_hash:
        raise ChangedSince
    decision.confirmed_by, decision.confirmed_at = by.id, now
    return await _take_effect(session, request, decision, by, now)


async def decline(session: AsyncSession, request: ReviewRequest, *, reason: str, by: User, now: datetime) -> None:
    """The second reviewer's no: the request goes back to review, nothing is granted."""
    await _claim(session, request, by, now)
    decision = await pending(session, request.id)
    if decision is None:
        raise NotDecidable
    decision.declined_by = by.id
    request.status = RequestStatus.IN_REVIEW if request.assigned_to else RequestStatus.SUBMITTED
    await _note(session, request, decision, by, "review.declined", now)


async def reject(
    session: AsyncSession, request: ReviewRequest, *, reason_code: str, reason: str, by: User, now: datetime
) -> Decision:
    """Refuse the request; the Company may appeal."""
    return await _negative(session, request, Outcome.REJECTED, reason_code, reason, by, now)


async def request_changes(
    session: AsyncSession, request: ReviewRequest, *, reason_code: str, reason: str, by: User, now: datetime
) -> Decision:
    """Hand the request back to the Company; the service clock stops and keeps what remains."""
    if len(reason.strip()) < 10:
        raise Invalid(
            "Say in at least 10 characters what must change",
            fa="در دست‌کم ۱۰ نویسه بنویسید چه چیزی باید اصلاح شود",
            field="reason",
        )
    return await _negative(session, request, Outcome.CHANGES_REQUESTED, reason_code, reason, by, now)


async def _negative(
    session: AsyncSession,
    request: ReviewRequest,
    outcome: Outcome,
    reason_code: str,
    reason: str,
    by: User,
    now: datetime,
) -> Decision:
    await _claim(session, request, by, now)
    if request.status == RequestStatus.AWAITING_SECOND:
        raise RequestClosed(
            "Confirm or decline the waiting decision first", fa="نخست رأی در انتظار را تأیید یا رد کنید"
        )
    _reasoned(str(outcome), reason_code, reason, field="reason_code")
    decision = _draft(request, outcome, by=by, now=now, reason=reason)
    decision.reason_code, decision.effective_at = reason_code, now
    session.add(decision)
    if outcome == Outcome.REJECTED:
        request.status, request.decided_at = RequestStatus.REJECTED, now
    else:
        request.status = RequestStatus.CHANGES_REQUESTED
        request.days_left = max(iran().left(now, request.due_at), 1) if request.due_at else 1
    request.due_at = None
    await session.flush()
    await _note(session, request, decision, by, f"review.{outcome}", now)
    return decision
