"""Random tokens that mean nothing by themselves: codes, refresh tokens, request URIs. Only their SHA-256 is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets

from portal.kernel.ids import base62

CODE, REFRESH, PUSHED, INTERACTION, LAUNCH, SIGN_IN = "gzc_", "gzr_", "gzq_", "gzi_", "gzl_", "gzn_"


def new_token(prefix: str) -> str:
    """256 random bits behind a prefix that says what leaked."""
    return prefix + base62(secrets.randbits(256), 43)


def digest(token: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def successor(token: str, key: bytes) -> str:
    """The refresh token that follows `token`: always the same, and not to be guessed without `key`."""
    number = int.from_bytes(hmac.new(key, token.encode("utf-8", "surrogatepass"), hashlib.sha256).digest())
    return REFRESH + base62(number, 43)
