"""Graduated production: limits rise by steps on measured evidence and step down by themselves; every step is explained."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.audit.service import record
from portal.kernel.ids import new_id
from portal.products.models import Plan
from portal.reviews import outcomes, policy
from portal.reviews.policy import RampRules
from portal.reviews.production import Approval, RampChange
from portal.subscriptions.models import Subscription
from portal.usage.models import UsageHour

Move = Literal["up", "down", "stay"]


@dataclass(frozen=True, slots=True)
class Measures:
    """What an App did in the window: all calls, those refused for its own fault, those that met a limit. Rates are 0..1."""

    calls: int
    refused: int
    limited: int

    @property
    def error_rate(self) -> float:
        return self.refused / self.calls if self.calls else 0.0

    @property
    def limited_rate(self) -> float:
        return self.limited / self.calls if self.calls else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where the ramp goes, the measure that decided, and the words for the developer."""

    move: Move
    reason: str
    fa: str
    en: str


async def measure(session: AsyncSession, client_id: str, *, since: datetime) -> Measures:
    """Measures of a client since an instant, from the hourly usage ledger."""
    row = (
        await session.execute(
            select(
                func.coalesce(func.sum(UsageHour.admitted), 0),
                func.coalesce(func.sum(UsageHour.refused), 0),
                func.coalesce(func.sum(UsageHour.limited), 0),
            ).where(UsageHour.client_id == client_id, UsageHour.hour >= since)
        )
    ).one()
    admitted, refused, limited = (int(value) for value in row)
    return Measures(admitted + refused + limited, refused, limited)


def judge(measures: Measures, *, step: int, days_at_step: int, rules: RampRules) -> Verdict:
    """Pure: whether an App goes up, down or stays. A fall needs twice the bound, so that a step is not lost to chance."""
    last = len(rules.steps) - 1
    enough = measures.calls >= rules.calls
    if enough and measures.error_rate > 2 * rules.error_rate and step > 0:
        return Verdict(
            "down",
            "error-rate",
            f"سهم فراخوان‌های ردشده {measures.error_rate:.0%} شد (بیش از {2 * rules.error_rate:.0%})؛ سقف یک گام پایین آمد.",
            f"The share of refused calls reached {measures.error_rate:.0%} (over {2 * rules.error_rate:.0%}); limits went one step down.",
        )
    if (
        enough
        and measures.limited_rate > 2 * rules.limited_rate
        and measures.error_rate > rules.error_rate
        and step > 0
    ):
        return Verdict(
            "down",
            "limited-rate",
            f"سهم پاسخ‌های 429 به {measures.limited_rate:.0%} رسید و خطا نیز بالاست؛ سقف یک گام پایین آمد.",
            f"The share of 429 answers reached {measures.limited_rate:.0%} while errors are high; limits went one step down.",
        )
    if step >= last:
        return Verdict("stay", "complete", "سقف کامل طرح برقرار است.", "The plan's full limits are in force.")
    wait = rules.steps[step].days - days_at_step
    if wait > 0:
        return Verdict("stay", "days", f"{wait} روز دیگر در این گام می‌ماند.", f"{wait} more days at this step.")
    if not enough:
        return Verdict(
            "stay",
            "calls",
            f"برای گام بعدی {rules.calls} فراخوان لازم است؛ اکنون {measures.calls}.",
            f"The next step needs {rules.calls} calls; there are {measures.calls}.",
        )
    if measures.error_rate > rules.error_rate:
        return Verdict(
            "stay",
            "error-rate",
            f"سهم فراخوان‌های ردشده {measures.error_rate:.1%} است؛ باید به {rules.error_rate:.0%} برسد.",
            f"The share of refused calls is {measures.error_rate:.1%}; it must come to {rules.error_rate:.0%}.",
        )
    share = rules.steps[step + 1].share
    return Verdict(
        "up",
        "evidence",
        f"{measures.calls} فراخوان با خطای {measures.error_rate:.1%}؛ سقف به {share:.0%} طرح رسید.",
        f"{measures.calls} calls with {measures.error_rate:.1%} errors; limits rise to {share:.0%} of the plan.",
    )


async def step(session: AsyncSession, approval: Approval, *, now: datetime) -> Verdict:
    """Judge one approval's ramp and carry the verdict out."""
    rules = policy.current().ramp
    since = max(now - timedelta(days=rules.window_days), approval.ramp_at)
    measures = await measure(session, approval.client_id, since=since)
    days = (now - approval.ramp_at).days
    verdict = judge(measures, step=approval.ramp_step, days_at_step=days, rules=rules)
    if verdict.move == "stay":
        return verdict
    before = approval.ramp_step
    approval.ramp_step, approval.ramp_at = before + (1 if verdict.move == "up" else -1), now
    session.add(
        RampChange(
            id=new_id("rmp"),
            approval_id=approval.id,
            at=now,
            from_step=before,
            to_step=approval.ramp_step,
            reason=verdict.reason,
            explanation_fa=verdict.fa,
            explanation_en=verdict.en,
            measures=asdict(measures),
        )
    )
    await _limits(session, approval, now)
    await record(
        session,
        now=now,
        actor="gozar",
        action=f"ramp.{verdict.move}",
        subject=approval.app_id,
        company_id=approval.company_id,
        details={"from": before, "to": approval.ramp_step, "reason": verdict.reason, **asdict(measures)},
    )
    return verdict


async def _limits(session: AsyncSession, approval: Approval, now: datetime) -> None:
    app = await session.get_one(App, approval.app_id)
    place = await session.get_one(AppEnvironment, approval.client_id)
    rows = await session.execute(
        select(Subscription, Plan)
        .join(Plan, Plan.id == Subscription.plan_id)
        .where(Subscription.client_id == approval.client_id, Subscription.ended_at.is_(None))
    )
    for row, plan in rows.all():
        await outcomes.set_limits(
            session, app, place, row, plan, ramp=approval.ramp, step=approval.ramp_step, by="gozar", now=now
        )
