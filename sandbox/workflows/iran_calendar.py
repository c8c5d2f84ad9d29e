"""Working days in Iran and the Slots of a practitioner's week: Asia/Tehran time, Friday weekend, public holidays as data.

Iran keeps UTC+03:30 all year since 1402; slots are only ever made for days after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from functools import cache
from importlib import resources
from typing import Final

import jdatetime
import orjson

from sandbox.workflows.codes import WEEKLY_HOURS, Resource, extension
from sandbox.workflows.records import pointer, ref, stamp

TEHRAN: Final = timezone(timedelta(hours=3, minutes=30), "Asia/Tehran")
FRIDAY: Final = 4
_WEEKDAYS: Final = {"mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6}
# 1 Muharram of year 1 in the tabular calendar with the civil epoch, as a proleptic Gregorian ordinal (19 July 622).
_HIJRA: Final = date(622, 7, 19).toordinal()
_CYCLE_DAYS, _CYCLE_YEARS = 10631, 30
_LEAPS: Final = frozenset({2, 5, 7, 10, 13, 16, 18, 21, 24, 26, 29})


@dataclass(frozen=True, slots=True)
class Holiday:
    """Why a day is off, in both languages."""

    fa: str
    en: str


@dataclass(frozen=True, slots=True)
class _Rules:
    solar: dict[tuple[int, int], Holiday]
    lunar: dict[tuple[int, int], Holiday]
    closed: frozenset[str]
    opened: frozenset[str]


@cache
def _rules() -> _Rules:
    raw = orjson.loads(resources.files("sandbox.workflows.data").joinpath("holidays.json").read_bytes())

    def table(name: str) -> dict[tuple[int, int], Holiday]:
        return {(item["month"], item["day"]): Holiday(item["fa"], item["en"]) for item in raw[name]}

    exceptions = raw["exceptions"]
    return _Rules(table("solar"), table("lunar"), frozenset(exceptions["closed"]), frozenset(exceptions["open"]))


def lunar(day: date) -> tuple[int, int, int, bool]:
    """Tabular Hijri (year, month, day) of a Gregorian date, and whether it is the month's last day."""
    cycles, rest = divmod(day.toordinal() - _HIJRA, _CYCLE_DAYS)
    year = 1
    while rest >= (length := 355 if year in _LEAPS else 354):
        rest, year = rest - length, year + 1
    month = 1
    while rest >= (days := _month_days(year, month)):
        rest, month = rest - days, month + 1
    return cycles * _CYCLE_YEARS + year, month, rest + 1, rest + 1 == days


def _month_days(year: int, month: int) -> int:
    return 30 if month % 2 or (month == 12 and year in _LEAPS) else 29


def jalali(day: date) -> tuple[int, int, int]:
    """Jalali (year, month, day) of a Gregorian date."""
    converted = jdatetime.date.fromgregorian(date=day)
    return converted.year, converted.month, converted.day


def holiday(day: date) -> Holiday | None:
    """The public holiday of a Gregorian date; None on other days (Fridays included: see `is_working_day`)."""
    rules = _rules()
    if day.isoformat() in rules.opened:
        return None
    if day.isoformat() in rules.closed:
        return Holiday("تعطیل رسمی", "Public holiday")
    _, month, of_month = jalali(day)
    _, lunar_month, lunar_day, last = lunar(day)
    found = rules.solar.get((month, of_month)) or rules.lunar.get((lunar_month, lunar_day))
    return found or (rules.lunar.get((lunar_month, -1)) if last else None)


def is_working_day(day: date) -> bool:
    """Neither Friday nor a public holiday."""
    return day.weekday() != FRIDAY and holiday(day) is None


def local(moment: datetime) -> datetime:
    """An instant in Tehran's time."""
    return moment.astimezone(TEHRAN)


def weekly_hours(schedule: Resource) -> list[tuple[int, time, time, int]]:
    """(weekday, from, to, minutes) of a Schedule's `weekly-hours` extension: `sat,sun 09:00-12:00/20; wed 16:00-18:00/30`."""
    text = str(extension(schedule, WEEKLY_HOURS) or "")
    found: list[tuple[int, time, time, int]] = []
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        days, _, hours = part.partition(" ")
        span, _, minutes = hours.partition("/")
        opens, closes = (time.fromisoformat(text) for text in span.split("-"))
        found += [(_WEEKDAYS[day], opens, closes, int(minutes)) for day in days.split(",")]
    return found


def slots(schedule: Resource, first: date, days: int) -> Iterator[Resource]:
    """The free Slots of a Schedule on the working days from `first` on; ids follow from schedule and time."""
    hours = weekly_hours(schedule)
    for day in (first + timedelta(days=n) for n in range(days)):
        if not is_working_day(day):
            continue
        for weekday, opens, closes, minutes in hours:
            if weekday == day.weekday():
                yield from _day_slots(schedule, datetime.combine(day, opens, TEHRAN), closes, minutes)


def _day_slots(schedule: Resource, start: datetime, closes: time, minutes: int) -> Iterator[Resource]:
    end_of_hours = datetime.combine(start.date(), closes, TEHRAN)
    while (end := start + timedelta(minutes=minutes)) <= end_of_hours:
        slot: Resource = {
            "resourceType": "Slot",
            "id": f"{schedule['id']}-{start:%Y%m%d-%H%M}",
            "schedule": pointer(ref(schedule)),
            "status": "free",
            "start": start.isoformat(),
            "end": end.isoformat(),
            "comment": jalali_text(start),
        }
        for name in ("serviceType", "specialty", "serviceCategory"):
            if name in schedule:
                slot[name] = schedule[name]
        yield slot
        start = end


_MONTHS: Final = (
    "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور",
    "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
)  # fmt: skip
_DAYS_FA: Final = ("دوشنبه", "سه‌شنبه", "چهارشنبه", "پنجشنبه", "جمعه", "شنبه", "یکشنبه")
_PERSIAN: Final = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def jalali_text(moment: datetime) -> str:
    """«شنبه ۷ آذر ۱۴۰۵، ساعت ۰۹:۲۰» of an instant, in Tehran's time."""
    here = local(moment)
    year, month, day = jalali(here.date())
    return f"{_DAYS_FA[here.weekday()]} {day} {_MONTHS[month - 1]} {year}، ساعت {here:%H:%M}".translate(_PERSIAN)


def next_run(moment: datetime, at: time) -> datetime:
    """The next time Tehran's clocks show `at`, after an instant; UTC."""
    here = local(moment)
    due = datetime.combine(here.date(), at, TEHRAN)
    if due <= here:
        due += timedelta(days=1)
    return datetime.fromisoformat(stamp(due))
