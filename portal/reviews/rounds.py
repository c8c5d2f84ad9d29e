"""What Gozar looks after by itself: ramps, re-verification, drift, notices before an end, and the end. Run about once an hour."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import AccessStatus, App, AppEnvironment
from portal.audit.service import record
from portal.companies.models import Company, CompanyStatus, MemberRole, Membership, ProofStatus
from portal.conformance.models import Evidence
from portal.conformance.requirements import suite_version
from portal.kernel.mail import Mailer, Message
from portal.reviews import policy, proofs, ramp, snapshot
from portal.reviews.production import Approval
from portal.traffic.models import CallRecord
from portal.users.models import User

UNUSED_AFTER = timedelta(days=60)


@dataclass(slots=True)
class Round:
    """What one round did."""

    ramps: int = 0
    verified: int = 0
    notices: int = 0
    expired: list[str] = field(default_factory=list)


async def run(session: AsyncSession, *, mailer: Mailer, now: datetime) -> Round:
    """One round over every standing approval."""
    done = Round()
    for approval in list(await session.scalars(select(Approval).where(Approval.revoked_at.is_(None)))):
        if approval.expires_at <= now:
            await expire(session, approval, mailer=mailer, now=now)
            done.expired.append(approval.app_id)
            continue
        if approval.ramp == "standard":
            verdict = await ramp.step(session, approval, now=now)
            done.ramps += verdict.move != "stay"
        if approval.next_check_at <= now:
            await verify(session, approval, now=now)
            done.verified += 1
        done.notices += await notify(session, approval, mailer=mailer, now=now)
    return done


async def expire(session: AsyncSession, approval: Approval, *, mailer: Mailer, now: datetime) -> None:
    """End an approval: production is refused from the next call on, until it is renewed."""
    approval.revoked_at, approval.revoke_reason = now, "expired"
    place = await session.get_one(AppEnvironment, approval.client_id)
    place.status = AccessStatus.SUSPENDED
    place.epoch += 1
    await record(
        session,
        now=now,
        actor="gozar",
        action="approval.expired",
        subject=approval.app_id,
        company_id=approval.company_id,
        details={"approval": approval.id, "expired_at": approval.expires_at.isoformat()},
    )
    app = await session.get_one(App, approval.app_id)
    await _tell(
        session,
        approval.company_id,
        mailer,
        fa=("پایان تأیید محیط عملیاتی", f"تأیید «{app.name}» پایان یافت؛ برای ادامه درخواست تمدید بفرستید."),
        en=("Production approval has ended", f"The approval of {app.name} has ended; submit a renewal to go on."),
    )


async def notify(session: AsyncSession, approval: Approval, *, mailer: Mailer, now: datetime) -> int:
    """Tell the Company once at each notice before the end; returns 1 when told."""
    left = (approval.expires_at - now).days
    due = [days for days in policy.current().notice_days if left <= days]
    stage = min(due, default=0)
    if not stage or (approval.notice_days and approval.notice_days <= stage):
        return 0
    approval.notice_days = stage
    app = await session.get_one(App, approval.app_id)
    await _tell(
        session,
        approval.company_id,
        mailer,
        fa=(
            "تأیید محیط عملیاتی رو به پایان است",
            f"تأیید «{app.name}» {left} روز دیگر پایان می‌یابد؛ درخواست تمدید بفرستید.",
        ),
        en=(
            "Production approval is about to end",
            f"The approval of {app.name} ends in {left} days; submit a renewal.",
        ),
    )
    return 1


async def _tell(
    session: AsyncSession, company_id: str, mailer: Mailer, *, fa: tuple[str, str], en: tuple[str, str]
) -> None:
    owners = await session.scalars(
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.company_id == company_id, Membership.role == MemberRole.OWNER)
    )
    for owner in owners:
        subject, text = fa if owner.language == "fa" else en
        await mailer.send(Message(owner.email, subject, text))


def _finding(fa: str, en: str) -> dict[str, str]:
    return {"fa": fa, "en": en}


async def verify(session: AsyncSession, approval: Approval, *, now: datetime) -> dict[str, Any]:
    """Look again at what the approval rested on; findings are shown to both sides, and a lost company status limits the App."""
    found: dict[str, Any] = {}
    company = await session.get_one(Company, approval.company_id)
    app = await session.get_one(App, approval.app_id)
    if company.status != CompanyStatus.VERIFIED:
        found["company"] = _finding("شرکت دیگر احراز شده نیست.", "The company is no longer verified.")
    owners = await session.scalars(
        select(Membership.user_id).where(Membership.company_id == company.id, Membership.role == MemberRole.OWNER)
    )
    if not list(owners):
        found["officer"] = _finding("شرکت مالکی ندارد.", "The company has no owner.")
    lapsed = [
        row
        for row in await proofs.of_company(session, company.id)
        if row.status == ProofStatus.ACCEPTED and not proofs.stands(row, now)
    ]
    if lapsed:
        names = ", ".join(sorted({str(row.kind) for row in lapsed}))
        found["proofs"] = _finding(
            f"اعتبار این مدارک پایان یافته است: {names}", f"These proofs of the company have run out: {names}"
        )
    found |= await drift(session, approval, app)
    found |= await _unused(session, approval, now)
    proof = await _evidence(session, approval)
    if proof is None or proof.suite_version != suite_version():
        found["evidence"] = _finding(
            "شواهد از نسخهٔ کنونی مجموعهٔ آزمون نیست؛ آزمون را دوباره اجرا کنید.",
            "The evidence is not of the present suite version; run the suite again.",
        )
    approval.findings = found
    approval.next_check_at = now + timedelta(days=policy.current().reverify_every_days)
    await record(
        session,
        now=now,
        actor="gozar",
        action="approval.re-verified",
        subject=approval.app_id,
        company_id=approval.company_id,
        details={"approval": approval.id, "findings": sorted(found), "policy": policy.current().version},
    )
    return found


async def drift(session: AsyncSession, approval: Approval, app: App) -> dict[str, Any]:
    """What changed about redirects and keys since the approval. The first production keys are not drift: they come after it."""
    found: dict[str, Any] = {}
    before = approval.snapshot
    after = await snapshot.of_app(session, app)
    for row in snapshot.difference(before, {**before, **after}):
        first_key = row.area == "keys" and row.change == "added" and not _production_keys(before)
        if row.area in ("redirects", "keys") and row.key.startswith("production ") and not first_key:
            found[f"drift-{row.area}"] = _finding(
                "نشانی‌های بازگشت پس از تأیید تغییر کرده‌اند."
                if row.area == "redirects"
                else "کلیدها پس از تأیید تغییر کرده‌اند.",
                f"{row.area.capitalize()} of production changed after the approval.",
            )
    return found


def _production_keys(before: dict[str, Any]) -> list[str]:
    return [key for key in before.get("keys", ()) if str(key).startswith("production ")]


async def _unused(session: AsyncSession, approval: Approval, now: datetime) -> dict[str, Any]:
    """Scopes whose resource type no call of the last sixty days was about."""
    if now - approval.approved_at < UNUSED_AFTER:
        return {}
    templates = set(
        await session.scalars(
            select(CallRecord.template)
            .where(
                CallRecord.app_id == approval.app_id,
                CallRecord.at >= now - UNUSED_AFTER,
                CallRecord.environment == "production",
            )
            .distinct()
        )
    )
    used = {part for template in templates for part in template.split("/") if part[:1].isupper()}
    idle = [
        scope
        for scope in approval.scopes
        if (kind := scope.partition("/")[2].partition(".")[0]) and kind != "*" and kind not in used
    ]
    if not idle:
        return {}
    names = ", ".join(idle)
    return {
        "unused": _finding(
            f"این دامنه‌ها شصت روز به کار نرفته‌اند: {names}", f"These scopes were not used for sixty days: {names}"
        )
    }


async def _evidence(session: AsyncSession, approval: Approval) -> Evidence | None:
    identity = str(approval.snapshot.get("evidence", ""))
    return await session.get(Evidence, identity) if identity else None
