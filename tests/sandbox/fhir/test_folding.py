"""Spellings that mean the same fold to the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.folding import MAX_INDEXED, fold, fold_contact, fold_token


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("علي", "علی"),
        ("كريم", "کریم"),
        ("علیرضا", "علی‌رضا"),
        ("علی رضا", "علی‌رضا"),
        ("می خواهم", "می‌خواهم"),
        ("ارش", "آرش"),
        ("موسى", "موسی"),
        ("فاطمة", "فاطمه"),
        ("مسئول", "مسيول"),
        ("رؤیا", "رویا"),
        ("مُحَمَّد", "محمد"),
        ("محمـــد", "محمد"),
        ("ﻋﻠﯽ", "علی"),
        ("کوچهٔ ۱۲", "كوچه 12"),
        ("٤٥٦", "۴۵۶"),
        ("José", "JOSE"),
        ("Straße", "STRASSE"),
        ("  a \t b\n", "A B"),
    ],
)
def test_variants_of_one_spelling_fold_alike(typed: str, stored: str) -> None:
    assert fold(typed) == fold(stored)


def test_words_of_other_scripts_keep_their_spaces() -> None:
    assert fold("Sara  Amini") == "sara amini"
    assert fold("خیابان 12 غربی") == "خیابان 12 غربی"


@pytest.mark.parametrize(("one", "other"), [("علی", "علا"), ("سارا", "صارا"), ("1", "2"), ("a", "b")])
def test_different_words_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@given(st.text(max_size=80))
def test_folding_is_idempotent(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_prefix_that_ends_at_a_word_stays_a_prefix(first: str, second: str) -> None:
    assert fold(f"{first} {second}").startswith(fold(first))


def test_folded_text_is_bounded() -> None:
    assert len(fold("آ" * 5000)) == MAX_INDEXED
    assert len(fold_token("A" * 5000)) == MAX_INDEXED


@pytest.mark.parametrize("written", ["+98 21-8888 9999", "+982188889999", "+۹۸ (۲۱) ۸۸۸۸۹۹۹۹"])
def test_telephone_numbers_ignore_punctuation_and_digit_script(written: str) -> None:
    assert fold_contact(written) == "+982188889999"


def test_addresses_keep_their_dots() -> None:
    assert fold_contact("Sara@Example.IR") == "sara@example.ir"
