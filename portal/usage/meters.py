"""Live reads of one client: where each Quota stands, calls by hour and by day of Tehran."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.subscriptions import queries as subscriptions
from portal.subscriptions.queries import Standing
from portal.subscriptions.schemas import Limits, limits_of
from portal.usage.models import UsageHour
from portal.usage.queries import quota_share
from portal.usage.windows import TEHRAN, Window

NEAR = 0.8
"""Share of a Quota from which its holder is told."""


@dataclass(frozen=True, slots=True)
class QuotaUse:
    """Where a Subscription stands in the running window of its Quota. `used` counts units that workers hold ready, too."""

    standing: Standing
    limits: Limits
    window: Window
    used: int

    @property
    def remaining(self) -> int:
        return max(0, self.limits.quota - self.used)

    @property
    def state(self) -> str:
        """`fine`, `near` (from 80 %) or `exhausted`."""
        if self.used >= self.limits.quota:
            return "exhausted"
        return "near" if self.used >= NEAR * self.limits.quota else "fine"


@dataclass(slots=True)
class Sums:
    """Calls of one hour or day. `limited` (429) and `failed` (5xx) are parts of the others."""

    admitted: int = 0
    refused: int = 0
    limited: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    duration_us: int = 0

    @property
    def calls(self) -> int:
        return self.admitted + self.refused

    @property
    def mean_ms(self) -> float:
        """Mean duration of all calls in milliseconds."""
        return round(self.duration_us / self.calls / 1000, 2) if self.calls else 0.0

    def add(self, row: UsageHour | Sums) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(row, name))


async def quotas(session: AsyncSession, client_id: str, now: datetime) -> list[QuotaUse]:
    """Every running Subscription of the client with what is used of its Quota."""
    found = []
    for standing in await subscriptions.running(session, client_id):
        share = await quota_share(session, standing, now=now)
        found.append(QuotaUse(standing, limits_of(standing), share.window, min(share.spent, share.limit)))
    return found


async def _hours(session: AsyncSession, client_id: str, since: datetime) -> Sequence[UsageHour]:
    query = select(UsageHour).where(UsageHour.client_id == client_id, UsageHour.hour >= since).order_by(UsageHour.hour)
    return (await session.scalars(query)).all()


async def by_day(session: AsyncSession, client_id: str, *, days: int, now: datetime) -> list[tuple[date, Sums]]:
    """Sums of the last `days` days, today included, oldest first; a day without calls is there with zeros."""
    today = now.astimezone(TEHRAN).date()
    found = {today - timedelta(days=back): Sums() for back in range(days - 1, -1, -1)}
    first = next(iter(found))
    since = datetime(first.year, first.month, first.day, tzinfo=TEHRAN) - timedelta(hours=1)
    for row in await _hours(session, client_id, since):
        # An hour of UTC that Tehran's midnight cuts in half counts for the day in which it ends.
        day = (row.hour + timedelta(minutes=59)).astimezone(TEHRAN).date()
        if day in found:
            found[day].add(row)
    return list(found.items())


async def by_hour(session: AsyncSession, client_id: str, *, hours: int, now: datetime) -> list[tuple[datetime, Sums]]:
    """Sums of the last `hours` hours, the running one included, oldest first."""
    running = now.replace(minute=0, second=0, microsecond=0)
    found = {running - timedelta(hours=back): Sums() for back in range(hours - 1, -1, -1)}
    for row in await _hours(session, client_id, next(iter(found))):
        if row.hour in found:
            found[row.hour].add(row)
    return list(found.items())
