"""What a kill switch would hit: Apps, their calls of the last day, the last call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.companies.models import Company
from portal.products.models import Product
from portal.reviews.production import Suspension, Target
from portal.subscriptions.models import Subscription
from portal.traffic.models import CallRecord

MOST_APPS = 500


@dataclass(frozen=True, slots=True)
class Radius:
    """`calls` are those of the last 24 hours; `last` is the time of the last one, None when there was none."""

    name: str
    apps: tuple[str, ...]
    calls: int
    last: datetime | None


async def radius(session: AsyncSession, target: Target, target_id: str, *, now: datetime) -> Radius | None:
    """What cutting `target_id` would hit, or None when there is no such thing."""
    apps = await _apps(session, target, target_id)
    if apps is None:
        return None
    ids = [app.id for app in apps]
    since = now - timedelta(days=1)
    row = (
        await session.execute(
            select(func.count(), func.max(CallRecord.at)).where(CallRecord.app_id.in_(ids), CallRecord.at >= since)
        )
    ).one()
    return Radius(target_id, tuple(app.name for app in apps), row[0], row[1])


async def _apps(session: AsyncSession, target: Target, target_id: str) -> list[App] | None:
    query = select(App).order_by(App.name).limit(MOST_APPS)
    if target == Target.APP:
        found = await session.get(App, target_id)
        return [found] if found else None
    if target == Target.COMPANY:
        if await session.get(Company, target_id) is None:
            return None
        return list(await session.scalars(query.where(App.company_id == target_id)))
    if target == Target.PRODUCT:
        if await session.get(Product, target_id) is None:
            return None
        held = (
            select(AppEnvironment.app_id)
            .join(Subscription, Subscription.client_id == AppEnvironment.client_id)
            .where(Subscription.product_id == target_id, Subscription.ended_at.is_(None))
        )
        return list(await session.scalars(query.where(App.id.in_(held))))
    rows = await session.execute(select(AppEnvironment.app_id, AppEnvironment.scopes))
    holders = {app_id for app_id, scopes in rows if target_id in scopes}
    return list(await session.scalars(query.where(App.id.in_(holders))))


async def names(session: AsyncSession, rows: Sequence[Suspension]) -> dict[str, str]:
    """What people call the targets of suspensions, by target id."""
    ids = {row.target_id for row in rows}
    apps = await session.execute(select(App.id, App.name).where(App.id.in_(ids)))
    companies = await session.execute(select(Company.id, Company.name).where(Company.id.in_(ids)))
    return {row.id: row.name for row in [*apps, *companies]}
