"""Days and times as integers, with tables that turn them into FHIR and Jalali text.

A *day* is an integer: days since 1900-01-01 (day 0). A *minute* is minutes since midnight in Tehran. FHIR text is
Gregorian, with Iran's offset of the day: +03:30, and +04:30 in the summers in which the law had daylight saving time
(1370-1384 and 1387-1401; abolished since).
"""

from calendar import monthrange
from datetime import date

EPOCH = date(1900, 1, 1).toordinal()
FIRST_YEAR, LAST_YEAR = 1900, 2099
DAYS = date(LAST_YEAR, 12, 31).toordinal() - EPOCH + 1
YEAR = 365.2425
MONTH = YEAR / 12

_SUMMER_YEARS = frozenset((*range(1370, 1385), *range(1387, 1402)))
# The leap years of the 33-year cycle, which agrees with the astronomical calendar for all the years used here.
_LEAP_REMAINDERS = frozenset((1, 5, 9, 13, 17, 22, 26, 30))
JALALI_MONTHS = (
    "فروردین", "اردیبهشت", "خرداد", "تیر", "مرداد", "شهریور",
    "مهر", "آبان", "آذر", "دی", "بهمن", "اسفند",
)  # fmt: skip
_PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")


def day_of(value: date) -> int:
    """The day number of a Gregorian date."""
    return value.toordinal() - EPOCH


def date_of(day: int) -> date:
    """The Gregorian date of a day number."""
    return date.fromordinal(day + EPOCH)


def persian_digits(text: str) -> str:
    """Latin digits replaced by Persian ones."""
    return text.translate(_PERSIAN)


def jalali_leap(year: int) -> bool:
    """Whether Esfand of this Jalali year has 30 days."""
    return year % 33 in _LEAP_REMAINDERS


def _jalali_table() -> list[tuple[int, int, int]]:
    """Jalali (year, month, day) of every day of the table; 1900-01-01 is 11 Dey 1278."""
    table: list[tuple[int, int, int]] = []
    year, month, day = 1278, 10, 11
    while len(table) < DAYS:
        length = 31 if month <= 6 else 30 if month <= 11 or jalali_leap(year) else 29
        table += [(year, month, d) for d in range(day, length + 1)]
        day, month = 1, month + 1
        if month > 12:
            year, month = year + 1, 1
    return table[:DAYS]


def _iso_table() -> list[bytes]:
    """The Gregorian text of every day, put together month by month: a sixth of the time that `isoformat` takes."""
    table: list[bytes] = []
    days = [b"%02d" % d for d in range(1, 32)]
    for year in range(FIRST_YEAR, LAST_YEAR + 1):
        for month in range(1, 13):
            start = b"%d-%02d-" % (year, month)
            table += [start + d for d in days[: monthrange(year, month)[1]]]
    return table


JALALI = _jalali_table()
ISO: list[bytes] = _iso_table()
_WINTER = [f"T{m // 60:02d}:{m % 60:02d}:00+03:30".encode() for m in range(1440)]
_SUMMER = [f"T{m // 60:02d}:{m % 60:02d}:00+04:30".encode() for m in range(1440)]
CLOCK: list[list[bytes]] = [_WINTER] * DAYS
"""For each day, the text of each of its minutes, from the T on."""


def _fill_summers() -> None:
    for day in [day for day, of_year in enumerate(JALALI) if of_year[1:] == (1, 2)]:
        if JALALI[day][0] in _SUMMER_YEARS:
            CLOCK[day : day + 185] = [_SUMMER] * 185  # 2 Farvardin to 31 Shahrivar: six months of 31 days


_fill_summers()


def is_holiday(day: int) -> bool:
    """Fridays and the fixed Nowruz holidays, on which clinics are closed."""
    _, month, of_month = JALALI[day]
    return (day + 1) % 7 == 5 or (month == 1 and of_month in (1, 2, 3, 4, 12, 13))


OPEN_DAY: list[int] = []
"""For each day, the same day or the next one on which clinics are open."""


def _fill_open_days() -> None:
    # The days for which `is_holiday` holds, found without asking for each.
    OPEN_DAY.extend(range(DAYS))
    new_years = [day for day, of_year in enumerate(JALALI) if of_year[1:] == (1, 1)]
    closed = {day + after for day in new_years for after in (0, 1, 2, 3, 11, 12)}
    closed.update(range((5 - 1) % 7, DAYS, 7))
    for day in sorted(closed, reverse=True):
        OPEN_DAY[day] = OPEN_DAY[min(day + 1, DAYS - 1)]


_fill_open_days()


def timestamp(day: int, minute: int) -> bytes:
    """A FHIR dateTime with the offset of that day, e.g. b'2024-03-05T08:35:00+03:30'."""
    return ISO[day] + CLOCK[day][minute]


def jalali_text(day: int) -> str:
    """A date as it is written in Persian, e.g. «۱۵ اسفند ۱۴۰۲»."""
    year, month, of_month = JALALI[day]
    return persian_digits(f"{of_month} {JALALI_MONTHS[month - 1]} {year}")


def day_of_month(text: str) -> int:
    """The first day of a month given as YYYY-MM."""
    return day_of(date(int(text[:4]), int(text[5:7]), 1))
