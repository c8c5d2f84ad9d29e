"""Working days of Iran's calendar: pure arithmetic over `data/calendar.toml`. Days are those of Asia/Tehran."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import jdatetime

TEHRAN = ZoneInfo("Asia/Tehran")
CLOSING = time(16, 0)


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Which days offices are closed: ISO weekdays, Jalali month-days, Gregorian dates.

    `official` names the Jalali years whose days were issued; those of other years are expected, and may move by a day.
    """

    weekend: frozenset[int]
    solar: frozenset[tuple[int, int]]
    lunar: frozenset[date]
    official: frozenset[int]

    def is_working(self, day: date) -> bool:
        """True when offices are open on `day` (Gregorian)."""
        if day.isoweekday() in self.weekend or day in self.lunar:
            return False
        jalali = jdatetime.date.fromgregorian(date=day)
        return (jalali.month, jalali.day) not in self.solar

    def due(self, start: datetime, days: int) -> datetime:
        """End of business on the `days`-th working day after the day of `start`, in UTC."""
        day = start.astimezone(TEHRAN).date()
        left = days
        while left > 0:
            day += timedelta(days=1)
            if self.is_working(day):
                left -= 1
        return datetime.combine(day, CLOSING, TEHRAN).astimezone(UTC)

    def left(self, now: datetime, due: datetime) -> int:
        """Working days after the day of `now` up to the day of `due`; negative when late."""
        day, end = now.astimezone(TEHRAN).date(), due.astimezone(TEHRAN).date()
        step, count = (1, 0) if end >= day else (-1, 0)
        while day != end:
            if step > 0:
                day += timedelta(days=1)
                count += self.is_working(day)
            else:
                count -= self.is_working(day)
                day -= timedelta(days=1)
        return count


@cache
def iran() -> WorkCalendar:
    """Iran's official calendar, as far as the data file reaches."""
    raw = tomllib.loads((files("portal.reviews") / "data" / "calendar.toml").read_text("utf-8"))
    solar = set()
    for key in raw["solar"]:
        month, _, day = key.partition("-")
        solar.add((int(month), int(day)))
    return WorkCalendar(
        weekend=frozenset(raw["weekend"]),
        solar=frozenset(solar),
        lunar=frozenset(date.fromisoformat(key) for year in raw["years"].values() for key in year["days"]),
        official=frozenset(int(name) for name, year in raw["years"].items() if year["status"] == "official"),
    )
