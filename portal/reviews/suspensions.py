"""Kill switches and their lifting. What is cut is cut in the data that every call is judged by, and announced on the feed at once.

DomainError
├── NothingToLift (Conflict)   the suspension is over, or no lift was proposed
└── SecondPerson (Forbidden)   the one who proposes a lift cannot confirm it
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

import portal.oauth.watch  # noqa: F401 -- it announces every change of an App, Company or Subscription
from portal.apps.models import AccessStatus, App, AppEnvironment
from portal.audit.service import record
from portal.companies.models import Company, CompanyStatus, MemberRole
from portal.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from portal.kernel.ids import new_id
from portal.oauth.feed import publish
from portal.products.models import Product, ProductScope
from portal.reviews import guards, policy
from portal.reviews.production import Grade, IncidentNote, Suspension, Target
from portal.users.models import User


class NothingToLift(Conflict):
    code = "nothing-to-lift"
    title = "This suspension is over, or nobody proposed to lift it"
    title_fa = "این تعلیق پایان یافته یا رفع آن پیشنهاد نشده است"


class SecondPerson(Forbidden):
    code = "second-lifter-needed"
    title = "Another reviewer must confirm the lift"
    title_fa = "رفع تعلیق را باید کارشناس دیگری تأیید کند"


async def impose(
    session: AsyncSession,
    *,
    target: Target,
    target_id: str,
    grade: Grade,
    reason_code: str,
    reason: str = "",
    by: User | None,
    now: datetime,
    actor: str = "",
) -> Suspension:
    """Cut access; the next call is refused. `by` is the User, or None for the command line (`actor` then says who)."""
    company_id = await _owner(session, target, target_id)
    if by is not None:
        await _may_impose(session, by, target, company_id, grade)
    _checked(target, grade, reason_code, reason)
    made = Suspension(
        id=new_id("sus"),
        target=target,
        target_id=target_id,
        grade=grade,
        reason_code=reason_code,
        reason=reason.strip(),
        held=await _held(session, target, target_id),
        policy_version=policy.current().version,
        imposed_by=by.id if by else actor or "gozar",
        imposed_at=now,
    )
    session.add(made)
    await session.flush()
    await _apply(session, made)
    await _note(session, made, "suspension.imposed", made.imposed_by, company_id, now)
    return made


def _checked(target: Target, grade: Grade, reason_code: str, reason: str) -> None:
    if reason_code not in policy.current().suspensions:
        known = ", ".join(sorted(policy.current().suspensions))
        raise Invalid(f"Give one of the reasons {known}", fa="یکی از دلیل‌های فهرست را برگزینید", field="reason_code")
    if len(reason) > 2000:
        raise Invalid("Write at most 2000 characters", fa="حداکثر ۲۰۰۰ نویسه بنویسید", field="reason")
    if target in (Target.SCOPE, Target.PRODUCT) and grade != Grade.INVOLUNTARY:
        raise Invalid(
            "A scope or product is cut only as `involuntary`", fa="قطع دامنه یا محصول فقط کامل است", field="grade"
        )


async def _may_impose(session: AsyncSession, by: User, target: Target, company_id: str, grade: Grade) -> None:
    if grade == Grade.VOLUNTARY and target in (Target.APP, Target.COMPANY):
        role = await guards.company_role(session, by, company_id)
        if role is None:
            raise NotFound
        if role != MemberRole.OWNER:
            raise guards.ReadOnlyMember("Only an owner suspends", fa="فقط مالک شرکت می‌تواند تعلیق کند")
        return
    if company_id:
        await guards.may_decide(session, by, company_id)
    else:
        guards.must_review(by)


async def _owner(session: AsyncSession, target: Target, target_id: str) -> str:
    """Company of the target, "" for catalogue targets; raises NotFound."""
    if target == Target.APP:
        app = await session.get(App, target_id)
        if app is not None:
            return app.company_id
    elif target == Target.COMPANY:
        if await session.get(Company, target_id) is not None:
            return target_id
    elif target == Target.PRODUCT:
        if await session.get(Product, target_id) is not None:
            return ""
    elif await session.scalar(select(ProductScope.scope).where(ProductScope.scope == target_id).limit(1)):
        return ""
    raise NotFound


async def active(session: AsyncSession, target: Target, target_id: str) -> list[Suspension]:
    """Suspensions of a target that have not been lifted, oldest first."""
    found = await session.scalars(
        select(Suspension)
        .where(Suspension.target == target, Suspension.target_id == target_id, Suspension.lifted_at.is_(None))
        .order_by(Suspension.imposed_at)
    )
    return list(found)


async def _held(session: AsyncSession, target: Target, target_id: str) -> dict[str, Any]:
    """What lifting must give back: only a Company has a status of its own to return to."""
    if target != Target.COMPANY:
        return {}
    for earlier in await active(session, target, target_id):
        if earlier.held:
            return dict(earlier.held)
    company = await session.get_one(Company, target_id)
    return {"status": str(company.status)}


async def _apply(session: AsyncSession, changed: Suspension) -> None:
    """Bring what every call is judged by in line with the suspensions that stand now."""
    target = Target(changed.target)
    if target == Target.APP:
        await _apply_app(session, await session.get_one(App, changed.target_id))
    elif target == Target.COMPANY:
        await _apply_company(session, changed)
    else:
        standing = await active(session, target, changed.target_id)
        rows = await session.scalars(
            select(ProductScope).where(ProductScope.scope == changed.target_id)
            if target == Target.SCOPE
            else select(Product).where(Product.id == changed.target_id)
        )
        for row in rows:
            row.suspended = bool(standing)
        await session.flush()
        await publish(session, "plan", "*")


async def _apply_company(session: AsyncSession, changed: Suspension) -> None:
    standing = await active(session, Target.COMPANY, changed.target_id)
    company = await session.get_one(Company, changed.target_id)
    cut = any(row.grade != Grade.LIMITED for row in standing)
    company.status = CompanyStatus.SUSPENDED if cut else CompanyStatus(changed.held["status"])
    for app in await session.scalars(select(App).where(App.company_id == company.id)):
        await _apply_app(session, app)
    await session.flush()


async def _apply_app(session: AsyncSession, app: App) -> None:
    own = await active(session, Target.APP, app.id)
    above = [row for row in await active(session, Target.COMPANY, app.company_id) if row.grade == Grade.LIMITED]
    standing = own + above
    if not standing:
        app.status, app.status_reason = AccessStatus.ACTIVE, ""
    else:
        worst = next((row for row in standing if row.grade != Grade.LIMITED), standing[0])
        app.status = AccessStatus.LIMITED if worst.grade == Grade.LIMITED else AccessStatus.SUSPENDED
        meaning = policy.current().suspensions[worst.reason_code].en
        app.status_reason = f"{meaning}. {worst.reason}".strip()
    await session.flush()
    for client in await session.scalars(select(AppEnvironment).where(AppEnvironment.app_id == app.id)):
        client.epoch += 1
        await session.flush()


async def _note(
    session: AsyncSession, row: Suspension, action: str, actor: str, company_id: str, now: datetime
) -> None:
    await record(
        session,
        now=now,
        actor=actor,
        action=action,
        subject=row.target_id[:64],
        company_id=company_id,
        details={
            "suspension": row.id,
            "target": str(row.target),
            "grade": str(row.grade),
            "reason_code": row.reason_code,
            "reason": row.reason if action == "suspension.imposed" else row.lift_reason,
            "policy": row.policy_version,
            "proposed_by": row.lift_proposed_by or "",
        },
    )


async def find(session: AsyncSession, suspension_id: str, *, by: User) -> Suspension:
    """A suspension that `by` may see: reviewers all, members those of their own Company and Apps."""
    row = await session.get(Suspension, suspension_id)
    if row is None:
        raise NotFound
    if not guards.is_reviewer(by):
        company_id = await _owner(session, Target(row.target), row.target_id)
        await guards.may_read(session, by, company_id)
    return row


async def propose_lift(session: AsyncSession, row: Suspension, *, reason: str, by: User, now: datetime) -> None:
    """Ask for reinstatement: a reviewer proposes, another confirms. A voluntary one is lifted by the Company at once."""
    company_id = await _owner(session, Target(row.target), row.target_id)
    if row.lifted_at is not None:
        raise NothingToLift
    if row.grade == Grade.VOLUNTARY:
        if await guards.company_role(session, by, company_id) != MemberRole.OWNER:
            raise NotFound
        await _lift(session, row, by, company_id, now)
        return
    await _desk(session, by, company_id)
    if len(reason.strip()) < 10:
        raise Invalid(
            "Give the reason in at least 10 characters", fa="دلیل را در دست‌کم ۱۰ نویسه بنویسید", field="reason"
        )
    row.lift_proposed_by, row.lift_proposed_at, row.lift_reason = by.id, now, reason.strip()
    await session.flush()
    await _note(session, row, "suspension.lift-proposed", by.id, company_id, now)


async def _desk(session: AsyncSession, by: User, company_id: str) -> None:
    if company_id:
        await guards.may_decide(session, by, company_id)
    else:
        guards.must_review(by)


async def confirm_lift(session: AsyncSession, row: Suspension, *, by: User, now: datetime) -> None:
    """The second reviewer's yes: access returns to what the other suspensions, if any, leave."""
    company_id = await _owner(session, Target(row.target), row.target_id)
    await _desk(session, by, company_id)
    if row.lifted_at is not None or row.lift_proposed_by is None:
        raise NothingToLift
    if row.lift_proposed_by == by.id:
        raise SecondPerson
    await _lift(session, row, by, company_id, now)


async def _lift(session: AsyncSession, row: Suspension, by: User, company_id: str, now: datetime) -> None:
    row.lifted_by, row.lifted_at = by.id, now
    await session.flush()
    await _apply(session, row)
    await _note(session, row, "suspension.lifted", by.id, company_id, now)


async def decline_lift(session: AsyncSession, row: Suspension, *, by: User, now: datetime) -> None:
    """Drop a proposal to lift; the suspension stands as it was."""
    company_id = await _owner(session, Target(row.target), row.target_id)
    await _desk(session, by, company_id)
    if row.lifted_at is not None or row.lift_proposed_by is None:
        raise NothingToLift
    await _note(session, row, "suspension.lift-declined", by.id, company_id, now)
    row.lift_proposed_by, row.lift_proposed_at, row.lift_reason = None, None, ""
    await session.flush()


async def note(
    session: AsyncSession, row: Suspension, *, body: str, audience: str, by: User, now: datetime
) -> IncidentNote:
    """Add an incident note for `internal`, `company` or `public` readers."""
    company_id = await _owner(session, Target(row.target), row.target_id)
    await _desk(session, by, company_id)
    if audience not in ("internal", "company", "public"):
        raise Invalid("audience is internal, company or public", fa="مخاطب نامعتبر است", field="audience")
    if not 1 <= len(body.strip()) <= 4000:
        raise Invalid("Write 1 to 4000 characters", fa="متنی میان ۱ تا ۴۰۰۰ نویسه بنویسید", field="body")
    made = IncidentNote(
        id=new_id("inc"), suspension_id=row.id, author_id=by.id, at=now, audience=audience, body=body.strip()
    )
    session.add(made)
    await session.flush()
    await record(
        session,
        now=now,
        actor=by.id,
        action="suspension.noted",
        subject=row.target_id[:64],
        company_id=company_id,
        details={"suspension": row.id, "note": made.id, "audience": audience},
    )
    return made


async def notes(session: AsyncSession, row: Suspension, *, by: User) -> list[IncidentNote]:
    """Incident notes that `by` may read, oldest first: internal ones are for reviewers."""
    query = select(IncidentNote).where(IncidentNote.suspension_id == row.id).order_by(IncidentNote.at, IncidentNote.id)
    if not guards.is_reviewer(by):
        query = query.where(IncidentNote.audience != "internal")
    return list(await session.scalars(query))


async def of_app(session: AsyncSession, app_id: str, *, by: User) -> list[Suspension]:
    """Suspensions of an App and of its Company, newest first; raises NotFound for strangers."""
    app = await session.get(App, app_id)
    if app is None:
        raise NotFound
    if not guards.is_reviewer(by):
        await guards.may_read(session, by, app.company_id)
    found = await session.scalars(
        select(Suspension)
        .where(
            or_(
                and_(Suspension.target == Target.APP, Suspension.target_id == app_id),
                and_(Suspension.target == Target.COMPANY, Suspension.target_id == app.company_id),
            )
        )
        .order_by(Suspension.imposed_at.desc())
        .limit(100)
    )
    return list(found)
