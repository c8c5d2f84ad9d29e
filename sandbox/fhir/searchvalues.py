r"""Values typed into a search, parsed once for every parameter type; the forms match `sandbox.fhir.indexing` entry by entry.

http://hl7.org/fhir/R4/search.html. `,` separates alternatives and `$` the parts of a composite; `\,` `\$` `\|` `\\` escape.
Every refusal is a `BadRequestError` that names the parameter.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, NamedTuple, cast

from sandbox.fhir import dates, references, ucum
from sandbox.fhir.folding import fold, fold_token
from sandbox.fhir.outcomes import BadRequestError, Text

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
PREFIXES: Final = frozenset({"eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"})
MAX_VALUE: Final = 4096


class TokenValue(NamedTuple):
    """`system` None: any; "": explicitly none. `code` None: any code of the system; folded as the index folds it."""

    system: str | None
    code: str | None


class OfTypeValue(NamedTuple):
    """`:of-type`: an identifier by the coding of its type."""

    type_system: str
    type_code: str
    value: str


class ReferenceValue(NamedTuple):
    """What a reference must point at: `type` and `id` (type "" when only an id was given), or an absolute `url`."""

    type: str
    id: str
    url: str


class NumberValue(NamedTuple):
    """`lo` and `hi` bound the value's implied precision: 5.40 means 5.395 up to 5.405. `exact` is the number itself."""

    prefix: Prefix
    lo: float
    hi: float
    exact: float


class QuantityValue(NamedTuple):
    """A number with its unit. `system` None: any; `code` "" when no unit was given; `canonical` in UCUM base units."""

    prefix: Prefix
    lo: float
    hi: float
    exact: float
    system: str | None
    code: str
    canonical: CanonicalRange | None


class CanonicalRange(NamedTuple):
    lo: float
    hi: float
    exact: float
    unit: str


class DateValue(NamedTuple):
    """Microseconds, half-open: see `sandbox.fhir.dates`.

    Against an indexed range t: eq is containment (lo <= t.lo and t.hi <= hi); ne its opposite; gt is t.hi > hi; lt is
    t.lo < lo; ge and le add eq; sa is t.lo >= hi; eb is t.hi <= lo; ap is overlap of a widened range.
    """

    prefix: Prefix
    lo: int
    hi: int


def split(text: str, separator: str) -> list[str]:
    """Split at unescaped separators; the parts stay escaped."""
    if "\\" not in text:
        return text.split(separator)
    parts, start, i = [], 0, 0
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        if text[i] == separator:
            parts.append(text[start:i])
            start = i + 1
        i += 1
    return [*parts, text[start:]]


def unescape(text: str) -> str:
    return re.sub(r"\\([,$|\\])", r"\1", text) if "\\" in text else text


def escape(text: str) -> str:
    """The form in which `unescape` and `split` give the text back whole."""
    return re.sub(r"([,$|\\])", r"\\\1", text)


def alternatives(text: str, parameter: str) -> list[str]:
    """The comma-separated alternatives of a value, still escaped. An empty one is refused."""
    if len(text) > MAX_VALUE:
        raise _refused(
            parameter,
            Text(f"the value is longer than {MAX_VALUE} characters", f"مقدار از {MAX_VALUE} نویسه بلندتر است"),
        )
    parts = split(text, ",")
    if not all(parts):
        raise _refused(parameter, Text("a value is empty", "یکی از مقدارها خالی است"))
    return parts


def token(text: str, parameter: str) -> TokenValue:
    """`code`, `system|code`, `|code` (no system) or `system|` (any code)."""
    parts = [unescape(p) for p in split(text, "|")]
    if len(parts) == 1:
        return TokenValue(None, fold_token(parts[0]))
    if len(parts) > 2 or not any(parts):
        raise _refused(
            parameter,
            Text(f"{text!r} is not a token", f"«{text}» توکن نیست"),
            Text(
                "Write code, system|code, |code or system|.",
                "آن را به شکل code، system|code، |code یا system| بنویسید.",
            ),
        )
    return TokenValue(parts[0], fold_token(parts[1]) if parts[1] else None)


def of_type(text: str, parameter: str) -> OfTypeValue:
    """`:of-type` takes `system|code|value`, all three present."""
    parts = [unescape(p) for p in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise _refused(
            parameter,
            Text(f"{text!r} does not fit :of-type", f"«{text}» با ‎:of-type سازگار نیست"),
            Text("Write type-system|type-code|value.", "آن را به شکل type-system|type-code|value بنویسید."),
        )
    return OfTypeValue(parts[0], fold_token(parts[1]), fold_token(parts[2]))


def string(text: str) -> str:
    """The folded text; the `:exact` modifier compares `unescape(text)` instead."""
    return fold(unescape(text))


def uri(text: str) -> str:
    return unescape(text)


def reference(text: str, parameter: str, *, own_base: str = "", type_hint: str = "") -> ReferenceValue:
    """`id`, `Type/id` or a URL; `type_hint` is the type a modifier named (`subject:Patient=23`)."""
    raw = unescape(text)
    found = references.parse(raw, own_base=own_base)
    if found.kind == "relative":
        if type_hint and type_hint != found.type:
            raise _refused(
                parameter,
                Text(f"{raw!r} is not a {type_hint}", f"«{raw}» از نوع {type_hint} نیست"),
            )
        return ReferenceValue(found.type, found.id, "")
    if found.kind in {"absolute", "urn", "contained"} or ":" in raw:
        return ReferenceValue("", "", raw)
    if references.is_id(raw):
        return ReferenceValue(type_hint, raw, "")
    raise _refused(
        parameter,
        Text(f"{raw!r} is not a reference", f"«{raw}» ارجاع نیست"),
        Text("Write an id, Type/id or an absolute URL.", "شناسه، Type/id یا نشانی کامل بنویسید."),
    )


def prefixed(text: str) -> tuple[Prefix, str]:
    """Split off a comparison prefix; without one it is `eq`."""
    if text[:2] in PREFIXES:
        return cast(Prefix, text[:2]), text[2:]
    return "eq", text


def date(text: str, parameter: str) -> DateValue:
    prefix, rest = prefixed(unescape(text))
    found = dates.search_range(rest, parameter)
    return DateValue(prefix, found.lo, found.hi)


_NUMBER: Final = re.compile(r"[+-]?\d{1,40}(?:\.\d{0,40})?(?:[eE][+-]?\d{1,3})?\Z", re.ASCII)


def number(text: str, parameter: str) -> NumberValue:
    prefix, rest = prefixed(unescape(text))
    return NumberValue(prefix, *_bounds(rest, parameter))


def _bounds(text: str, parameter: str) -> tuple[float, float, float]:
    """(lo, hi, exact): half a unit of the last digit written, either side."""
    if not _NUMBER.match(text):
        raise _refused(parameter, Text(f"{text!r} is not a number", f"«{text}» عدد نیست"))
    try:
        value = Decimal(text)
        _, _, exponent = value.as_tuple()
        # 100 without an exponent means 99.5 to 100.5; 1e2 means 50 to 150.
        half = Decimal(5).scaleb(int(exponent) - 1)
        bounds = float(value - half), float(value + half), float(value)
    except (InvalidOperation, OverflowError):
        raise _refused(parameter, Text(f"{text!r} is out of range", f"«{text}» بیرون از بازه است")) from None
    if any(abs(b) > MAX_NUMBER for b in bounds):
        raise _refused(parameter, Text(f"{text!r} is out of range", f"«{text}» بیرون از بازه است"))
    return bounds


MAX_NUMBER: Final = 1e300


def quantity(text: str, parameter: str) -> QuantityValue:
    """`number`, `number|system|code` or `number||code`."""
    parts = [unescape(p) for p in split(text, "|")]
    if len(parts) not in {1, 3}:
        raise _refused(
            parameter,
            Text(f"{text!r} is not a quantity", f"«{text}» کمیت نیست"),
            Text(
                "Write number, number|system|code or number||code.",
                "آن را به شکل number، number|system|code یا number||code بنویسید.",
            ),
        )
    prefix, rest = prefixed(parts[0])
    bounds = _bounds(rest, parameter)
    if len(parts) == 1:
        return QuantityValue(prefix, *bounds, None, "", None)
    system, code = parts[1] or None, parts[2]
    in_base = _canonical_range(bounds, code) if system in {None, ucum.SYSTEM} else None
    return QuantityValue(prefix, *bounds, system, code, in_base)


def _canonical_range(bounds: tuple[float, float, float], code: str) -> CanonicalRange | None:
    found = [ucum.canonical(b, code) for b in bounds]
    lo, hi, exact = found
    if lo is None or hi is None or exact is None:
        return None
    return CanonicalRange(lo[0], hi[0], exact[0], lo[1])


def approximate_number(value: NumberValue | CanonicalRange) -> tuple[float, float]:
    """`ap`: within a tenth of the value, as R4 suggests."""
    margin = abs(value.exact) / 10
    return min(value.lo, value.exact - margin), max(value.hi, value.exact + margin)


def approximate_date(value: DateValue, now: int) -> tuple[int, int]:
    """`ap`: a tenth of the distance between now and the date, at least the date's own span."""
    middle = (value.lo + value.hi) // 2
    margin = abs(now - middle) // 10
    return value.lo - margin, value.hi + margin


def composite(text: str, parameter: str, components: int) -> list[str]:
    """The `$`-separated parts of a composite, still escaped."""
    parts = split(text, "$")
    if len(parts) != components or not all(parts):
        raise _refused(
            parameter,
            Text(f"{text!r} does not have {components} parts", f"«{text}» {components} جزء ندارد"),
            Text("Separate the parts with $.", "اجزا را با $ از هم جدا کنید."),
        )
    return parts


def boolean(text: str, parameter: str) -> bool:
    """For `:missing`."""
    if text not in {"true", "false"}:
        raise _refused(
            parameter,
            Text(f"{text!r} is neither true nor false", f"«{text}» نه true است و نه false"),
        )
    return text == "true"


def _refused(parameter: str, why: Text, hint: Text | None = None) -> BadRequestError:
    return BadRequestError(
        Text(f"Search parameter {parameter}: {why.en}.", f"پارامتر جست‌وجوی {parameter}: {why.fa}."),
        code="value",
        rule="search-value",
        hint=hint,
    )
