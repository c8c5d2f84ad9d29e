"""Telling people before their Apps are refused: one mail at 80 % of a Quota and one at 100 %, for each window once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.companies.models import MemberRole, Membership
from portal.kernel.mail import Message
from portal.products.models import Plan, Product, QuotaPeriod
from portal.subscriptions.models import Subscription
from portal.usage.models import QuotaNotice, QuotaState
from portal.usage.windows import window
from portal.users.models import User

LEVELS = (100, 80)


async def due(session: AsyncSession, *, now: datetime) -> list[Message]:
    """Mails that are due, noted as told in the caller's transaction: send them once it has committed."""
    messages: list[Message] = []
    for period in QuotaPeriod:
        for row in await _used(session, period, window(period, now).name):
            level = next(level for level in LEVELS if row.spent * 100 >= row.quota * level)
            if await _first(session, row.subscription_id, row.window, level, now):
                messages += [_message(user, row, level) for user in await _people(session, row.company_id)]
    return messages


async def _used(session: AsyncSession, period: QuotaPeriod, name: str) -> list[Any]:
    quota = func.coalesce(Subscription.quota, Plan.quota)
    query = (
        select(
            QuotaState.subscription_id,
            QuotaState.window,
            QuotaState.spent,
            quota.label("quota"),
            App.id.label("app_id"),
            App.name.label("app"),
            App.company_id,
            AppEnvironment.environment,
            Product.name_fa,
            Product.name_en,
        )
        .join(Subscription, Subscription.id == QuotaState.subscription_id)
        .join(Plan, Plan.id == Subscription.plan_id)
        .join(Product, Product.id == Subscription.product_id)
        .join(AppEnvironment, AppEnvironment.client_id == Subscription.client_id)
        .join(App, App.id == AppEnvironment.app_id)
        .where(
            QuotaState.window == name,
            Plan.quota_period == period,
            Subscription.ended_at.is_(None),
            quota > 0,
            QuotaState.spent * 100 >= quota * LEVELS[-1],
        )
    )
    return list(await session.execute(query))


async def _first(session: AsyncSession, subscription_id: str, name: str, level: int, now: datetime) -> bool:
    """Whether nobody was told of this level yet; whoever hears True tells."""
    upsert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    noted: Any = await session.execute(
        upsert(QuotaNotice)
        .values(subscription_id=subscription_id, window=name, level=level, told_at=now)
        .on_conflict_do_nothing()
        .returning(QuotaNotice.level)
    )
    return noted.first() is not None


async def _people(session: AsyncSession, company_id: str) -> list[User]:
    """Owners and developers of the Company; viewers only look on."""
    query = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(
            Membership.company_id == company_id,
            Membership.role.in_((MemberRole.OWNER, MemberRole.DEVELOPER)),
            User.disabled_at.is_(None),
        )
        .order_by(User.id)
    )
    return list(await session.scalars(query))


def _message(user: User, row: Any, level: int) -> Message:
    if user.language == "en":
        happens = "calls are now answered 429 until the next period" if level == 100 else "plan ahead"
        text = (
            f"Hello,\n\nThe app {row.app} ({row.environment}) has used {level}% of its quota of {row.quota:,} calls for "
            f"{row.name_en}; {happens}. Its Usage page shows where it stands.\n"
        )
        return Message(user.email, f"{row.app}: {level}% of the quota is used", text)
    happens = "از این پس تا دورهٔ بعد فراخوانی‌ها پاسخ ۴۲۹ می‌گیرند" if level == 100 else "برای ادامهٔ دوره چاره‌ای بیندیشید"
    environment = "محیط عملیاتی" if row.environment == "production" else "محیط آزمایشی"
    text = (
        f"سلام\n\nبرنامهٔ «{row.app}» در {environment} {level} درصد از سهمیهٔ {row.quota:,} فراخوانی «{row.name_fa}» را مصرف کرده است؛ "
        f"{happens}. وضعیت در صفحهٔ مصرف برنامه دیده می‌شود.\n"
    )
    return Message(user.email, f"{level} درصد سهمیهٔ «{row.app}» مصرف شد", text)
