"""What the home page sums up: calls of the User's Apps by day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.companies.models import Membership
from portal.usage.models import UsageHour
from portal.web.i18n import TEHRAN

DAYS = 14


@dataclass(frozen=True, slots=True)
class Day:
    """Calls of one Tehran day."""

    day: date
    calls: int


async def calls_by_day(session: AsyncSession, user_id: str, *, now: datetime) -> Sequence[Day]:
    """The last fourteen days of all Apps the User may see, oldest first; empty when there was no call."""
    today = now.astimezone(TEHRAN).date()
    first = today - timedelta(days=DAYS - 1)
    own = (
        select(AppEnvironment.client_id)
        .join(App, App.id == AppEnvironment.app_id)
        .join(Membership, Membership.company_id == App.company_id)
        .where(Membership.user_id == user_id)
    )
    since = datetime(first.year, first.month, first.day, tzinfo=TEHRAN)
    rows = await session.execute(
        select(UsageHour.hour, func.sum(UsageHour.admitted))
        .where(UsageHour.client_id.in_(own), UsageHour.hour >= since)
        .group_by(UsageHour.hour)
    )
    sums: dict[date, int] = {}
    for hour, calls in rows:
        day = hour.astimezone(TEHRAN).date()
        sums[day] = sums.get(day, 0) + int(calls)
    if not any(sums.values()):
        return []
    days = [first + timedelta(days=step) for step in range(DAYS)]
    return [Day(day, sums.get(day, 0)) for day in days]
