"""Client assertions: RFC 7523 JWTs, in SMART's `private_key_jwt` form or FAPI 2.0's.

What is wrong is told in detail only once the signature has proved who asks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from portal.oauth.clients import ClientKey
from portal.oauth.errors import invalid_client
from portal.oauth.signatures import Compact, MalformedToken, fits, parse, verify

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# SMART: RS384, ES384. FAPI 2.0 section 5.4.1: PS256, ES256, Ed25519 only.
FAPI_ALGORITHMS = ("PS256", "ES256", "Ed25519", "EdDSA")
ALGORITHMS = {"smart": ("RS384", "ES384", *FAPI_ALGORITHMS), "fapi2": FAPI_ALGORITHMS}
LONGEST = 300
SKEW = 30
_TYPES = (None, "JWT", "jwt", "client-authentication+jwt")


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion, not yet counted as used."""

    client_id: str
    jti: str
    expires_at: datetime


def read(assertion: str) -> Compact:
    """Take an assertion apart, nothing verified yet; raises `OAuthFault`."""
    try:
        return parse(assertion)
    except MalformedToken as error:
        raise invalid_client("the client assertion is not a JWT in compact form") from error


def claimed_client(jws: Compact) -> str:
    """The client id that an unverified assertion claims; raises `OAuthFault` when there is none."""
    subject = jws.claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise invalid_client()
    return subject


def check(
    jws: Compact, *, client_id: str, keys: Sequence[ClientKey], profile: str, issuer: str, token_url: str, now: datetime
) -> Assertion:
    """Verify signature and claims; raises `OAuthFault`."""
    algorithm = jws.header.get("alg")
    if algorithm not in ALGORITHMS[profile]:
        raise invalid_client(f"the client assertion must be signed with one of {', '.join(ALGORITHMS[profile][:-1])}")
    if "crit" in jws.header or "jwk" in jws.header or "x5c" in jws.header or jws.header.get("typ") not in _TYPES:
        raise invalid_client("the client assertion has a header this server does not accept")
    if not any(
        verify(algorithm, key.key, jws.signed, jws.signature) for key in _candidates(jws.header, algorithm, keys)
    ):
        raise invalid_client()
    return _claims(jws.claims, client_id=client_id, profile=profile, issuer=issuer, token_url=token_url, now=now)


def _candidates(header: dict[str, Any], algorithm: str, keys: Sequence[ClientKey]) -> list[ClientKey]:
    fitting = [
        key
        for key in keys
        if fits(algorithm, key.key)
        and (key.algorithm in ("", algorithm) or {key.algorithm, algorithm} == {"EdDSA", "Ed25519"})
    ]
    kid = header.get("kid")
    if kid is None:
        # Verifying is dear: without a kid only a few keys are tried.
        return fitting[:4]
    return [key for key in fitting if key.kid == kid]


def _claims(
    claims: dict[str, Any], *, client_id: str, profile: str, issuer: str, token_url: str, now: datetime
) -> Assertion:
    timestamp = now.timestamp()
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise invalid_client("iss and sub of the client assertion must both be the client id")
    audience = claims.get("aud")
    if isinstance(audience, list) and len(audience) == 1 and profile == "smart":
        audience = audience[0]
    if audience not in ((issuer,) if profile == "fapi2" else (issuer, token_url)):
        wanted = "the issuer" if profile == "fapi2" else "the token endpoint URL or the issuer"
        raise invalid_client(f"aud of the client assertion must be {wanted}, as one string")
    expires = _number(claims, "exp")
    if expires is None:
        raise invalid_client("the client assertion needs exp, in seconds")
    if expires <= timestamp - SKEW:
        raise invalid_client("the client assertion has expired")
    if expires > timestamp + LONGEST + SKEW:
        raise invalid_client("exp of the client assertion must be at most 5 minutes ahead")
    for name in ("nbf", "iat"):
        if name in claims:
            moment = _number(claims, name)
            if moment is None or moment > timestamp + SKEW:
                raise invalid_client(f"{name} of the client assertion lies in the future")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= 512:
        raise invalid_client("the client assertion needs a jti, a text of at most 512 characters")
    return Assertion(client_id, jti, datetime.fromtimestamp(int(expires) + SKEW + 1, UTC))


def _number(claims: dict[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 2**40:
        return None
    return float(value)
