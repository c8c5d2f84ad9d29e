"""Which upstream a request names, decided on the raw path before anything is authorised.

Whoever reads a path twice (here and behind us) must read it alike: encoded slashes, dot segments, empty segments, backslashes,
path parameters and control characters are refused rather than normalised (OWASP API8, RFC 3986 §6.2.2.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

MAX_PATH = 2048
MAX_TARGET = 8192
FHIR, APIS = "fhir", "apis"
PREFIXES = tuple(
    f"/{environment}/{kind}/".encode() for environment in ("sandbox", "production") for kind in ("fhir", "apis")
)
# RFC 3986 pchar without ";" (path parameters), with "%" only before two hexadecimal digits.
_SEGMENT = re.compile(rb"(?:[A-Za-z0-9\-._~!$&'()*+,=:@|]|%[0-9A-Fa-f]{2})+")
_PLAIN = re.compile(rb"[A-Za-z0-9\-_$.*/]+")
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


class PathRefused(Exception):
    """The message says what is wrong with a path, in English; `fa` in Persian."""

    def __init__(self, message: str, fa: str) -> None:
        super().__init__(message)
        self.fa = fa


class BadPath(PathRefused):
    """The path cannot be forwarded safely."""


class UnknownPath(PathRefused):
    """The path is well-formed but names no upstream."""


@dataclass(slots=True)
class Target:
    """Where a request wants to go. `tail` is the raw path below the mount, without a leading slash."""

    environment: str
    kind: str
    product: str
    tail: bytes
    segments: list[str]


def is_ours(raw_path: bytes) -> bool:
    """Whether the gateway, not the portal, answers this raw path."""
    return raw_path.startswith(PREFIXES)


def parse(raw_path: bytes) -> Target:
    """Take a raw path apart; raises `BadPath` or `UnknownPath`."""
    if len(raw_path) > MAX_PATH:
        raise BadPath(f"The path is longer than {MAX_PATH} bytes", f"مسیر از {MAX_PATH} بایت بلندتر است")
    if not raw_path.startswith(PREFIXES):
        raise UnknownPath("There is nothing here", "اینجا چیزی نیست")
    parts = raw_path.split(b"/", 4)
    environment, kind = parts[1].decode(), parts[2].decode()
    if kind == FHIR:
        if parts[3] != b"R4":
            raise UnknownPath(
                "FHIR R4 lives at /{environment}/fhir/R4", "نشانی FHIR R4 این است: /{environment}/fhir/R4"
            )
        product = ""
    else:
        product = parts[3].decode("ascii", "replace")
        if not _SLUG.fullmatch(product):
            raise UnknownPath("There is no such Product", "چنین محصولی نیست")
    tail = parts[4] if len(parts) > 4 else b""
    return Target(environment, kind, product, tail, split(tail))


@lru_cache(maxsize=4096)
def known(raw_path: bytes) -> Target:
    """`parse`, remembered: Apps ask for the same paths again and again. Nobody may change what it returns."""
    return parse(raw_path)


def split(tail: bytes) -> list[str]:
    """Decoded segments of a raw path below its mount; one trailing slash is allowed."""
    if not tail:
        return []
    if tail.endswith(b"/"):
        tail = tail[:-1]
    plain = _PLAIN.fullmatch(tail) is not None
    segments = tail.decode("ascii").split("/") if plain else [_decoded(segment) for segment in tail.split(b"/")]
    for segment in segments:
        if segment in ("", ".", ".."):
            raise BadPath(
                "Empty, '.' and '..' path segments are not accepted", "بخش خالی، «.» و «..» در مسیر پذیرفته نیست"
            )
    return segments


def _decoded(segment: bytes) -> str:
    if segment and not _SEGMENT.fullmatch(segment):
        raise BadPath(
            "The path holds characters that must be percent-encoded, or a broken percent-encoding",
            "در مسیر نویسه‌ای هست که باید درصدی رمز شود، یا رمز درصدی درست نیست",
        )
    plain = unquote_to_bytes(segment)
    if b"/" in plain or b"\\" in plain:
        raise BadPath("Encoded slashes are not accepted in a path", "ممیز رمزشده در مسیر پذیرفته نیست")
    try:
        text = plain.decode()
    except UnicodeDecodeError:
        raise BadPath("The path is not UTF-8", "مسیر UTF-8 نیست") from None
    if not text.isprintable() and text:
        raise BadPath("Control characters are not accepted in a path", "نویسهٔ کنترلی در مسیر پذیرفته نیست")
    if "%" in text:
        raise BadPath("Doubly encoded paths are not accepted", "مسیر دوبار رمزشده پذیرفته نیست")
    return text
