"""Only a live access token of the right issuer, audience and environment, signed by its key, is let in."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from sandbox.fhir.outcomes import UnauthorizedError, UnavailableError
from sandbox.security import tokens
from sandbox.security.tokens import TokenVerifier, bearer

ISSUER, AUDIENCE = "https://gozar.example/sandbox", "https://gozar.example/sandbox/fhir/R4"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"})


class Clock:
    moment = NOW

    def now(self) -> datetime:
        return self.moment


class Issuer:
    """A JWKS that counts its readers and can change or fail."""

    def __init__(self, *keys: Any) -> None:
        self.keys, self.reads, self.broken = list(keys), 0, False

    async def __call__(self) -> Mapping[str, Any]:
        self.reads += 1
        if self.broken:
            raise OSError("unreachable")
        return {"keys": [k.as_dict(private=False) for k in self.keys]}


def claims(**changes: Any) -> dict[str, Any]:
    at = int(NOW.timestamp())
    made = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "app",
        "iat": at,
        "exp": at + 300,
        "env": "sandbox",
        "scope": "system/*.r",
    }
    return {k: v for k, v in {**made, **changes}.items() if v is not None}


def token(key: Any = EC, alg: str = "ES256", typ: str = "at+jwt", **changes: Any) -> str:
    header = {"alg": alg, "typ": typ, "kid": key.kid}
    return jwt.encode(header, claims(**changes), key, algorithms=[alg])


def verifier(*keys: Any) -> tuple[TokenVerifier, Issuer, Clock]:
    issuer, clock = Issuer(*(keys or (EC,))), Clock()
    return TokenVerifier(issuer=ISSUER, jwks=issuer, clock=clock, environment="sandbox"), issuer, clock


@pytest.mark.parametrize(("key", "alg"), [(EC, "ES256"), (RSA, "RS256"), (ED, "Ed25519")])
async def test_each_allowed_algorithm_verifies(key: Any, alg: str) -> None:
    found, _, _ = verifier(EC, RSA, ED)
    assert (await found.claims(token(key, alg), audience=AUDIENCE))["sub"] == "app"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "https://elsewhere.example/fhir/R4"},
        {"aud": None},
        {"exp": int(NOW.timestamp())},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": None},
        {"iat": int(NOW.timestamp()) + 3600},
        {"nbf": int(NOW.timestamp()) + 3600},
        {"nbf": "soon"},
        {"env": "production"},
        {"typ": "JWT"},
        {"typ": "dpop+jwt"},
    ],
)
async def test_a_wrong_claim_or_header_is_refused_with_a_challenge(changes: dict[str, Any]) -> None:
    found, _, _ = verifier()
    with pytest.raises(UnauthorizedError) as caught:
        await found.claims(token(**changes), audience=AUDIENCE)
    assert caught.value.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')


async def test_foreign_keys_tampering_and_nonsense_are_refused() -> None:
    found, _, _ = verifier()
    stranger = ECKey.generate_key("P-256", {"kid": "ec"})
    good = token()
    head, body, signature = good.split(".")
    unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + body + "."
    for bad in (
        token(stranger),
        f"{head}.{body[:-2]}AA.{signature}",
        unsigned,
        "a.b.c",
        "",
        "ا.ب.ج",
        good + "x" * 20_000,
        good[:-1],
    ):
        with pytest.raises(UnauthorizedError):
            await found.claims(bad, audience=AUDIENCE)


def segment(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_a_public_key_cannot_serve_as_a_shared_secret() -> None:
    found, issuer, _ = verifier(RSA)
    head, body = (segment({"alg": "HS256", "typ": "at+jwt", "kid": "rsa"}), segment(claims()))
    mac = hmac.new(RSA.as_pem(private=False), f"{head}.{body}".encode(), hashlib.sha256).digest()
    forged = f"{head}.{body}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"
    with pytest.raises(UnauthorizedError):
        await found.claims(forged, audience=AUDIENCE)
    shared = OctKey.generate_key(256, {"kid": "oct"})

    async def leaky() -> Mapping[str, Any]:
        return {"keys": [shared.as_dict(), *(await issuer())["keys"]]}

    careless = TokenVerifier(issuer=ISSUER, jwks=leaky, clock=Clock())
    with pytest.raises(UnauthorizedError):
        await careless.claims(
            jwt.encode({"alg": "HS256", "typ": "at+jwt", "kid": "oct"}, claims(), shared), audience=AUDIENCE
        )


async def test_a_known_token_is_not_verified_twice_but_expires_on_time() -> None:
    found, issuer, clock = verifier()
    good = token()
    first = await found.claims(good, audience=AUDIENCE)
    assert await found.claims(good, audience=AUDIENCE) is first
    assert issuer.reads == 1
    with pytest.raises(UnauthorizedError):
        await found.claims(good, audience="https://gozar.example/other")
    clock.moment = NOW + timedelta(seconds=300)
    with pytest.raises(UnauthorizedError):
        await found.claims(good, audience=AUDIENCE)


async def test_the_memory_of_tokens_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "REMEMBERED", 3)
    found, _, _ = verifier()
    for i in range(6):
        await found.claims(token(jti=str(i)), audience=AUDIENCE)
    assert len(found._known) == 3


async def test_a_new_key_is_learnt_without_a_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "_RETRY_SECONDS", -1.0)
    found, issuer, _ = verifier()
    await found.claims(token(), audience=AUDIENCE)
    issuer.keys.append(ED)
    assert (await found.claims(token(ED, "Ed25519"), audience=AUDIENCE))["sub"] == "app"


async def test_unknown_keys_do_not_hammer_the_issuer() -> None:
    found, issuer, _ = verifier()
    stranger = ECKey.generate_key("P-256", {"kid": "other"})
    for _ in range(5):
        with pytest.raises(UnauthorizedError):
            await found.claims(token(stranger), audience=AUDIENCE)
    assert issuer.reads == 1


async def test_an_unreachable_issuer_is_unavailable_not_forbidden() -> None:
    found, issuer, _ = verifier()
    issuer.broken = True
    with pytest.raises(UnavailableError):
        await found.claims(token(), audience=AUDIENCE)


@pytest.mark.parametrize("header", [None, b"", b"Bearer", b"Bearer ", b"Basic abc", b"abc"])
def test_malformed_authorization_headers_are_refused(header: bytes | None) -> None:
    with pytest.raises(UnauthorizedError) as caught:
        bearer(header)
    assert caught.value.headers["WWW-Authenticate"].startswith("Bearer")


def test_the_scheme_is_case_insensitive() -> None:
    assert bearer(b"bearer  abc ") == "abc"
