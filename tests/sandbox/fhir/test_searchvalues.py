"""Search values parse by the book, and what is malformed is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.fhir import searchvalues as sv
from sandbox.fhir.outcomes import BadRequestError


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=5))
def test_escaped_alternatives_come_back_whole(values: list[str]) -> None:
    text = ",".join(sv.escape(v) for v in values)
    assert [sv.unescape(p) for p in sv.split(text, ",")] == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("male", (None, "male")),
        ("http://loinc.org|85354-9", ("http://loinc.org", "85354-9")),
        ("|NP", ("", "np")),
        ("http://loinc.org|", ("http://loinc.org", None)),
        (r"urn:x|a\|b", ("urn:x", "a|b")),
        ("۰۰۱۲۳", (None, "00123")),
    ],
)
def test_tokens(text: str, expected: tuple[str | None, str | None]) -> None:
    assert sv.token(text, "code") == expected


@pytest.mark.parametrize("text", ["a|b|c", "|"])
def test_malformed_tokens_are_refused(text: str) -> None:
    with pytest.raises(BadRequestError, match="Search parameter code"):
        sv.token(text, "code")


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("100", 99.5, 100.5),
        ("100.00", 99.995, 100.005),
        ("1e2", 50, 150),
        ("5.40", 5.395, 5.405),
        ("-1", -1.5, -0.5),
        ("0.1", 0.05, 0.15),
    ],
)
def test_numbers_carry_their_implied_precision(text: str, lo: float, hi: float) -> None:
    found = sv.number(text, "probability")
    assert (found.lo, found.hi) == pytest.approx((lo, hi))
    assert found.exact == float(text)


@pytest.mark.parametrize("text", ["", "abc", "1,5", "NaN", "inf", "1e999", "--1", "۱۲", "9" * 400, "1e300"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        sv.number(text, "probability")


@pytest.mark.parametrize("prefix", sorted(sv.PREFIXES))
def test_every_prefix_is_understood_for_numbers_and_dates(prefix: str) -> None:
    assert sv.number(f"{prefix}5", "p").prefix == prefix
    assert sv.date(f"{prefix}2026-01-01", "d").prefix == prefix


def test_quantities_meet_in_base_units() -> None:
    in_mg = sv.quantity("gt100|http://unitsofmeasure.org|mg/dL", "value-quantity")
    in_g = sv.quantity("1||g/L", "value-quantity")
    assert in_mg.prefix == "gt"
    assert in_mg.canonical is not None
    assert in_g.canonical is not None
    assert in_mg.canonical.exact == in_g.canonical.exact
    assert in_mg.canonical.unit == in_g.canonical.unit
    assert in_g.system is None
    assert sv.quantity("5", "value-quantity").canonical is None
    assert sv.quantity("5|http://example.org|mg", "value-quantity").canonical is None


@pytest.mark.parametrize("text", ["5|mg", "5|a|b|c", "|http://unitsofmeasure.org|mg"])
def test_malformed_quantities_are_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        sv.quantity(text, "value-quantity")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("23", ("", "23", "")),
        ("Patient/23", ("Patient", "23", "")),
        ("Patient/23/_history/4", ("Patient", "23", "")),
        ("https://here.example/fhir/Patient/23", ("Patient", "23", "")),
        ("https://there.example/fhir/Patient/23", ("", "", "https://there.example/fhir/Patient/23")),
        ("urn:uuid:1", ("", "", "urn:uuid:1")),
        ("http://example.org/ValueSet/x|1.0", ("", "", "http://example.org/ValueSet/x|1.0")),
    ],
)
def test_references(text: str, expected: tuple[str, str, str]) -> None:
    assert sv.reference(sv.escape(text), "subject", own_base="https://here.example/fhir") == expected


def test_type_modifier_narrows_and_contradicts() -> None:
    assert sv.reference("23", "subject", type_hint="Patient") == ("Patient", "23", "")
    with pytest.raises(BadRequestError, match="is not a Patient"):
        sv.reference("Group/23", "subject", type_hint="Patient")
    with pytest.raises(BadRequestError, match="not a reference"):
        sv.reference("a b", "subject")


def test_of_type_needs_all_three_parts() -> None:
    assert sv.of_type("http://t|MR|12", "identifier") == ("http://t", "mr", "12")
    with pytest.raises(BadRequestError):
        sv.of_type("MR|12", "identifier")


def test_composites_split_at_dollar_only() -> None:
    assert sv.composite(r"a\$b$5.4|u|mg", "code-value-quantity", 2) == [r"a\$b", "5.4|u|mg"]
    with pytest.raises(BadRequestError):
        sv.composite("only", "code-value-quantity", 2)


@pytest.mark.parametrize("text", ["", "a,,b", ",", "x" * 5000])
def test_empty_and_endless_values_are_refused(text: str) -> None:
    with pytest.raises(BadRequestError):
        sv.alternatives(text, "code")


def test_approximation_widens() -> None:
    number = sv.number("ap100", "p")
    assert sv.approximate_number(number) == (90, 110)
    day = sv.date("ap2026-01-01", "d")
    lo, hi = sv.approximate_date(day, day.hi + 10 * 86_400_000_000)
    assert lo < day.lo
    assert hi > day.hi
