"""The service clock counts Iran's working days."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from portal.reviews.workdays import TEHRAN, iran

START = datetime(2026, 3, 21, tzinfo=UTC)
DAYS = st.integers(0, 680 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


def test_weekends_nowruz_and_lunar_days_are_off() -> None:
    calendar = iran()
    assert not calendar.is_working(date(2026, 11, 26)), "Thursday"
    assert not calendar.is_working(date(2026, 11, 27)), "Friday"
    assert calendar.is_working(date(2026, 11, 28)), "Saturday"
    assert not calendar.is_working(date(2027, 3, 22)), "2 Farvardin 1406"
    assert not calendar.is_working(date(2027, 2, 11)), "22 Bahman"
    assert not calendar.is_working(date(2026, 6, 24)), "Tasua 1448"


def test_days_are_those_of_tehran() -> None:
    late = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
    assert late.astimezone(TEHRAN).date() == date(2026, 11, 22)
    assert iran().due(late, 1).astimezone(TEHRAN).date() == date(2026, 11, 23)


@given(DAYS, st.integers(1, 60))
def test_due_is_a_working_day_and_so_many_working_days_away(start: datetime, days: int) -> None:
    due = iran().due(start, days)
    assert iran().is_working(due.astimezone(TEHRAN).date())
    assert iran().left(start, due) == days
    assert iran().left(due, due) == 0


@given(DAYS, st.integers(1, 30))
def test_lateness_counts_below_zero(start: datetime, days: int) -> None:
    due = iran().due(start, days)
    assert iran().left(due + timedelta(days=14), due) < 0
