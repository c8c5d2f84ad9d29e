"""Access tokens: RFC 9068 JWTs, minted here and checked here for the gateway.

A token is verified once and then remembered under the SHA-256 of its bytes, in a cache of its own for each Environment, so that
what one audience accepted is never taken for another. Expiry and revocation are judged again at every use.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from portal.oauth.feed import Event, Feed
from portal.oauth.keys import KeyRing
from portal.oauth.signatures import MalformedToken, b64url, parse, verify

LIFETIME = 300
# Thumbprint of the DPoP key that this request has proved, if any; set before a bound token is verified.
proven_key: ContextVar[str] = ContextVar("proven_key", default="")
REMEMBERED = 60
ADMIN_SCOPE = "exchange.admin"


class TokenRefused(Exception):
    """The token gives no access: RFC 6750 `invalid_token`. The message may be shown to the caller."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a verified token says. `subject` is the client id for client_credentials, else the person's identifier."""

    environment: str
    client_id: str
    app: str
    tenant: str
    subject: str
    scopes: tuple[str, ...]
    jti: str
    issued_at: int
    expires_at: int
    epoch: int
    patient: str = ""
    encounter: str = ""
    fhir_user: str = ""
    grant: str = ""
    key_thumbprint: str = ""
    remembered_until: float = field(default=0.0, compare=False)
    kid: str = ""


class AccessTokens:
    """Mints and verifies access tokens of both Environments."""

    def __init__(self, *, public_url: str, keys: KeyRing, feed: Feed, capacity: int = 50_000) -> None:
        self._public_url, self._keys, self._feed, self._capacity = public_url, keys, feed, capacity
        self._known: dict[str, OrderedDict[bytes, AccessToken]] = {}
        self._admin: dict[str, tuple[str, int]] = {}
        feed.subscribe(self._hear)

    def _hear(self, event: Event) -> None:
        if event.kind == "key" and event.epoch:
            self._known.clear()
            self._admin.clear()

    def issuer(self, environment: str) -> str:
        return f"{self._public_url}/{environment}"

    def audience(self, environment: str) -> str:
        """The FHIR base of `environment`, which is the audience of its tokens."""
        return f"{self._public_url}/{environment}/fhir/R4"

    def mint(
        self,
        environment: str,
        *,
        client_id: str,
        app: str,
        tenant: str,
        epoch: int,
        scope: str,
        now: datetime,
        subject: str = "",
        more: dict[str, Any] | None = None,
    ) -> str:
        """A new access token; `more` adds `patient`, `encounter`, `fhirUser`, `grant`, `cnf` where they apply."""
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer(environment),
            "aud": self.audience(environment),
            "sub": subject or client_id,
            "client_id": client_id,
            "app": app,
            "scope": scope,
            "jti": b64url(os.urandom(16)),
            "iat": issued,
            "exp": issued + LIFETIME,
            "epoch": epoch,
            "env": environment,
        }
        if tenant:
            claims["tenant"] = tenant
        if more:
            claims.update(more)
        return self._keys.signer(environment, "ES256", "at+jwt", now).token(claims)

    def mint_identity(
        self,
        environment: str,
        *,
        client_id: str,
        subject: str,
        signed_in_at: datetime,
        nonce: str | None,
        fhir_user: str,
        access_token: str,
        algorithm: str,
        now: datetime,
    ) -> str:
        """An OpenID Connect ID token for the App, with SMART's `fhirUser` when it was granted, and the hash of its access token."""
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "iss": self.issuer(environment),
            "aud": client_id,
            "sub": subject,
            "iat": issued,
            "exp": issued + LIFETIME,
            "auth_time": int(signed_in_at.timestamp()),
            "at_hash": b64url(hashlib.sha256(access_token.encode()).digest()[:16]),
        }
        if nonce is not None:
            claims["nonce"] = nonce
        if fhir_user:
            claims["fhirUser"] = fhir_user
        return self._keys.signer(environment, algorithm, "JWT", now).token(claims)

    def mint_admin(self, environment: str, now: datetime) -> str:
        """A token for the control plane of `environment`'s exchange; the same one until a minute before its end."""
        issued = int(now.timestamp())
        token, expires = self._admin.get(environment, ("", 0))
        if expires - 60 > issued >= expires - LIFETIME:
            return token
        claims = {
            "iss": self.issuer(environment),
            "aud": f"urn:gozar:exchange:{environment}",
            "sub": "gozar",
            "client_id": "gozar",
            "scope": ADMIN_SCOPE,
            "jti": b64url(os.urandom(16)),
            "iat": issued,
            "exp": issued + LIFETIME,
            "env": environment,
        }
        token = self._keys.signer(environment, "ES256", "at+jwt", now).token(claims)
        self._admin[environment] = token, issued + LIFETIME
        return token

    def cached(self, token: str | bytes, environment: str, timestamp: float) -> AccessToken | None:
        """The token's contents if it was verified within the last minute and still holds, else None: then `verify`.

        Raises `TokenRefused` for a remembered token that has since expired or been revoked. `timestamp` is Unix seconds.
        """
        known = self._known.get(environment)
        if known is None:
            return None
        raw = token.encode("utf-8", "surrogatepass") if isinstance(token, str) else token
        found = known.get(hashlib.sha256(raw).digest())
        if found is None or timestamp >= found.remembered_until:
            return None
        self.judge(found, timestamp)
        _need_proof(found)
        return found

    def judge(self, token: AccessToken, timestamp: float) -> None:
        """Refuse a verified token that has expired or that the feed has revoked; raises `TokenRefused`."""
        if timestamp >= token.expires_at:
            raise TokenRefused("the access token has expired")
        if self.revoked(token):
            raise TokenRefused("the access token has been revoked")

    def revoked(self, token: AccessToken) -> bool:
        """Whether the feed has revoked the token itself, the permission behind it, or all of its time."""
        revoked = self._feed.snapshot
        return (
            ("token", token.jti) in revoked
            or bool(token.grant and ("grant", token.grant) in revoked)
            or token.issued_at < revoked.get(("environment", token.environment), 0)
        )

    async def verify(self, token: str, environment: str, now: datetime, *, proven: bool = False) -> AccessToken:
        """Verify signature, issuer, audience, type and times; remember the result. Raises `TokenRefused`.

        A token bound to a DPoP key is refused unless this request has proved that key; `proven` skips that, for introspection.
        """
        found = None if proven else self.cached(token, environment, now.timestamp())
        if found is None:
            await self._keys.freshen(now)
            found = self._check(token, environment, now)
            self.judge(found, now.timestamp())
            known = self._known.setdefault(environment, OrderedDict())
            known[hashlib.sha256(token.encode()).digest()] = found
            while len(known) > self._capacity:
                known.popitem(last=False)
        if not proven:
            _need_proof(found)
        return found

    def _check(self, token: str, environment: str, now: datetime) -> AccessToken:
        try:
            jws = parse(token)
        except MalformedToken as error:
            raise TokenRefused("the access token is malformed") from error
        header, claims = jws.header, jws.claims
        kid = header.get("kid")
        if (
            header.get("typ") != "at+jwt"
            or header.get("alg") != "ES256"
            or "crit" in header
            or not isinstance(kid, str)
        ):
            raise TokenRefused("the access token is not of this server's making")
        key = self._keys.public(environment, kid, "ES256", now)
        if key is None or not verify("ES256", key, jws.signed, jws.signature):
            raise TokenRefused("the access token is not signed by this environment's key")
        if claims.get("iss") != self.issuer(environment) or claims.get("aud") != self.audience(environment):
            raise TokenRefused("the access token was issued for another audience")
        timestamp = now.timestamp()
        if timestamp >= claims["exp"]:
            raise TokenRefused("the access token has expired")
        return AccessToken(
            environment=environment,
            client_id=claims["client_id"],
            app=claims["app"],
            tenant=claims.get("tenant", ""),
            subject=claims["sub"],
            scopes=tuple(claims["scope"].split()),
            jti=claims["jti"],
            issued_at=claims["iat"],
            expires_at=claims["exp"],
            epoch=claims["epoch"],
            patient=claims.get("patient", ""),
            encounter=claims.get("encounter", ""),
            fhir_user=claims.get("fhirUser", ""),
            grant=claims.get("grant", ""),
            key_thumbprint=claims.get("cnf", {}).get("jkt", ""),
            remembered_until=min(claims["exp"], timestamp + REMEMBERED),
            kid=kid,
        )


def _need_proof(token: AccessToken) -> None:
    """RFC 9449 section 7: a bound token is worth nothing without the proof of its key, nor a proof with an unbound token."""
    if token.key_thumbprint == proven_key.get():
        return
    if token.key_thumbprint:
        raise TokenRefused("the access token is bound to a key: send it as DPoP with a proof of that key")
    raise TokenRefused("the access token is not bound to a key: send it as Bearer")
