"""A date means the span it may mean, on both sides of a comparison."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.dates import (
    DAY,
    EARLIEST,
    LATEST,
    SECOND,
    InvalidDateError,
    parse_range,
    period_range,
    search_range,
    to_microseconds,
)
from sandbox.fhir.outcomes import BadRequestError

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
MOMENTS = st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=ZONES)  # noqa: DTZ001


@given(MOMENTS)
def test_an_instant_is_the_microsecond_it_names(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds")
    assert parse_range(text) == (to_microseconds(moment), to_microseconds(moment) + 1)


@given(MOMENTS)
def test_coarser_precision_contains_finer(moment: datetime) -> None:
    text = moment.isoformat(timespec="microseconds")
    previous = parse_range(text)
    for length in (23, 19):
        span = parse_range(text[:length] + text[26:])
        assert span.lo <= previous.lo <= previous.hi <= span.hi
        previous = span
    day = parse_range(text[:10])
    month, year = parse_range(text[:7]), parse_range(text[:4])
    assert year.lo <= month.lo <= day.lo < day.hi <= month.hi <= year.hi
    assert day.hi - day.lo == DAY


def test_values_without_zone_are_read_in_iran() -> None:
    assert parse_range("2026-03-21").lo == parse_range("2026-03-21T00:00:00+03:30").lo
    assert parse_range("2026-03-21T10:00").lo == parse_range("2026-03-21T06:30:00Z").lo


@pytest.mark.parametrize(
    ("text", "days"), [("2024-02", 29), ("2023-02", 28), ("1900-02", 28), ("2000", 366), ("2026", 365), ("9999", 365)]
)
def test_spans_know_the_calendar(text: str, days: int) -> None:
    span = parse_range(text)
    assert span.hi - span.lo == days * DAY


def test_leap_second_is_the_next_one() -> None:
    assert parse_range("2016-12-31T23:59:60Z").lo == parse_range("2017-01-01T00:00:00Z").lo


def test_fractions_keep_their_precision() -> None:
    assert parse_range("2026-01-01T00:00:00.5Z").hi - parse_range("2026-01-01T00:00:00.5Z").lo == SECOND // 10
    assert parse_range("2026-01-01T00:00:00.123456789Z").lo % SECOND == 123456


@pytest.mark.parametrize(
    "text",
    ["", "26", "2026-13", "2026-02-30", "2026-1-1", "0000", "2026-01-01T24:00:00Z", "2026-01-01T10", "2026-01-01T10:00:00+15:00",
     "2026-01-01T10:00:00+03:99", "2026-01-01 10:00:00", "۲۰۲۶", "2026-01-01\n", "20260101", "2026-01-01T10:61:00Z"],
)  # fmt: skip
def test_what_is_not_a_fhir_date_is_refused(text: str) -> None:
    with pytest.raises(InvalidDateError):
        parse_range(text)


def test_open_periods_reach_to_the_ends_of_time() -> None:
    assert period_range(None, "2020") == (EARLIEST, parse_range("2020").hi)
    assert period_range("2020", None) == (parse_range("2020").lo, LATEST)


@pytest.mark.parametrize("text", ["1405-09-01", "1405/09/01", "۱۴۰۵/۰۹/۰۱", "1405", "1379-02"])
def test_jalali_input_is_recognised_and_explained(text: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        search_range(text, "birthdate")
    assert caught.value.issues[0].rule == "search-date-jalali"
    assert "2026-11-22" in caught.value.issues[0].hint.fa  # type: ignore[union-attr]


def test_a_plus_lost_to_url_decoding_is_put_back() -> None:
    assert search_range("2026-01-01T10:00:00 03:30", "date") == parse_range("2026-01-01T10:00:00+03:30")


def test_epoch_is_zero() -> None:
    assert to_microseconds(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert parse_range("1970-01-01T00:00:00Z").lo == 0
