"""DPoP proofs (RFC 9449): a token that only the holder of a key can use."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import import_key

from portal.oauth.errors import OAuthFault
from portal.oauth.signatures import MalformedToken, b64url, parse, verify

ALGORITHMS = ("ES256", "PS256", "Ed25519", "EdDSA")
# Seconds a proof may lie in the past or, for clocks that run fast, in the future.
PAST, FUTURE = 60, 30
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k", "oth")


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified proof. The caller must still see that `jti` is new for this key."""

    thumbprint: str
    jti: str
    issued_at: int


def invalid_proof(description: str) -> OAuthFault:
    return OAuthFault("invalid_dpop_proof", description)


def check(proof: str, *, method: str, url: str, now: datetime, access_token: str = "") -> Proof:
    """Verify a proof for `method` and `url`, and for `access_token` where one is presented; raises `OAuthFault`."""
    try:
        jws = parse(proof)
    except MalformedToken as error:
        raise invalid_proof("the DPoP proof is not a JWT") from error
    algorithm, jwk = jws.header.get("alg"), jws.header.get("jwk")
    if jws.header.get("typ") != "dpop+jwt" or algorithm not in ALGORITHMS or "crit" in jws.header:
        raise invalid_proof("the DPoP proof must be a dpop+jwt signed with ES256, PS256 or Ed25519")
    if not isinstance(jwk, dict) or any(name in jwk for name in _PRIVATE):
        raise invalid_proof("the DPoP proof must carry a public key only")
    try:
        imported = import_key(
            {name: value for name, value in jwk.items() if name in ("kty", "crv", "x", "y", "n", "e")}
        )
        key: Any = imported.public_key
        thumbprint = imported.thumbprint()
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise invalid_proof("the key in the DPoP proof cannot be used") from error
    if not verify(algorithm, key, jws.signed, jws.signature):
        raise invalid_proof("the signature of the DPoP proof does not fit its key")
    _check_claims(jws.claims, method=method, url=url, now=now, access_token=access_token)
    return Proof(thumbprint, jws.claims["jti"], int(jws.claims["iat"]))


def _check_claims(claims: dict[str, Any], *, method: str, url: str, now: datetime, access_token: str) -> None:
    issued, jti = claims.get("iat"), claims.get("jti")
    if isinstance(issued, bool) or not isinstance(issued, (int, float)):
        raise invalid_proof("the DPoP proof needs iat")
    if not now.timestamp() - PAST <= issued <= now.timestamp() + FUTURE:
        raise invalid_proof("iat of the DPoP proof is too far from now")
    if not isinstance(jti, str) or not 0 < len(jti) <= 512:
        raise invalid_proof("the DPoP proof needs a jti")
    if claims.get("htm") != method or not isinstance(claims.get("htu"), str) or _place(claims["htu"]) != _place(url):
        raise invalid_proof("htm or htu of the DPoP proof names another request")
    if access_token:
        expected = b64url(hashlib.sha256(access_token.encode()).digest())
        if not isinstance(claims.get("ath"), str) or not hmac.compare_digest(claims["ath"].encode(), expected.encode()):
            raise invalid_proof("ath of the DPoP proof does not fit the access token")


def _place(url: str) -> tuple[str, str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", "", url
    default = {"https": ":443", "http": ":80"}.get(parts.scheme.lower(), "")
    return parts.scheme.lower(), parts.netloc.lower().removesuffix(default or "\0"), parts.path or "/"


class ProofMemory:
    """Proofs already seen by this process, for the gateway: bounded, and only as long as a proof could be accepted."""

    def __init__(self, capacity: int = 100_000) -> None:
        self._seen: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._capacity = capacity

    def first_use(self, proof: Proof, now: datetime) -> bool:
        """Whether this proof was not seen before; remembers it."""
        timestamp = now.timestamp()
        while self._seen and (len(self._seen) >= self._capacity or next(iter(self._seen.values())) < timestamp):
            self._seen.popitem(last=False)
        key = (proof.thumbprint, proof.jti)
        if key in self._seen:
            return False
        self._seen[key] = timestamp + PAST + FUTURE
        return True
