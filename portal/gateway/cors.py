"""Which web pages may call: those on the origin of a redirect URI registered in the Environment; in the sandbox also on the loopback.

Tokens travel in a field, never in a cookie, so an origin grants nothing by itself; the list keeps pages nobody registered from using a
token that leaked into them (SMART App Launch 2.2 §2.0.7: CORS for browser-based Apps). Discovery is open to every origin.
"""

from __future__ import annotations

import re

from portal.gateway.headers import Headers
from portal.gateway.interactions import METHODS
from portal.oauth.origins import is_loopback

EXPOSED = (
    b"Accept-Patch, Allow, Content-Location, Content-Range, ETag, Expires, Last-Modified, Location, RateLimit, RateLimit-Policy,"
    b" Retry-After, WWW-Authenticate, X-Progress, X-Request-Id"
)
ACCEPTED = (
    b"Accept, Authorization, Cache-Control, Content-Type, DPoP, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer,"
    b" Range, X-Request-Id, X-Requested-With"
)
# First segments below a FHIR base that say what is there, to any origin.
OPEN = (["metadata"], ["openapi.json"], [".well-known"])
_ORIGIN = re.compile(r"(https?://[^/?#@\\]+)(?:[/?#].*)?")


def origin_of(uri: str) -> str:
    """The origin of a redirect URI, or "" for one that no page has (`com.example.app:/callback`)."""
    found = _ORIGIN.fullmatch(uri)
    return found.group(1).lower() if found else ""


def allowed(origin: bytes, environment: str, registered: frozenset[str]) -> bool:
    """Whether pages of `origin` may read answers."""
    text = origin.decode("latin-1")
    return (environment == "sandbox" and is_loopback(text)) or text.lower() in registered


def fields(origin: bytes, *, public: bool) -> Headers:
    """Fields of an answer that a page may read."""
    return [
        (b"access-control-allow-origin", b"*" if public else origin),
        (b"access-control-expose-headers", EXPOSED),
        (b"vary", b"Origin"),
    ]


def preflight(origin: bytes) -> Headers:
    """Fields of the answer to a preflight from an allowed origin."""
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-allow-methods", ", ".join(METHODS).encode()),
        (b"access-control-allow-headers", ACCEPTED),
        (b"access-control-max-age", b"600"),
        (b"vary", b"Origin"),
        (b"content-length", b"0"),
    ]
