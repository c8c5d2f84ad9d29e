"""Who a citizen is, said by somebody else: the identity provider as a port, and its OpenID Connect adapter.

In production people sign in at the national provider. We send them there with PKCE, state and nonce, and believe only an ID token
that the provider signed for us in answer to this very request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urlencode

import httpx
import msgspec

from portal.kernel.errors import Conflict, Invalid
from portal.oauth.clients import ClientKey, import_keys
from portal.oauth.signatures import MalformedToken, b64url, parse, verify

ALGORITHMS = ("RS256", "ES256", "PS256", "ES384", "RS384", "Ed25519")
SKEW = 60
PATIENCE = 5.0


class ProviderUnavailable(Conflict):
    code = "identity-provider-unavailable"
    title = "The identity provider does not answer now; try again shortly"
    title_fa = "درگاه هویت اکنون پاسخ نمی‌دهد؛ کمی بعد دوباره بکوشید"


class NotIdentified(Invalid):
    code = "not-identified"
    title = "The identity provider did not confirm who you are; begin again"
    title_fa = "درگاه هویت، هویت شما را تأیید نکرد؛ از نو آغاز کنید"


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as the provider knows them. `national_code` finds their record."""

    subject: str
    name: str
    national_code: str


class IdentityProvider(Protocol):
    """Where people of one Environment sign in."""

    async def begin(self, *, state: str, nonce: str, verifier: str, redirect_uri: str, fresh: bool = False) -> str:
        """The URL to send the browser to; `fresh` asks for a sign-in anew. Raises `ProviderUnavailable`."""
        ...

    async def finish(self, *, code: str, nonce: str, verifier: str, redirect_uri: str, now: datetime) -> Identity:
        """Who came back with `code`. Raises `NotIdentified` or `ProviderUnavailable`."""
        ...


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to sign in: everything follows from a secret in the browser's cookie, so nothing need be stored."""

    secret: str
    key: bytes

    def _derive(self, purpose: str) -> str:
        return b64url(hmac.digest(self.key, f"{purpose}|{self.secret}".encode(), "sha256"))

    def state(self, handle: str) -> str:
        """Carries the interaction's handle through the provider, bound to this browser."""
        return f"{handle}.{self._derive(f'state|{handle}')}"

    @property
    def nonce(self) -> str:
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        return self._derive("verifier")

    def handle_of(self, state: str) -> str:
        """The handle inside `state`; raises `NotIdentified` for a state of another browser."""
        handle = state.partition(".")[0]
        if not self.secret or not hmac.compare_digest(self.state(handle).encode(), state.encode("utf-8", "replace")):
            raise NotIdentified
        return handle


class OpenIdProvider:
    """An OpenID Connect provider (authorization code with PKCE, client_secret_basic)."""

    def __init__(
        self,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        http: httpx.AsyncClient,
        scope: str = "openid profile",
        code_claim: str = "national_code",
    ) -> None:
        self._issuer, self._client_id, self._secret, self._http = issuer.rstrip("/"), client_id, client_secret, http
        self._scope, self._code_claim = scope, code_claim
        self._metadata: dict[str, Any] = {}
        self._keys: tuple[ClientKey, ...] = ()

    async def begin(self, *, state: str, nonce: str, verifier: str, redirect_uri: str, fresh: bool = False) -> str:
        place = (await self._discovered())["authorization_endpoint"]
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **({"prompt": "login"} if fresh else {}),
        }
        return f"{place}{'&' if '?' in place else '?'}{urlencode(query)}"

    async def finish(self, *, code: str, nonce: str, verifier: str, redirect_uri: str, now: datetime) -> Identity:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        place = (await self._discovered())["token_endpoint"]
        answer = await self._json("POST", place, data=form, auth=(self._client_id, self._secret))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotIdentified
        claims = await self._verified(token, nonce, now)
        national_code = claims.get(self._code_claim)
        if not isinstance(national_code, str) or not national_code:
            raise NotIdentified
        return Identity(str(claims["sub"]), str(claims.get("name", "")), national_code)

    async def _verified(self, token: str, nonce: str, now: datetime) -> dict[str, Any]:
        try:
            jws = parse(token)
        except MalformedToken as error:
            raise NotIdentified from error
        algorithm, kid = jws.header.get("alg"), jws.header.get("kid", "")
        if algorithm not in ALGORITHMS or "crit" in jws.header:
            raise NotIdentified
        if all(key.kid != kid for key in self._keys):
            self._keys = import_keys(await self._json("GET", (await self._discovered())["jwks_uri"]))
        fitting = [key for key in self._keys if key.kid == kid]
        if not any(verify(algorithm, key.key, jws.signed, jws.signature) for key in fitting):
            raise NotIdentified
        claims, timestamp = jws.claims, now.timestamp()
        audience = claims.get("aud")
        expires = claims.get("exp")
        right = (
            claims.get("iss") == self._issuer
            and (audience == self._client_id or audience == [self._client_id])
            and isinstance(expires, (int, float))
            and expires > timestamp - SKEW
            and isinstance(claims.get("sub"), str)
            and isinstance(claims.get("nonce"), str)
            and hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode())
        )
        if not right:
            raise NotIdentified
        return claims

    async def _discovered(self) -> dict[str, Any]:
        if not self._metadata:
            found = await self._json("GET", f"{self._issuer}/.well-known/openid-configuration")
            needed = ("authorization_endpoint", "token_endpoint", "jwks_uri")
            if found.get("issuer") != self._issuer or any(not isinstance(found.get(name), str) for name in needed):
                raise ProviderUnavailable
            self._metadata = found
        return self._metadata

    async def _json(self, method: str, url: str, **options: Any) -> dict[str, Any]:
        try:
            answer = await self._http.request(method, url, timeout=PATIENCE, **options)
        except httpx.HTTPError as error:
            raise ProviderUnavailable from error
        if 400 <= answer.status_code < 500:
            raise NotIdentified
        try:
            found = msgspec.json.decode(answer.content) if answer.status_code == 200 else None
        except msgspec.DecodeError as error:
            raise ProviderUnavailable from error
        if not isinstance(found, dict):
            raise ProviderUnavailable
        return found
