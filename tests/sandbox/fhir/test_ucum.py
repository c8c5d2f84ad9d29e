"""Amounts that are equal compare equal, whatever unit they were written in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir.ucum import UnknownUnitError, canonical, convert, unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((100, "mg/dL"), (1, "g/L")),
        ((1, "L"), (1000, "mL")),
        ((1, "l"), (1, "dm3")),
        ((37, "Cel"), (98.6, "[degF]")),
        ((120, "mm[Hg]"), (15.99864, "kPa")),
        ((60, "/min"), (1, "Hz")),
        ((72, "{beats}/min"), (72, "/min")),
        ((5, "10*9/L"), (5000, "/uL")),
        ((5, "10*3/uL"), (5, "10^9/L")),
        ((1, "h"), (3600, "s")),
        ((2, "wk"), (14, "d")),
        ((1, "[lb_av]"), (453.59237, "g")),
        ((50, "%"), (0.5, "1")),
        ((90, "mL/min/{1.73_m2}"), (1.5, "mL/s")),
        ((1, "m[IU]/L"), (1, "u[IU]/mL")),
        ((25, "kg/m2"), (25000, "g.m-2")),
        ((1, "(mg/dL)/h"), (10, "mg/L/h")),
        ((1, "umol/L"), (1000, "nmol/L")),
        ((1, "N"), (1, "kg.m/s2")),
        ((1, "[sft_i]"), (144, "[in_i]2")),
        ((3, "10*6.[CFU]/L"), (3000, "[CFU]/mL")),
        ((2, "U/(10.g){feces}"), (0.2, "U/g")),
        ((2, "{# of fetuses}"), (2, "1")),
        ((20, "dB"), (2, "B")),
    ],
)
def test_equal_amounts_have_one_canonical_form(one: tuple[float, str], other: tuple[float, str]) -> None:
    assert canonical(*one) == canonical(*other)


def test_different_dimensions_do_not_meet() -> None:
    assert unit("mg/dL").code != unit("mmol/L").code
    assert unit("[APL'U]").code != unit("[GPL'U]").code
    assert unit("[pH]").code != unit("1").code
    with pytest.raises(ValueError, match="different things"):
        convert(1, "mg/dL", "mmol/L")


@pytest.mark.parametrize(
    "code", ["", "foo", "mg mL", "میلی‌گرم", "mg//dL", "(mg", "mg)", "mg.", "k%", "m-999", "1" * 200]
)
def test_unknown_units_have_no_canonical_form(code: str) -> None:
    assert canonical(1, code) is None


@given(st.text(max_size=30))
def test_no_text_breaks_the_parser(code: str) -> None:
    try:
        unit(code)
    except UnknownUnitError:
        assert canonical(1, code) is None


@given(
    st.floats(1e-6, 1e6), st.sampled_from([("mg/dL", "g/L"), ("[degF]", "Cel"), ("[in_i]", "cm"), ("mm[Hg]", "kPa")])
)
def test_conversion_returns(value: float, pair: tuple[str, str]) -> None:
    assert convert(convert(value, *pair), *reversed(pair)) == pytest.approx(value, rel=1e-9, abs=1e-8)


@pytest.mark.parametrize("code", ["0", "m/0", "/(0)", "1/0", "0.m"])
def test_units_of_nothing_are_no_units(code: str) -> None:
    with pytest.raises(UnknownUnitError):
        unit(code)
