"""Access tokens of the portal: RFC 9068 JWTs, verified against its JWKS, remembered until they expire."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from sandbox.fhir.outcomes import Text, UnauthorizedError, UnavailableError
from sandbox.kernel.clock import Clock

Jwks = Callable[[], Awaitable[Mapping[str, Any]]]
LEEWAY_SECONDS = 30
REMEMBERED = 4096
_KEYS_SECONDS = 300.0
_RETRY_SECONDS = 1.0


def unauthorized(en: str, fa: str, *, error: str = "invalid_token") -> UnauthorizedError:
    """401 with the challenge of RFC 6750 §3."""
    challenge = f'Bearer error="{error}", error_description="{en}"' if error else "Bearer"
    return UnauthorizedError(Text(en, fa), headers={"WWW-Authenticate": challenge})


class TokenVerifier:
    """Claims of a bearer token, or `UnauthorizedError`."""

    def __init__(self, *, issuer: str, jwks: Jwks, clock: Clock) -> None:
        self._issuer, self._jwks, self._clock = issuer, jwks, clock
        self._keys: KeySet | None = None
        self._keys_at = 0.0
        self._known: dict[tuple[str, str], tuple[float, Mapping[str, Any]]] = {}

    async def claims(self, token: str, *, audience: str) -> Mapping[str, Any]:
        now = self._clock.now().timestamp()
        known = self._known.get((token, audience))
        if known is not None and known[0] > now:
            return known[1]
        claims = await self._verify(token, audience, now)
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[(token, audience)] = (float(claims["exp"]), claims)
        return claims

    async def _verify(self, token: str, audience: str, now: float) -> Mapping[str, Any]:
        try:
            decoded = jwt.decode(token, await self._key_set(), algorithms=["ES256", "RS256", "ES384", "RS384"])
        except (JoseError, ValueError):
            # A key made since the last look may have signed it.
            try:
                decoded = jwt.decode(
                    token, await self._key_set(fresh=True), algorithms=["ES256", "RS256", "ES384", "RS384"]
                )
            except (JoseError, ValueError) as error:
                raise unauthorized("The access token is not valid.", "توکن دسترسی معتبر نیست.") from error
        claims = decoded.claims
        if decoded.header.get("typ", "").lower().removeprefix("application/") != "at+jwt":
            raise unauthorized("This is not an access token.", "این یک توکن دسترسی نیست.")
        if claims.get("iss") != self._issuer:
            raise unauthorized("The access token is of another issuer.", "صادرکنندهٔ توکن دسترسی دیگری است.")
        aud = claims.get("aud")
        if audience != aud and not (isinstance(aud, list) and audience in aud):
            raise unauthorized("The access token is for another audience.", "توکن دسترسی برای مخاطب دیگری است.")
        for claim in ("exp", "iat"):
            if not isinstance(claims.get(claim), (int, float)) or isinstance(claims.get(claim), bool):
                raise unauthorized("The access token lacks its times.", "زمان‌های توکن دسترسی ناقص است.")
        if claims["exp"] <= now:
            raise unauthorized("The access token has expired.", "توکن دسترسی منقضی شده است.")
        not_before = claims.get("nbf", claims["iat"])
        if not isinstance(not_before, (int, float)) or not_before > now + LEEWAY_SECONDS:
            raise unauthorized("The access token is not valid yet.", "توکن دسترسی هنوز معتبر نشده است.")
        return claims

    async def _key_set(self, *, fresh: bool = False) -> KeySet:
        age = time.monotonic() - self._keys_at
        if self._keys is None or age > (_RETRY_SECONDS if fresh else _KEYS_SECONDS):
            try:
                self._keys = KeySet.import_key_set(dict(await self._jwks()))  # type: ignore[arg-type]  # JSON, checked there
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
