"""Portal and sandbox never import each other, but the service clock and the appointments must keep the same days off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta

import jdatetime

from portal.reviews.workdays import iran
from sandbox.workflows.iran_calendar import holiday


def _days(year: int) -> Iterator[tuple[date, jdatetime.date]]:
    day, end = (jdatetime.date(which, 1, 1).togregorian() for which in (year, year + 1))
    while day < end:
        yield day, jdatetime.date.fromgregorian(date=day)
        day += timedelta(days=1)


def _off(year: int) -> list[tuple[date, int]]:
    """Days off of a Jalali year, weekends aside, with their month."""
    calendar = iran()
    return [
        (day, jalali.month)
        for day, jalali in _days(year)
        if day in calendar.lunar or (jalali.month, jalali.day) in calendar.solar
    ]


def test_portal_and_sandbox_close_on_the_same_days_of_every_issued_calendar() -> None:
    issued = iran().official
    assert 1405 in issued
    for year in issued:
        assert [day for day, _ in _off(year)] == [day for day, _ in _days(year) if holiday(day) is not None]


def test_1405_has_the_days_off_that_were_announced() -> None:
    """The announcement counts 25 days off, six of them Thursdays and three Fridays, none in Ordibehesht, Mehr and Azar."""
    off = _off(1405)
    weekdays, months = Counter(day.isoweekday() for day, _ in off), Counter(month for _, month in off)
    assert len(off) == 25
    assert (weekdays[4], weekdays[5]) == (6, 3)
    assert (months[1], months[5], months[12]) == (6, 4, 4)
    assert months.keys().isdisjoint({2, 7, 9})
