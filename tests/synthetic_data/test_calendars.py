"""The day tables agree with an independent Jalali implementation on every day."""

from datetime import date

import jdatetime
import pytest

from synthetic_data import calendars


def test_every_day_of_two_centuries_has_the_right_jalali_date() -> None:
    for day in range(calendars.DAYS):
        theirs = jdatetime.date.fromgregorian(date=calendars.date_of(day))
        assert (theirs.year, theirs.month, theirs.day) == calendars.JALALI[day]


@pytest.mark.parametrize("year", [1399, 1403, 1408])
def test_leap_esfand_has_thirty_days(year: int) -> None:
    assert (year, 12, 30) in calendars.JALALI


def test_summer_time_ended_with_1401() -> None:
    assert calendars.timestamp(calendars.day_of(date(2022, 7, 1)), 495) == b"2022-07-01T08:15:00+04:30"
    assert calendars.timestamp(calendars.day_of(date(2023, 7, 1)), 495) == b"2023-07-01T08:15:00+03:30"


def test_clinics_are_closed_on_fridays_and_nowruz() -> None:
    friday = calendars.day_of(date(2026, 9, 18))
    assert calendars.date_of(friday).weekday() == 4
    assert calendars.OPEN_DAY[friday] == friday + 1
    assert calendars.date_of(calendars.OPEN_DAY[calendars.day_of(date(2026, 3, 21))]) == date(2026, 3, 25)
