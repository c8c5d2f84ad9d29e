"""The check digit of شناسهٔ ملی."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.companies.national_id import InvalidNationalId, check_digit, clean_national_id

FIRST_TEN = st.from_regex(r"[0-9]{10}", fullmatch=True).filter(lambda digits: digits[3:9] != "000000")


@pytest.mark.parametrize("published", ["10380284790", "14007650912", "10861677542"])
def test_published_ids_are_accepted(published: str) -> None:
    assert clean_national_id(published) == published


@pytest.mark.parametrize(
    "text", ["", "1", "123456789012", "abcdefghijk", "00000000000", "11111111111", "1400۱۲۳۴۵۶۷۸۹"]
)
def test_what_is_no_national_id_is_refused(text: str) -> None:
    with pytest.raises(InvalidNationalId):
        clean_national_id(text)


@given(FIRST_TEN, st.integers(0, 9), st.integers(1, 9))
def test_one_wrong_digit_is_found(first: str, place: int, shift: int) -> None:
    whole = first + str(check_digit(first))
    assert clean_national_id(whole) == whole
    wrong = (int(whole[10]) + shift) % 10
    with pytest.raises(InvalidNationalId):
        clean_national_id(whole[:10] + str(wrong))


@given(FIRST_TEN)
def test_persian_digits_and_hyphens_are_folded(first: str) -> None:
    whole = first + str(check_digit(first))
    persian = whole.translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    assert clean_national_id(f" {persian[:4]}-{persian[4:]} ") == whole
