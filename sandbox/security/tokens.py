"""Access tokens of the portal: RFC 9068 JWTs, verified against its JWKS, remembered until they expire.

The signature algorithm comes from a fixed list and the key from the issuer's public set, so neither `alg: none` nor a public key
abused as a secret gets anywhere (RFC 8725 §3.1, §3.2).
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from sandbox.fhir.outcomes import Text, UnauthorizedError, UnavailableError
from sandbox.kernel.clock import Clock

Jwks = Callable[[], Awaitable[Mapping[str, Any]]]
# RFC 9864 renamed EdDSA over curve 25519.
ALGORITHMS: Final = ("ES256", "RS256", "Ed25519")
LEEWAY_SECONDS: Final = 30
REMEMBERED: Final = 4096
MAX_TOKEN: Final = 16 * 1024
_PUBLIC_KINDS: Final = frozenset({"EC", "RSA", "OKP"})
_KEYS_SECONDS: Final = 300.0
_RETRY_SECONDS: Final = 1.0


def unauthorized(en: str, fa: str, *, error: str = "invalid_token") -> UnauthorizedError:
    """401 with the challenge of RFC 6750 §3."""
    challenge = f'Bearer error="{error}", error_description="{en}"' if error else "Bearer"
    return UnauthorizedError(Text(en, fa), headers={"WWW-Authenticate": challenge})


class TokenVerifier:
    """Claims of a bearer token, or `UnauthorizedError`. `environment` "" accepts tokens of any."""

    def __init__(self, *, issuer: str, jwks: Jwks, clock: Clock, environment: str = "") -> None:
        self._issuer, self._jwks, self._clock, self._environment = issuer, jwks, clock, environment
        self._keys: KeySet | None = None
        self._keys_at = 0.0
        self._known: OrderedDict[tuple[bytes, str], tuple[float, Mapping[str, Any]]] = OrderedDict()

    async def claims(self, token: str, *, audience: str) -> Mapping[str, Any]:
        """Raises `UnauthorizedError`, or `UnavailableError` while the issuer's keys cannot be read."""
        now = self._clock.now().timestamp()
        # Remembered by digest: a memory dump of this process holds no usable token.
        mark = hashlib.sha256(token.encode("latin-1", "replace")).digest(), audience
        known = self._known.get(mark)
        if known is not None:
            if known[0] > now:
                return known[1]
            del self._known[mark]
        claims = await self._verify(token, audience, now)
        while len(self._known) >= REMEMBERED:
            self._known.popitem(last=False)
        self._known[mark] = (float(claims["exp"]), claims)
        return claims

    async def _verify(self, token: str, audience: str, now: float) -> Mapping[str, Any]:
        decoded = await self._decoded(token)
        if str(decoded.header.get("typ", "")).lower().removeprefix("application/") != "at+jwt":
            raise unauthorized("This is not an access token.", "این یک توکن دسترسی نیست.")
        claims = decoded.claims
        self._check_origin(claims, audience)
        _check_times(claims, now)
        return claims

    async def _decoded(self, token: str) -> jwt.Token:
        if len(token) > MAX_TOKEN or not token.isascii():
            raise unauthorized("The access token is not valid.", "توکن دسترسی معتبر نیست.")
        try:
            return jwt.decode(token, await self._key_set(), algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, TypeError, RecursionError):
            # A key made since the last look may have signed it.
            try:
                return jwt.decode(token, await self._key_set(fresh=True), algorithms=list(ALGORITHMS))
            except (JoseError, ValueError, TypeError, RecursionError) as error:
                raise unauthorized("The access token is not valid.", "توکن دسترسی معتبر نیست.") from error

    def _check_origin(self, claims: Mapping[str, Any], audience: str) -> None:
        if claims.get("iss") != self._issuer:
            raise unauthorized("The access token is of another issuer.", "صادرکنندهٔ توکن دسترسی دیگری است.")
        aud = claims.get("aud")
        if audience != aud and not (isinstance(aud, list) and audience in aud):
            raise unauthorized("The access token is for another audience.", "توکن دسترسی برای مخاطب دیگری است.")
        if self._environment and claims.get("env", self._environment) != self._environment:
            raise unauthorized("The access token is for another environment.", "توکن دسترسی برای محیط دیگری است.")

    async def _key_set(self, *, fresh: bool = False) -> KeySet:
        age = time.monotonic() - self._keys_at
        if self._keys is None or age > (_RETRY_SECONDS if fresh else _KEYS_SECONDS):
            try:
                self._keys = _public_keys(await self._jwks())
            except Exception as error:
                if self._keys is None:
                    raise UnavailableError(
                        Text(
                            "The issuer's keys cannot be read; try again shortly.",
                            "کلیدهای صادرکننده در دسترس نیست؛ اندکی بعد تلاش کنید.",
                        )
                    ) from error
            self._keys_at = time.monotonic()
        return self._keys


def _public_keys(document: Mapping[str, Any]) -> KeySet:
    """The signing keys of a JWKS; symmetric and encryption keys in it are nobody's to verify with."""
    keys = [k for k in document["keys"] if k.get("kty") in _PUBLIC_KINDS and k.get("use", "sig") == "sig"]
    return KeySet.import_key_set({"keys": keys})


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    for claim in ("exp", "iat"):
        if not _is_time(claims.get(claim)):
            raise unauthorized("The access token lacks its times.", "زمان‌های توکن دسترسی ناقص است.")
    if claims["exp"] <= now:
        raise unauthorized("The access token has expired.", "توکن دسترسی منقضی شده است.")
    starts = [claims["iat"], claims.get("nbf", claims["iat"])]
    if not all(_is_time(s) and s <= now + LEEWAY_SECONDS for s in starts):
        raise unauthorized("The access token is not valid yet.", "توکن دسترسی هنوز معتبر نشده است.")


def _is_time(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def bearer(header: bytes | None) -> str:
    """The token of an Authorization header. Raises `UnauthorizedError` (RFC 6750 §2.1)."""
    if header is None:
        raise unauthorized("An access token is needed.", "توکن دسترسی لازم است.", error="")
    scheme, _, token = header.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthorized(
            "The Authorization header must be 'Bearer <token>'.",
            "سرآیند Authorization باید «Bearer <token>» باشد.",
            error="invalid_request",
        )
    return token.strip()
