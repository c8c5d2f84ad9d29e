"""Secrets of Apps: 256 random bits in a form that scanners recognise, stored as HMAC-SHA-256 with a pepper.

`gzs_` (sandbox) or `gzp_` (production), 43 base62 characters, 6 base62 characters of CRC32 over all before them. A secret of
256 random bits has no dictionary to try, so a slow hash would only be a burden on the token endpoint.
"""

from __future__ import annotations

import hmac
import re
import secrets
import zlib

from portal.kernel.ids import base62

PREFIXES = {"sandbox": "gzs_", "production": "gzp_"}
# Published, so that secret scanners can look for it.
PATTERN = r"\bgz[sp]_[0-9A-Za-z]{49}\b"
_WHOLE = re.compile(r"gz[sp]_[0-9A-Za-z]{49}")
_CHECK = 6


def _checksum(text: str) -> str:
    return base62(zlib.crc32(text.encode("ascii")), _CHECK)


def new_secret(environment: str) -> str:
    """A new secret for `environment` (`sandbox` or `production`); show it once and keep only `digest` and `hint`."""
    body = PREFIXES[environment] + base62(secrets.randbits(256), 43)
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether `text` has the published form and a right checksum; costs no database."""
    return _WHOLE.fullmatch(text) is not None and hmac.compare_digest(_checksum(text[:-_CHECK]), text[-_CHECK:])


def environment_of(secret: str) -> str:
    """The environment a well-formed secret belongs to."""
    return "sandbox" if secret.startswith(PREFIXES["sandbox"]) else "production"


def digest(secret: str, pepper: bytes) -> str:
    """Hex HMAC-SHA-256 of `secret`: what `credentials.secret_hash` holds."""
    return hmac.digest(pepper, secret.encode("utf-8", "surrogatepass"), "sha256").hex()


def hint(secret: str) -> str:
    """What may be shown again: prefix and last four characters."""
    return f"{secret[:4]}…{secret[-4:]}"
