"""The portal's own signature: ES256 over evidence and audit checkpoints, with a key derived from the installation's master key.

Not the key of access tokens: whoever could ask for one kind of signature must not get the other.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet

# Order of P-256's group (FIPS 186-5, SP 800-186 §3.2.1.3).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ALGORITHM = "ES256"


class BadSignature(Exception):
    """A signed document that does not hold; the message says why."""


class PortalSigner:
    """Signs JSON documents as compact JWS (RFC 7515); `typ` keeps one kind from being taken for another."""

    def __init__(self, seed: bytes) -> None:
        secret = int.from_bytes(hashlib.sha512(seed).digest(), "big") % (ORDER - 1) + 1
        private = ec.derive_private_key(secret, ec.SECP256R1())
        key = ECKey.import_key(private)
        self.kid = key.thumbprint()
        self._key = key

    def sign(self, document: dict[str, Any], typ: str) -> str:
        """`document` as compact JWS."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": typ}
        payload = orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
        return jws.serialize_compact(header, payload, self._key, algorithms=[ALGORITHM])

    def jwks(self) -> dict[str, Any]:
        """The public key set with which anybody verifies."""
        public = self._key.as_dict(private=False)
        return {"keys": [{**public, "kid": self.kid, "use": "sig", "alg": ALGORITHM}]}


def verify(text: str, jwks: dict[str, Any], typ: str) -> dict[str, Any]:
    """The document in a compact JWS; raises `BadSignature`. Every character counts, also the unused bits of base64's last."""
    parts = text.strip().split(".")
    if len(parts) != 3 or any(not _canonical(part) for part in parts):
        raise BadSignature("this is not a signed document (compact JWS)")
    try:
        keys = KeySet.import_key_set(jwks)  # type: ignore[arg-type]
        found = jws.deserialize_compact(text.strip(), keys, algorithms=[ALGORITHM])
        document = orjson.loads(found.payload)
    except (JoseError, ValueError, KeyError, TypeError) as error:
        raise BadSignature(f"the signature does not hold: {error}") from error
    if found.headers().get("typ") != typ:
        raise BadSignature(f"this is not a document of type {typ}")
    if not isinstance(document, dict):
        raise BadSignature("the signed text is not a JSON object")
    return document


def _canonical(part: str) -> bool:
    """Whether `part` is base64url as an encoder writes it (RFC 4648 §3.5): a signature has one spelling only."""
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode() == part
