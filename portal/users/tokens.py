"""Random tokens that are shown or mailed once and stored as SHA-256, and the sealing of short texts with a key."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from portal.kernel.ids import base62

PERSONAL = "gzu_"


def random_token() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def personal_token() -> str:
    """A personal token: `gzu_` and 43 base62 characters (256 bits)."""
    return PERSONAL + base62(secrets.randbits(256), 43)


def digest(token: str) -> str:
    """Hex SHA-256: what the database holds. 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def hint(token: str) -> str:
    """Prefix and last four characters."""
    return f"{token[:4]}…{token[-4:]}"


def seal(key: bytes, text: bytes) -> bytes:
    """AES-256-GCM of `text` under a 32-byte key; the nonce goes before."""
    nonce = secrets.token_bytes(12)
    return nonce + AESGCM(key).encrypt(nonce, text, None)


def unseal(key: bytes, sealed: bytes) -> bytes | None:
    """What `seal` was given, or None when the key does not fit."""
    try:
        return AESGCM(key).decrypt(sealed[:12], sealed[12:], None)
    except InvalidTag:
        return None
