"""Header fields at the gateway: what is never forwarded, in either direction, and the RateLimit fields.

Hop-by-hop fields: RFC 9110 §7.6.1. RateLimit and RateLimit-Policy: draft-ietf-httpapi-ratelimit-headers-11, Structured-Field
Lists (RFC 9651) whose items are Strings; this module is the only serializer of that moving syntax.
"""

from __future__ import annotations

from collections.abc import Iterable

Headers = list[tuple[bytes, bytes]]

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
# Fields by which a server behind us would believe who is calling; only the gateway may say that.
IDENTITY_PREFIXES = (b"x-gozar-", b"x-forwarded-", b"x-consumer-", b"x-authenticated-", b"x-client-cert", b"x-ssl-")
IDENTITY = frozenset(
    {
        b"forwarded",
        b"x-real-ip",
        b"x-user",
        b"x-remote-user",
        b"remote-user",
        b"x-request-id",
        b"cookie",
        b"via",
        b"client-cert",
        b"client-cert-chain",
    }
)
OURS_IN_ANSWERS = frozenset({b"ratelimit", b"ratelimit-policy", b"x-request-id", b"server", b"set-cookie"})

_dropped_requests: dict[bytes, bool] = {}
_kept_answers: dict[bytes, bytes] = {}


def _drops_request(name: bytes) -> bool:
    known = _dropped_requests.get(name)
    if known is None:
        known = name in HOP_BY_HOP or name in IDENTITY or name.startswith(IDENTITY_PREFIXES)
        if len(_dropped_requests) < 1024:
            _dropped_requests[name] = known
    return known


def _named_by_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    for name, value in headers:
        if name == b"connection":
            return frozenset(option.strip().lower() for option in value.split(b","))
    return frozenset()


def forwarded_request(headers: Headers, *, extra: Headers) -> Headers:
    """Request fields for the Upstream: without hop-by-hop, connection-nominated and identity fields, with `extra` at the end."""
    nominated = _named_by_connection(headers)
    kept = [pair for pair in headers if not _drops_request(pair[0])]
    if nominated - {b"close", b"keep-alive", b""}:
        kept = [pair for pair in kept if pair[0] not in nominated]
    kept += extra
    return kept


def returned_response(headers: Iterable[tuple[bytes, bytes]], *, extra: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Response fields for the client: without hop-by-hop fields and those the gateway answers for, with `extra` at the end."""
    kept: Headers = []
    for name, value in headers:
        plain = _kept_answers.get(name)
        if plain is None:
            plain = _plain_answer(name)
        if plain:
            kept.append((plain, value))
    kept += extra
    return kept


def _plain_answer(name: bytes) -> bytes:
    """A field's name in small letters, or b"" when it is not passed on."""
    plain = name.lower()
    if plain in HOP_BY_HOP or plain in OURS_IN_ANSWERS or plain.startswith(b"access-control-"):
        plain = b""
    if len(_kept_answers) < 1024:
        _kept_answers[name] = plain
    return plain


def quoted(text: str) -> str:
    """An RFC 9651 String; policy names are ours and printable ASCII."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError(f"not a Structured-Field String: {text!r}")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def policy_item(name: str, quota: int, *, window: int | None = None, unit: str = "") -> str:
    """One item of RateLimit-Policy: `q` units per `w` seconds; `unit` only when it is not requests."""
    item = f"{quoted(name)};q={quota}"
    if unit:
        item += f";qu={quoted(unit)}"
    if window is not None:
        item += f";w={window}"
    return item


def limit_item(name: str, remaining: int, *, reset: int | None = None) -> str:
    """One item of RateLimit: `r` units left, `t` seconds until more."""
    item = f"{quoted(name)};r={remaining}"
    return item if reset is None else f"{item};t={reset}"
