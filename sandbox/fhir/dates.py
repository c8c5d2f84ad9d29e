"""FHIR dates and times as half-open ranges of microseconds since 1970-01-01T00:00Z.

A value of any precision is the span it may mean: `2026-11` is all of November. A value without a zone is read in the
exchange's own, Iran standard time, on both sides of a comparison. http://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final, NamedTuple

from sandbox.fhir.outcomes import BadRequestError, Text

ZONE: Final = timezone(timedelta(hours=3, minutes=30))
"""Iran standard time; the country has kept no summer time since 2022."""

SECOND: Final = 1_000_000
DAY: Final = 86_400 * SECOND
EARLIEST: Final = -(2**62)
LATEST: Final = 2**62
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 (timezone.utc reads alike beside ZONE)
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MICROSECOND: Final = timedelta(microseconds=1)
_OFFSET: Final = 12_600 * SECOND

_SHAPE: Final = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?)?)?\Z", re.ASCII
)


class DateRange(NamedTuple):
    """`lo` inclusive, `hi` exclusive, in microseconds; EARLIEST and LATEST stand for open ends."""

    lo: int
    hi: int


class InvalidDateError(ValueError):
    """Not a FHIR date, dateTime or instant."""


@lru_cache(maxsize=16384)
def parse_range(text: str) -> DateRange:
    """The span of a FHIR date, dateTime or instant; minutes precision is taken too, as searches allow it.

    Raises `InvalidDateError`.
    """
    match = _SHAPE.match(text)
    if match is None:
        raise InvalidDateError(text)
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        if hour is None:
            return _days(int(year), int(month or 0), int(day or 0))
        start = _instant(int(year), int(month), int(day), int(hour), int(minute), int(second or 0), zone)
    except (ValueError, OverflowError):
        raise InvalidDateError(text) from None
    if second is None:
        return DateRange(start, start + 60 * SECOND)
    if fraction is None:
        return DateRange(start, start + SECOND)
    digits = fraction[:6]
    width = 10 ** (6 - len(digits))
    lo = start + int(digits) * width
    return DateRange(lo, lo + width)


def _days(year: int, month: int, day: int) -> DateRange:
    lo = date(year, month or 1, day or 1).toordinal()
    if day:
        hi = lo + 1
    elif month:
        hi = lo + _month_length(year, month)
    else:
        hi = lo + 365 + _month_length(year, 2) - 28
    return DateRange((lo - _EPOCH_DAY) * DAY - _OFFSET, (hi - _EPOCH_DAY) * DAY - _OFFSET)


def _month_length(year: int, month: int) -> int:
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in {4, 6, 9, 11} else 31


def _instant(year: int, month: int, day: int, hour: int, minute: int, second: int, zone: str | None) -> int:
    leap = second == 60
    moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=_EPOCH.tzinfo)
    return (moment - _EPOCH) // _MICROSECOND + leap * SECOND - _zone_offset(zone)


def _zone_offset(zone: str | None) -> int:
    if zone is None:
        return _OFFSET
    if zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    if minutes > 14 * 60 or int(zone[4:6]) > 59:
        raise ValueError(zone)
    return (minutes if zone[0] == "+" else -minutes) * 60 * SECOND


def period_range(start: str | None, end: str | None) -> DateRange:
    """The span of a Period; a missing end is open. Raises `InvalidDateError`."""
    lo = parse_range(start).lo if start else EARLIEST
    hi = parse_range(end).hi if end else LATEST
    return DateRange(lo, hi)


def to_microseconds(moment: datetime) -> int:
    """An aware datetime on the same scale."""
    return (moment - _EPOCH) // _MICROSECOND


_TYPED: Final = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩/", "01234567890123456789-")


def search_range(text: str, parameter: str) -> DateRange:
    """The span of a date typed into a search, without its prefix.

    Raises `BadRequestError` that says what a FHIR date looks like, and recognises Jalali dates and lost `+` signs.
    """
    repaired = text.replace(" ", "+") if "T" in text else text
    if _looks_jalali(text):
        raise _jalali(text, parameter)
    try:
        return parse_range(repaired)
    except InvalidDateError:
        raise BadRequestError(
            Text(f"{text!r} is not a date for {parameter}.", f"مقدار «{text}» برای {parameter} تاریخ نیست."),
            code="value",
            rule="search-date",
            hint=Text(
                "Write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+03:30, with + encoded as %2B.",
                "آن را به شکل YYYY، YYYY-MM، YYYY-MM-DD یا YYYY-MM-DDThh:mm:ss+03:30 بنویسید و + را به‌صورت %2B بفرستید.",
            ),
        ) from None


def _looks_jalali(text: str) -> bool:
    """A year from 1200 to 1500, in any digits and with slashes or hyphens: no record is that old."""
    year = text.translate(_TYPED)[:5]
    return bool(re.match(r"1[2-4]\d\d(-|\Z)", year))


def _jalali(text: str, parameter: str) -> BadRequestError:
    return BadRequestError(
        Text(
            f"{text!r} in {parameter} looks like a Jalali date.", f"مقدار «{text}» در {parameter} به تاریخ شمسی می‌ماند."
        ),
        code="value",
        rule="search-date-jalali",
        hint=Text(
            "FHIR dates are Gregorian: 1405-09-01 is 2026-11-22.",
            "تاریخ در FHIR میلادی است؛ ۱۴۰۵/۰۹/۰۱ را 2026-11-22 بنویسید.",
        ),
    )
