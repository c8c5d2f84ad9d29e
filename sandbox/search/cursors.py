"""Opaque page links: where a page ended, signed, bound to one Tenant and one question, and expiring.

A cursor proves nothing about what the caller may see: every page is searched anew under the caller's own limits.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import orjson

from sandbox.fhir.outcomes import BadRequestError, GoneError, Text

LIFETIME_SECONDS = 3600
_SIGNATURE = 12


class Cursors:
    """Makes and reads cursors with the exchange's own secret."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def _sign(self, payload: bytes, tenant: str, question: bytes) -> bytes:
        bound = b"\0".join((tenant.encode(), question, payload))
        return hmac.digest(self._secret, bound, "sha256")[:_SIGNATURE]

    def make(self, values: Sequence[Any], *, tenant: str, question: bytes, now: int, backwards: bool = False) -> str:
        """`values` are the sort keys of the page's edge, its version number last; `now` in microseconds."""
        payload = orjson.dumps([now // 1_000_000 + LIFETIME_SECONDS, int(backwards), *values])
        signature = self._sign(payload, tenant, question)
        return base64.urlsafe_b64encode(signature + payload).rstrip(b"=").decode()

    def read(self, text: str, *, tenant: str, question: bytes, now: int) -> tuple[bool, list[Any]]:
        """(backwards, values). Raises `BadRequestError` for what was not made here, `GoneError` for what has expired."""
        try:
            raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _foreign() from error
        signature, payload = raw[:_SIGNATURE], raw[_SIGNATURE:]
        if not hmac.compare_digest(signature, self._sign(payload, tenant, question)):
            raise _foreign()
        expires, backwards, *values = orjson.loads(payload)
        if expires * 1_000_000 < now:
            raise GoneError(
                Text("This page link has expired; search again.", "مهلت این پیوند صفحه گذشته است؛ دوباره جست‌وجو کنید."),
                code="expired",
            )
        return bool(backwards), values


def _foreign() -> BadRequestError:
    return BadRequestError(
        Text(
            "The page link was changed, or belongs to another search.",
            "پیوند صفحه دست‌کاری شده یا از آنِ جست‌وجوی دیگری است.",
        ),
        hint=Text("Follow the links of a Bundle as they are.", "پیوندهای Bundle را بی‌تغییر دنبال کنید."),
    )


def question_of(parts: Sequence[tuple[str, str]], where: str) -> bytes:
    """A short hash of what was asked, so that a cursor fits no other search."""
    return hashlib.blake2b(orjson.dumps([where, *parts]), digest_size=12).digest()
