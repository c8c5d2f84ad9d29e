"""Language, digits, dates, money."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.text import fold
from portal.web import i18n
from portal.web.pages import split_language


@pytest.fixture
def english() -> Iterator[None]:
    token = i18n.language.set("en")
    yield
    i18n.language.reset(token)


def test_persian_is_the_default() -> None:
    assert i18n.t("ورود", "Sign in") == "ورود" and i18n.url("/x") == "/x"


def test_numbers_and_money_in_persian() -> None:
    assert i18n.number(1284) == "۱٬۲۸۴"
    assert i18n.rials(1_200_000) == "۱٬۲۰۰٬۰۰۰ ریال"
    assert i18n.rials(0) == "رایگان"
    assert i18n.percent(0.425) == "٪۴۲"


@pytest.mark.usefixtures("english")
def test_numbers_money_and_addresses_in_english() -> None:
    assert i18n.number(1284) == "1,284"
    assert i18n.rials(1200) == "1,200 rials"
    assert (i18n.url("/"), i18n.url("/apps/x")) == ("/en", "/en/apps/x")


def test_dates_are_jalali_in_tehran_with_the_gregorian_in_the_title() -> None:
    # 20:30 UTC is past midnight in Tehran: the day is the next one.
    shown = i18n.when(datetime(2026, 11, 21, 20, 31, tzinfo=UTC))
    assert "۱ آذر ۱۴۰۵، ۰۰:۰۱" in shown
    assert 'datetime="2026-11-21T20:31:00+00:00"' in shown and 'title="22 Nov 2026, 00:01"' in shown


@pytest.mark.usefixtures("english")
def test_dates_are_gregorian_in_english_with_the_jalali_in_the_title() -> None:
    shown = i18n.date(datetime(2026, 3, 20, 21, 0, tzinfo=UTC))
    assert ">21 Mar 2026<" in shown and "1 1 1405" not in shown and "فروردین 1405" in shown


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001 -- made aware below
def test_consecutive_instants_never_go_back_a_day(naive: datetime) -> None:
    import jdatetime

    first = naive.replace(tzinfo=UTC).astimezone(i18n.TEHRAN).date()
    one, two = (jdatetime.date.fromgregorian(date=day) for day in (first, first + timedelta(days=1)))
    assert two > one and one.togregorian() == first


@pytest.mark.parametrize(
    ("typed", "stored"), [("۱۲۳", "123"), ("٤٥٦", "456"), ("علي كريمي", "علی کریمی"), ("  x ", "x"), ("۰۹-12", "09-12")]
)
def test_both_keyboards_are_folded_to_one_form(typed: str, stored: str) -> None:
    assert fold(typed) == stored and fold(stored) == stored


def test_names_and_codes_are_escaped_and_isolated() -> None:
    assert i18n.bdi("<b>") == "<bdi>&lt;b&gt;</bdi>"
    assert 'dir="ltr"' in i18n.ltr("x<y") and "x&lt;y" in i18n.ltr("x<y")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/", ("fa", "/")), ("/en", ("en", "/")), ("/en/x", ("en", "/x")), ("/english", ("fa", "/english"))],
)
def test_the_language_is_in_the_path(path: str, expected: tuple[str, str]) -> None:
    assert split_language(path) == expected
