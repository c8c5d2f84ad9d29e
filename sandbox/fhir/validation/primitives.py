"""Checks of primitive values. http://hl7.org/fhir/R4/datatypes.html#primitive"""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from typing import Any, Final

from sandbox.fhir import dates, definitions
from sandbox.fhir.validation.findings import Check, Findings, bad_format, empty, jalali, null, wrong_kind

SAMPLES: Final = {
    "date": "2026-11-22", "dateTime": "2026-11-22T10:30:00+03:30", "instant": "2026-11-22T10:30:00.000+03:30",
    "time": "10:30:00", "id": "a1-b2.c3", "code": "final", "uri": "urn:oid:1.2.3", "url": "https://example.org/x",
    "canonical": "http://example.org/fhir/ValueSet/x|1.0", "oid": "urn:oid:1.2.3", "base64Binary": "R296YXI=",
    "uuid": "urn:uuid:c757873d-ec9a-4326-a141-556f43239520", "integer": "42", "unsignedInt": "0", "positiveInt": "1",
    "decimal": "3.14", "boolean": "true",
}  # fmt: skip
MAX_STRING: Final = 1024 * 1024
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_INTEGERS: Final = {"integer": (-(2**31), 2**31 - 1), "unsignedInt": (0, 2**31 - 1), "positiveInt": (1, 2**31 - 1)}
_TEXTUAL: Final = frozenset({"code", "id", "uri", "url", "canonical", "oid", "uuid", "time"})


def _not_text(value: Any, name: str) -> Findings:
    return [null() if value is None else wrong_kind(str, value, name)]


def _string(name: str) -> Check:
    def check(value: Any, ctx: Any) -> Findings:
        if type(value) is not str:
            return _not_text(value, name)
        if not value or (value.isspace() and name != "markdown"):
            return [empty(str)]
        if (not value.isprintable() and _CONTROL.search(value)) or len(value) > MAX_STRING:
            return [bad_format(name, value, "")]
        return None

    return check


def _pattern(name: str) -> Check:
    regex = r"\S+" if name in {"uri", "url", "canonical"} else definitions.primitive_regex(name)
    matches = re.compile(regex).fullmatch

    def check(value: Any, ctx: Any) -> Findings:
        if type(value) is not str:
            return _not_text(value, name)
        if matches(value) is None:
            return [bad_format(name, value, SAMPLES[name]) if value else empty(str)]
        return None

    return check


def _moment(name: str) -> Check:
    matches = re.compile(definitions.primitive_regex(name)).fullmatch

    @lru_cache(maxsize=8192)
    def verdict(value: str) -> str:
        if matches(value) is None:
            return "bad"
        try:
            dates.parse_range(value)
        except dates.InvalidDateError:
            return "bad"
        return "jalali" if value[:2] in {"13", "14"} else ""

    def check(value: Any, ctx: Any) -> Findings:
        if type(value) is not str:
            return _not_text(value, name)
        found = verdict(value)
        if not found:
            return None
        return [jalali(value) if found == "jalali" else bad_format(name, value, SAMPLES[name])]

    return check


def _integer(name: str) -> Check:
    low, high = _INTEGERS[name]

    def check(value: Any, ctx: Any) -> Findings:
        if type(value) is not int:
            return [null() if value is None else wrong_kind(int, value, name) if type(value) is not float else
                    bad_format(name, value, SAMPLES[name])]  # fmt: skip
        if not low <= value <= high:
            return [bad_format(name, value, SAMPLES[name])]
        return None

    return check


def _decimal(value: Any, ctx: Any) -> Findings:
    if type(value) is float or type(value) is int:
        return None
    return [null() if value is None else wrong_kind(float, value, "decimal")]


def _boolean(value: Any, ctx: Any) -> Findings:
    if type(value) is bool:
        return None
    return [null() if value is None else wrong_kind(bool, value, "boolean")]


def _base64(value: Any, ctx: Any) -> Findings:
    if type(value) is not str:
        return _not_text(value, "base64Binary")
    try:
        binascii.a2b_base64("".join(value.split()), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        return [bad_format("base64Binary", value, SAMPLES["base64Binary"])]
    return None if value else [empty(str)]


def primitive_check(name: str) -> Check:
    """The check of one primitive type, xhtml apart (see `narrative`)."""
    if name in _INTEGERS:
        return _integer(name)
    if name in {"date", "dateTime", "instant"}:
        return _moment(name)
    if name in _TEXTUAL:
        return _pattern(name)
    return {"decimal": _decimal, "boolean": _boolean, "base64Binary": _base64}.get(name) or _string(name)
