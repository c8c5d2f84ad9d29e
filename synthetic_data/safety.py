"""A scanner over every string: nothing may be an identifier, a number or an account that could belong to somebody.

Looked for, in Latin, Persian and Arabic digits, also when grouped by spaces or hyphens: national codes and legal-entity IDs that
pass their check (outside the reserved block when tier B was asked for), telephone numbers outside the unallocated ranges,
payment cards that pass Luhn's check, IBANs, postal codes that the post could have given out, and e-mail addresses outside RFC 2606.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from typing import Any

from .world.identifiers import legal_check_digit, national_code_passes

_TO_LATIN = str.maketrans("۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩", "01234567890123456789")
_TOKEN = re.compile(r"(?<![0-9A-Za-z])\+?[0-9](?:[ \u200c\u00a0-]?[0-9]){8,}(?![0-9A-Za-z])")
_IBAN = re.compile(r"IR(?:[ -]?[0-9]){24}", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+-]+@([\w-]+(?:\.[\w-]+)+)")
_MOMENT = re.compile(r"\d{4}-\d{2}(-\d{2}(T[\d:.+Z-]+)?)?")
_SAFE_DOMAINS = (".example", ".invalid", ".test", ".localhost", "example.org", "example.com", "example.net")
_DIGITS = re.compile(r"[0-9۰-۹٠-٩]")
LONG_NUMBER = re.compile(
    rb"(?:[0-9]|\xdb[\xb0-\xb9]|\xd9[\xa0-\xa9])(?:[ -]?(?:[0-9]|\xdb[\xb0-\xb9]|\xd9[\xa0-\xa9])){8}|@|IR[0-9]"
)
"""Whether raw JSON bytes can hold anything worth looking at; a cheap test before parsing."""


def luhn(digits: str) -> bool:
    """Whether a number passes the check of payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _telephone(digits: str) -> str | None:
    """The national part of what looks like an Iranian telephone number, without the leading 0."""
    for prefix in ("+98", "0098"):
        if digits.startswith(prefix):
            return digits[len(prefix) :]
    if len(digits) == 11 and digits[0] == "0":
        return digits[1:]
    return digits[2:] if len(digits) == 12 and digits.startswith("98") else None


def _number(digits: str, tier: str) -> str | None:
    national = _telephone(digits)
    bare = digits.lstrip("+")
    if national is not None and len(national) == 10:
        return None if national.startswith(("97", "29", "27")) else "a telephone number that may be in use"
    if len(bare) == 10 and national_code_passes(bare) and not (tier == "B" and bare.startswith("999")):
        return "a national code that passes its check"
    if len(bare) == 11 and int(bare[10]) == legal_check_digit(bare[:10]):
        return "a legal-entity ID that passes its check"
    if len(bare) == 16 and luhn(bare):
        return "a payment card number"
    return None


def scan_text(text: str, tier: str = "A") -> Iterator[str]:
    """What is wrong with one string."""
    latin = text.translate(_TO_LATIN)
    if _MOMENT.fullmatch(latin):
        return
    if _IBAN.search(latin):
        yield "an IBAN"
    for match in _TOKEN.finditer(latin):
        found = _number(re.sub(r"[ \u200c\u00a0-]", "", match[0]), tier)
        if found:
            yield found
    for domain in _EMAIL.findall(latin):
        if not f".{domain.lower()}".endswith(_SAFE_DOMAINS):
            yield "an e-mail address outside the reserved domains"


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a JSON value with its path, keys included, and texts inside base64 attachments too."""
    if isinstance(value, str):
        yield path, value
        if path.endswith(".data"):
            try:
                yield path, b64decode(value, validate=True).decode("utf-8", "ignore")
            except Base64Error:
                return
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{path}.{key}")
            if _DIGITS.search(key):
                yield path, key
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, f"{path}[{index}]")


def scan(resource: Any, tier: str = "A") -> Iterator[str]:
    """What is unsafe in a resource: "path: what it is", one for each finding."""
    for path, text in strings(resource):
        for found in scan_text(text, tier):
            yield f"{path.lstrip('.')}: {found}"
        if path.endswith(".postalCode"):
            code = text.translate(_TO_LATIN)
            if len(code) == 10 and code.isdecimal() and "0" not in code[:5] and "2" not in code[:5]:
                yield f"{path.lstrip('.')}: a postal code that may be in use"
