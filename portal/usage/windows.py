"""Calendar windows of a Quota, in Iran's civil time: a day, or a month of the Jalali calendar (the country's billing month)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone

import jdatetime

from portal.products.models import QuotaPeriod

TEHRAN = timezone(timedelta(hours=3, minutes=30), "Asia/Tehran")
"""Iran keeps +03:30 all year since the law of 1401 ended summer time, so no time-zone database is needed."""


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` (included) to `end` (excluded), both UTC. `name` is the Jalali day or month, such as `1405-09`."""

    name: str
    start: datetime
    end: datetime

    @property
    def seconds(self) -> int:
        """Length in seconds."""
        return int((self.end - self.start).total_seconds())


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), TEHRAN).astimezone(UTC)


def window(period: QuotaPeriod | str, now: datetime) -> Window:
    """The window of `period` that holds `now`."""
    today = now.astimezone(TEHRAN).date()
    jalali = jdatetime.date.fromgregorian(date=today)
    if period == QuotaPeriod.DAY:
        return Window(
            f"{jalali.year:04}-{jalali.month:02}-{jalali.day:02}",
            _midnight(today),
            _midnight(today + timedelta(days=1)),
        )
    first = jdatetime.date(jalali.year, jalali.month, 1)
    following = (
        jdatetime.date(jalali.year + 1, 1, 1)
        if jalali.month == 12
        else jdatetime.date(jalali.year, jalali.month + 1, 1)
    )
    return Window(
        f"{jalali.year:04}-{jalali.month:02}", _midnight(first.togregorian()), _midnight(following.togregorian())
    )
