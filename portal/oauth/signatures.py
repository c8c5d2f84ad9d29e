"""JWS signatures (RFC 7518, RFC 8037, RFC 9864) over keys that are imported once, and the compact form.

joserfc imports keys and makes key sets; signing and verifying go straight to the cryptography library, because a key object that is
made anew for every token costs several times the signature itself. Nothing here decides which algorithm is acceptable: callers name it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

import msgspec
import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_CURVES = {"ES256": ("secp256r1", 32), "ES384": ("secp384r1", 48)}
_ECDSA = {"ES256": ec.ECDSA(hashes.SHA256()), "ES384": ec.ECDSA(hashes.SHA384())}
_RSA_HASH = {"RS256": hashes.SHA256(), "RS384": hashes.SHA384(), "PS256": hashes.SHA256()}
_MAX_TOKEN = 16_384


class MalformedToken(Exception):
    """Not a JWS in compact form with a JSON object as header and payload."""


@dataclass(frozen=True, slots=True)
class Compact:
    """A JWS taken apart; nothing in it has been verified."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def b64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text: str | bytes) -> bytes:
    """Inverse of `b64url`; raises `MalformedToken`."""
    raw = text.encode("ascii", "strict") if isinstance(text, str) else text
    if b"=" in raw or b"+" in raw or b"/" in raw:
        raise MalformedToken("not base64url without padding")
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise MalformedToken("not base64url") from error


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedToken("not JSON") from error
    if not isinstance(value, dict):
        raise MalformedToken("not a JSON object")
    return value


def parse(token: str) -> Compact:
    """Take a compact JWS apart; raises `MalformedToken`."""
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise MalformedToken("too long, or not ASCII")
    parts = token.encode("ascii").split(b".")
    if len(parts) != 3:
        raise MalformedToken("not three parts")
    return Compact(
        header=_object(unb64url(parts[0])),
        claims=_object(unb64url(parts[1])),
        signed=parts[0] + b"." + parts[1],
        signature=unb64url(parts[2]),
    )


def fits(algorithm: str, key: PublicKey | PrivateKey) -> bool:
    """Whether `key` is of the type, curve and size that `algorithm` asks for."""
    if algorithm in _CURVES:
        return isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)) and (
            key.curve.name == _CURVES[algorithm][0]
        )
    if algorithm in _RSA_HASH:
        return isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)) and key.key_size >= 2048
    if algorithm in ("EdDSA", "Ed25519"):
        return isinstance(key, (ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey))
    return False


def verify(algorithm: str, key: PublicKey, signed: bytes, signature: bytes) -> bool:
    """Whether `signature` over `signed` was made by `key` with `algorithm`; False too where key and algorithm do not fit."""
    if not fits(algorithm, key):
        return False
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            size = _CURVES[algorithm][1]
            if len(signature) != 2 * size:
                return False
            r, s = int.from_bytes(signature[:size]), int.from_bytes(signature[size:])
            key.verify(encode_dss_signature(r, s), signed, _ECDSA[algorithm])
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, signed, _rsa_padding(algorithm), _RSA_HASH[algorithm])
        else:
            key.verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def sign(algorithm: str, key: PrivateKey, signed: bytes) -> bytes:
    """The JWS signature of `signed`."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        r, s = decode_dss_signature(key.sign(signed, _ECDSA[algorithm]))
        size = _CURVES[algorithm][1]
        return r.to_bytes(size) + s.to_bytes(size)
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(signed, _rsa_padding(algorithm), _RSA_HASH[algorithm])
    return key.sign(signed)


def _rsa_padding(algorithm: str) -> padding.AsymmetricPadding:
    if algorithm.startswith("PS"):
        return padding.PSS(mgf=padding.MGF1(_RSA_HASH[algorithm]), salt_length=padding.PSS.DIGEST_LENGTH)
    return padding.PKCS1v15()


class Signer:
    """Signs tokens of one type with one key: the header is encoded once."""

    __slots__ = ("_key", "_prefix", "algorithm", "kid")

    def __init__(self, *, algorithm: str, key: PrivateKey, kid: str, typ: str) -> None:
        self.algorithm, self.kid, self._key = algorithm, kid, key
        self._prefix = b64url(orjson.dumps({"alg": algorithm, "typ": typ, "kid": kid})).encode() + b"."

    def token(self, claims: dict[str, Any]) -> str:
        """The compact JWS of `claims`."""
        signed = self._prefix + base64.urlsafe_b64encode(orjson.dumps(claims)).rstrip(b"=")
        return f"{signed.decode('ascii')}.{b64url(sign(self.algorithm, self._key, signed))}"
