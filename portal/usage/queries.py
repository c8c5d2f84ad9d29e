"""Reads of consumption, from the App they belong to; the caller has checked whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.companies.models import Membership
from portal.subscriptions.queries import Standing
from portal.usage.models import QuotaState, UsageHour
from portal.usage.windows import TEHRAN, Window, window

DAYS = 14


@dataclass(frozen=True, slots=True)
class Day:
    """Admitted and refused calls of one Tehran day."""

    day: date
    admitted: int
    refused: int


@dataclass(frozen=True, slots=True)
class Share:
    """What a Subscription has used of its Quota in the running window. `spent` may run ahead by what workers hold in hand."""

    spent: int
    limit: int
    window: Window


@dataclass(frozen=True, slots=True)
class ProductSums:
    """Calls of one Product in one Environment over the days looked at; `limited` (429) and `failed` (5xx) are parts of the others."""

    environment: str
    product_id: str
    admitted: int
    refused: int
    limited: int
    failed: int


def first_day(now: datetime) -> date:
    """The first of the days looked at."""
    return now.astimezone(TEHRAN).date() - timedelta(days=DAYS - 1)


def _since(now: datetime) -> datetime:
    first = first_day(now)
    return datetime(first.year, first.month, first.day, tzinfo=TEHRAN)


async def _by_day(session: AsyncSession, whose: ColumnElement[bool], *, now: datetime) -> Sequence[Day]:
    rows = await session.execute(
        select(UsageHour.hour, func.sum(UsageHour.admitted), func.sum(UsageHour.refused))
        .where(whose, UsageHour.hour >= _since(now))
        .group_by(UsageHour.hour)
    )
    sums: dict[date, tuple[int, int]] = {}
    for hour, admitted, refused in rows:
        day = hour.astimezone(TEHRAN).date()
        before = sums.get(day, (0, 0))
        sums[day] = (before[0] + int(admitted), before[1] + int(refused))
    if not any(sum(pair) for pair in sums.values()):
        return []
    days = [first_day(now) + timedelta(days=step) for step in range(DAYS)]
    return [Day(day, *sums.get(day, (0, 0))) for day in days]


async def days_of_app(session: AsyncSession, app_id: str, *, now: datetime) -> Sequence[Day]:
    """The last fourteen days of an App, oldest first; empty when there was no call."""
    return await _by_day(session, UsageHour.app_id == app_id, now=now)


async def days_of_user(session: AsyncSession, user_id: str, *, now: datetime) -> Sequence[Day]:
    """The last fourteen days of all Apps a User may see; empty when there was no call."""
    own = (
        select(AppEnvironment.client_id)
        .join(App, App.id == AppEnvironment.app_id)
        .join(Membership, Membership.company_id == App.company_id)
        .where(Membership.user_id == user_id)
    )
    return await _by_day(session, UsageHour.client_id.in_(own), now=now)


async def products_of_app(session: AsyncSession, app_id: str, *, now: datetime) -> Sequence[ProductSums]:
    """Sums by Product over the last fourteen days, busiest first."""
    rows = await session.execute(
        select(
            UsageHour.environment,
            UsageHour.product_id,
            func.sum(UsageHour.admitted),
            func.sum(UsageHour.refused),
            func.sum(UsageHour.limited),
            func.sum(UsageHour.failed),
        )
        .where(UsageHour.app_id == app_id, UsageHour.hour >= _since(now))
        .group_by(UsageHour.environment, UsageHour.product_id)
        .order_by(func.sum(UsageHour.admitted).desc(), UsageHour.product_id)
    )
    return [ProductSums(row[0], row[1], *(int(value) for value in row[2:])) for row in rows]


async def quota_share(session: AsyncSession, standing: Standing, *, now: datetime) -> Share:
    """How much of a Subscription's Quota is spent."""
    row, plan = standing.subscription, standing.plan
    running = window(plan.quota_period, now)
    state = await session.get(QuotaState, (row.id, running.name))
    return Share(state.spent if state else 0, plan.quota if row.quota is None else row.quota, running)
