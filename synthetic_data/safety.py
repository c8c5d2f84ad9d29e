"""A scanner over every string: nothing may be an identifier, a number, an account or an address that could belong to somebody.

Looked for: national codes and legal-entity IDs that pass their check (outside the reserved block when tier B was asked for),
telephone numbers outside the unallocated ranges, payment cards that pass Luhn's check, IBANs, postal codes that the post could have
given out, practitioners' numbers without the sandbox prefix, e-mail addresses and web hosts outside RFC 2606 and the terminologies' own.
Digits count in every script; letters beside them, grouping signs between them and invisible characters among them hide nothing.
"""

import html
import re
import unicodedata
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from .fhir.systems import MEDICAL_COUNCIL, NATIONAL_CODE
from .world.identifiers import legal_check_digit, national_code_passes

_RUN = re.compile(r"[0-9]+(?:[\W_ـ]{1,3}[0-9]+)*")
_GROUP = re.compile(r"[0-9]+")
# Dates and times are no numbers of anybody; only whole ones of plausible years are set aside.
_MOMENT = re.compile(
    r"(?<![0-9])(?:1[2-9]|20)[0-9]{2}-(?:0[1-9]|1[0-2])-(?:[0-2][0-9]|3[01])"
    r"(?:T[0-2][0-9]:[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,3})?)?(?:Z|[+-][01][0-9]:[0-5][0-9])?)?(?![0-9])"
)
_IBAN = re.compile(r"IR[\W_]{0,3}(?:[0-9][\W_]{0,3}){24}", re.IGNORECASE)
_FOREIGN_IBAN = re.compile(r"(?<![0-9A-Z])[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]){11,30}(?![0-9A-Z])")
_EMAIL = re.compile(r"[\w.+%-]+ ?(?:@|\(at\)|\[at\]) ?([\w-]+(?:\.[\w-]+)+)", re.IGNORECASE)
_URL = re.compile(r"(?:[a-z][a-z0-9+.-]*://|www\.)(?:[^\s/?#@]*@)?([^\s/?#:\"'<>]+)", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?<![\w@.-])((?:[\w-]+\.)+(?:com|org|net|ir|edu|gov|info|biz|io|co|app|me|dev|health|ایران))(?![\w-])",
    re.IGNORECASE,
)
_RESERVED = (".example", ".invalid", ".test", ".localhost", ".example.org", ".example.com", ".example.net")  # RFC 2606
_TERMINOLOGIES = frozenset(
    (
        "hl7.org",
        "www.hl7.org",
        "terminology.hl7.org",
        "loinc.org",
        "unitsofmeasure.org",
        "whocc.no",
        "www.whocc.no",
        "snomed.info",
    )
)
_POST = re.compile(r"پستی|postal|zip", re.IGNORECASE)
_CODE = re.compile(r"ملی|national", re.IGNORECASE)
_UNALLOCATED = ("97", "29", "27")
_MOBILE = ("90", "91", "92", "93", "94")
_LONGEST = 24
_ENCODED = frozenset(("data", "valueBase64Binary"))
_REMEMBERED = 1 << 16
_SAFE = ""  # a verdict: a number that is recognized and harmless


def luhn(digits: str) -> bool:
    """Whether a number passes the check of payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if place % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _mod97(text: str) -> int:
    """The remainder of ISO 13616's check, of an account number whose country and check digits come first."""
    return int("".join(str(int(sign, 36)) for sign in text[4:] + text[:4])) % 97


def plain(text: str) -> str:
    """The text as it reads: digits of every script as ASCII, compatibility forms and entities resolved, invisible signs left out."""
    if "&#" in text:
        text = html.unescape(text)
    if "%" in text:
        text = unquote(text)
    if text.isascii():
        return text
    made = []
    for sign in unicodedata.normalize("NFKC", text):
        if sign.isdecimal():
            made.append(str(unicodedata.decimal(sign)))
        elif unicodedata.category(sign) not in ("Cf", "Mn", "Me"):
            made.append(sign)
    return "".join(made)


def _telephone(digits: str) -> str | None:
    """The ten digits of what is written like an Iranian telephone number, without the leading 0."""
    if digits.startswith("0098"):
        digits = digits[4:]
    elif len(digits) in (12, 13) and digits.startswith("98"):
        digits = digits[2:]
    elif len(digits) != 11 or digits[0] != "0":
        return None
    digits = digits.removeprefix("0")
    return digits if len(digits) == 10 else None


def _verdict(digits: str, tier: str) -> str | None:
    """What a number is; None when it is nothing that is known."""
    national = _telephone(digits)
    if national is not None:
        return _SAFE if national.startswith(_UNALLOCATED) else "a telephone number that may be in use"
    size = len(digits)
    if size == 10:
        if national_code_passes(digits):
            return _SAFE if tier == "B" and digits.startswith("999") else "a national code that passes its check"
        return "a telephone number that may be in use" if digits.startswith(_MOBILE) else None
    if size == 11 and int(digits[10]) == legal_check_digit(digits[:10]):
        return "a legal-entity ID that passes its check"
    if size == 16 and luhn(digits):
        return "a payment card number"
    if size == _LONGEST and _mod97("IR" + digits) == 1:
        return "an IBAN"
    return None


def _numbers(text: str, tier: str) -> Iterator[str]:
    """What the numbers of a text are, taking neighbouring groups of digits together in every way that makes sense."""
    for run in _RUN.finditer(text):
        groups = _GROUP.findall(run[0])
        first = 0
        while first < len(groups):
            following = first + 1
            for end in range(min(len(groups), first + _LONGEST), first, -1):
                digits = "".join(groups[first:end])
                verdict = _verdict(digits, tier) if 10 <= len(digits) <= _LONGEST else None
                if verdict is not None:
                    if verdict:
                        yield verdict
                    following = end
                    break
            first = following


def _could_be_postal(text: str) -> bool:
    """Whether a text holds ten digits the post could have given out: it uses neither 0 nor 2 among the first five."""
    for run in _RUN.findall(text):
        digits = "".join(_GROUP.findall(run))
        if len(digits) == 10 and "0" not in digits[:5] and "2" not in digits[:5]:
            return True
    return False


def _short_code(text: str) -> bool:
    """Whether a text holds a national code written without its leading zeros."""
    return any(len(digits) in (8, 9) and national_code_passes(digits.zfill(10)) for digits in _GROUP.findall(text))


def _foreign(host: str) -> bool:
    host = host.casefold().rstrip(".")
    return host not in _TERMINOLOGIES and not f".{host}".endswith(_RESERVED)


@lru_cache(_REMEMBERED)
def problems(text: str, tier: str = "A") -> tuple[str, ...]:
    """What is wrong with one string; most strings occur many times, so the answers are remembered."""
    if text.startswith("data:") and (hidden := _decoded(text.partition("base64,")[2])):
        text = hidden
    latin = plain(text)
    bare = _MOMENT.sub("T", latin)
    found = list(_numbers(bare, tier))
    if _IBAN.search(bare) or any(_mod97(made.replace(" ", "")) == 1 for made in _FOREIGN_IBAN.findall(bare)):
        found.append("an IBAN")
    if _POST.search(bare) and _could_be_postal(bare):
        found.append("a postal code that may be in use")
    if _CODE.search(bare) and _short_code(bare):
        found.append("a national code that passes its check")
    if "@" in latin or "at" in latin:
        found += ["an e-mail address outside the reserved domains" for host in _EMAIL.findall(latin) if _foreign(host)]
    if "." in latin:
        hosts = {*_URL.findall(latin), *_DOMAIN.findall(latin)}
        found += ["a web address outside the reserved domains" for host in sorted(hosts) if _foreign(host)]
    return tuple(dict.fromkeys(found))


def scan_text(text: str, tier: str = "A") -> Iterator[str]:
    """What is wrong with one string."""
    yield from problems(text, tier)


def _decoded(text: str) -> str | None:
    """The text inside base64, or None when it is none."""
    try:
        return b64decode(text, validate=True).decode("utf-8", "ignore")
    except (Base64Error, ValueError):
        return None


def strings(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every string of a JSON value with its path, keys included, and texts inside base64 attachments too."""
    if isinstance(value, str):
        hidden = _decoded(value) if path.rpartition(".")[2] in _ENCODED else None
        yield path, value if hidden is None else hidden
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield path, key
            yield from strings(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from strings(inner, f"{path}[{index}]")


def clean(resource: Any, tier: str = "A") -> bool:
    """Whether nothing is unsafe in a resource; quick, because it keeps no paths."""
    waiting = [resource]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if problems(value, tier):
                return False
        elif isinstance(value, dict):
            if _ENCODED.isdisjoint(value) and "postalCode" not in value:
                if "value" in value and next(_identifiers(value, ""), None) is not None:
                    return False
            elif next(scan(value, tier), None) is not None:
                return False
            waiting += value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return True


def scan(resource: Any, tier: str = "A") -> Iterator[str]:
    """What is unsafe in a resource: "path: what it is", one for each finding."""
    for path, text in strings(resource):
        place = path.lstrip(".")
        for found in problems(text, tier):
            yield f"{place}: {found}"
        if path.endswith(".postalCode") and _could_be_postal(plain(text)):
            yield f"{place}: a postal code that may be in use"
    yield from _identifiers(resource, "")


def _identifiers(value: Any, path: str) -> Iterator[str]:
    """Identifiers that are wrong for their system."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _identifiers(inner, f"{path}[{index}]")
    elif isinstance(value, dict):
        system, number = value.get("system"), value.get("value")
        if isinstance(number, str):
            if system == MEDICAL_COUNCIL and not number.startswith("SBX-"):
                yield f"{path}.value".lstrip(".") + ": a practitioner's number that may be in use"
            if system == NATIONAL_CODE and _short_code(plain(number)):
                yield f"{path}.value".lstrip(".") + ": a national code that passes its check"
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from _identifiers(inner, f"{path}.{key}")
