"""No identifier that is minted can belong to anybody."""

from hypothesis import given
from hypothesis import strategies as st

from synthetic_data.world import identifiers as ids

units = st.floats(0, 1, exclude_max=True)


@given(st.integers(0, 2**62), st.integers(0, ids.TIER_A_CAPACITY - 1))
def test_tier_a_national_codes_fail_the_check(seed: int, member: int) -> None:
    code = ids.NationalCodes(seed).mint(member)
    assert len(code) == 10 and code.startswith("99") and not ids.national_code_passes(code)


def test_national_codes_are_distinct() -> None:
    codes = ids.NationalCodes(3)
    assert len({codes.mint(member) for member in range(50_000)}) == 50_000


@given(st.integers(0, ids.TIER_B_CAPACITY - 1))
def test_tier_b_national_codes_pass_and_stay_in_their_block(member: int) -> None:
    code = ids.NationalCodes(3, "B").mint(member)
    assert code.startswith("999") and ids.national_code_passes(code)


def test_the_legal_entity_check_agrees_with_a_published_example() -> None:
    assert ids.legal_check_digit("1400765091") == 2  # 14007650912, the example of persian-tools


@given(st.integers(0, 10**9))
def test_legal_entity_ids_fail_the_check(index: int) -> None:
    value = ids.legal_entity_id(index)
    assert len(value) == 11 and value.startswith("99") and int(value[10]) != ids.legal_check_digit(value[:10])


@given(units)
def test_postal_codes_break_the_rules_of_the_post_and_are_no_national_codes(draw: float) -> None:
    code = ids.postal_code(draw)
    assert len(code) == 10 and code[0] == "0" and code[2] == "2" and not ids.national_code_passes(code)


@given(units)
def test_telephone_numbers_lie_in_ranges_that_are_not_allocated(draw: float) -> None:
    assert ids.mobile(draw).startswith("+9897") and len(ids.mobile(draw)) == 13
    assert ids.landline(draw).startswith("+9829") and len(ids.landline(draw)) == 13
