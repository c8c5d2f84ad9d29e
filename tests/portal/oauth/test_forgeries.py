"""Forged, altered and borrowed tokens: what other servers and libraries once accepted."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives import serialization
from joserfc import jwt
from joserfc.jwk import KeySet

from portal.oauth.signatures import MalformedToken, b64url, parse, unb64url, verify
from portal.oauth.tokens import TokenRefused
from tests.factories.oauth import (
    NOW,
    MadeApp,
    assertion,
    assertion_form,
    claims_of,
    header_of,
    new_key,
)


def _part(value: dict[str, Any]) -> str:
    return b64url(orjson.dumps(value))


async def _refused(world: Any, token: str) -> None:
    with pytest.raises(TokenRefused):
        await world.oauth.tokens.verify(token, "sandbox", NOW)
    app = await world.app()
    assert await world.introspect(app, token) == {"active": False}


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
async def test_unsigned_access_token_is_refused(world: Any, algorithm: str) -> None:
    token = await world.client_token(await world.app())
    head = {**header_of(token), "alg": algorithm}
    for signature in ("", token.split(".")[2]):
        await _refused(world, f"{_part(head)}.{token.split('.')[1]}.{signature}")


async def test_public_key_used_as_a_shared_secret_is_refused(world: Any) -> None:
    token = await world.client_token(await world.app())
    kid = header_of(token)["kid"]
    public = world.oauth.keys.public("sandbox", kid, "ES256", NOW)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{_part({**header_of(token), 'alg': 'HS256'})}.{token.split('.')[1]}"
    for secret in (pem, pem.strip()):
        await _refused(world, f"{signed}.{b64url(hmac.digest(secret, signed.encode(), hashlib.sha256))}")


async def test_key_that_comes_with_the_token_is_not_trusted(world: Any) -> None:
    token, own = await world.client_token(await world.app()), new_key("ES256")
    for more in ({"jwk": own.as_dict(private=False)}, {"jku": "https://evil.test/jwks"}, {"kid": own.kid}):
        head = {**header_of(token), **more}
        await _refused(world, jwt.encode(head, claims_of(token), own, algorithms=["ES256"]))


async def test_critical_header_that_nobody_understands_is_refused(world: Any) -> None:
    app = await world.app(key=new_key("ES384"))
    text = assertion(app, "ES384")
    head = {**header_of(text), "crit": ["x"], "x": 1}
    signed = f"{_part(head)}.{text.split('.')[1]}"
    signature = _sign_es384(app, signed)
    answer = await world.token(assertion_form(f"{signed}.{signature}"))
    assert answer.json()["error"] == "invalid_client"


def _sign_es384(app: MadeApp, signed: str) -> str:
    from portal.oauth.signatures import sign

    assert app.key is not None
    private: Any = app.key.private_key  # type: ignore[attr-defined]
    return b64url(sign("ES384", private, signed.encode()))


@pytest.mark.parametrize("header", [{"jwk": {}}, {"x5c": ["x"]}, {"typ": "at+jwt"}, {"typ": "dpop+jwt"}])
async def test_assertion_with_a_foreign_header_is_refused(world: Any, header: dict[str, Any]) -> None:
    app = await world.app(key=new_key("ES384"))
    text = assertion(app, "ES384")
    signed = f"{_part({**header_of(text), **header})}.{text.split('.')[1]}"
    answer = await world.token(assertion_form(f"{signed}.{_sign_es384(app, signed)}"))
    assert answer.json()["error"] == "invalid_client"


async def test_truncated_or_altered_token_is_refused(world: Any) -> None:
    token = await world.client_token(await world.app())
    head, claims, signature = token.split(".")
    altered = _part({**claims_of(token), "scope": "system/*.cruds"})
    for forged in (
        token[:-1],
        token[:-20],
        f"{head}.{claims}.",
        f"{head}.{claims}",
        f"{head}.{altered}.{signature}",
        f"{head}.{claims}.{'A' * len(signature)}",
        f"{token}.x",
        f" {token}",
        f"{token}=",
    ):
        with pytest.raises(TokenRefused):
            await world.oauth.tokens.verify(forged, "sandbox", NOW)


async def test_token_of_another_type_of_the_same_issuer_is_refused(world: Any) -> None:
    admin = world.oauth.tokens.mint_admin("sandbox", NOW)
    with pytest.raises(TokenRefused, match="another audience"):
        await world.oauth.tokens.verify(admin, "sandbox", NOW)


async def test_what_one_environment_remembers_is_not_taken_in_the_other(world: Any) -> None:
    token = await world.client_token(await world.app())
    await world.oauth.tokens.verify(token, "sandbox", NOW)
    assert world.oauth.tokens.cached(token, "sandbox", NOW.timestamp()) is not None
    assert world.oauth.tokens.cached(token, "production", NOW.timestamp()) is None


async def test_remembered_tokens_are_bounded_in_number_and_time(world: Any) -> None:
    world.oauth.tokens._capacity = 3
    app = await world.app()
    tokens = [await world.client_token(app) for _ in range(5)]
    for token in tokens:
        await world.oauth.tokens.verify(token, "sandbox", NOW)
    kept = [world.oauth.tokens.cached(token, "sandbox", NOW.timestamp()) is not None for token in tokens]
    assert kept == [False, False, True, True, True]
    assert world.oauth.tokens.cached(tokens[4], "sandbox", NOW.timestamp() + 60) is None


async def test_environment_wide_cut_off_refuses_what_was_issued_before_it(world: Any) -> None:
    from portal.kernel.database import transaction
    from portal.oauth.feed import publish

    app = await world.app()
    before = await world.client_token(app)
    async with transaction(world.maker) as session:
        await publish(session, "environment", "sandbox", int(NOW.timestamp()) + 1)
    with pytest.raises(TokenRefused, match="revoked"):
        await world.oauth.tokens.verify(before, "sandbox", NOW)


async def test_admin_token_is_reused_until_a_minute_before_its_end(world: Any) -> None:
    from datetime import timedelta

    first = world.oauth.tokens.mint_admin("sandbox", NOW)
    assert world.oauth.tokens.mint_admin("sandbox", NOW + timedelta(seconds=239)) == first
    assert world.oauth.tokens.mint_admin("sandbox", NOW + timedelta(seconds=240)) != first
    jwks = KeySet.import_key_set((await world.http.get("/sandbox/oauth/jwks")).json())
    claims = jwt.decode(first, jwks, algorithms=["ES256"]).claims
    assert (claims["aud"], claims["scope"]) == ("urn:gozar:exchange:sandbox", "exchange.admin")


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "RS384", "PS256", "Ed25519"])
def test_our_verification_agrees_with_joserfc(algorithm: str) -> None:
    key, other = new_key(algorithm), new_key(algorithm)
    jws = parse(jwt.encode({"alg": algorithm}, {"a": 1}, key, algorithms=[algorithm]))
    public: Any = key.public_key  # type: ignore[attr-defined]
    foreign: Any = other.public_key  # type: ignore[attr-defined]
    assert verify(algorithm, public, jws.signed, jws.signature)
    assert not verify(algorithm, foreign, jws.signed, jws.signature)
    assert not verify(algorithm, public, jws.signed + b"x", jws.signature)
    assert not verify(algorithm, public, jws.signed, jws.signature[:-1])
    assert not verify("RS256" if algorithm != "RS384" else "ES256", public, jws.signed, jws.signature)


@pytest.mark.parametrize("text", ["", ".", "..", "a.b", "a.b.c.d", "e30.W10.x", "x" * 20_000, "گ.گ.گ", "e30.e30.+/=="])
def test_text_that_is_no_token_is_told_apart(text: str) -> None:
    with pytest.raises(MalformedToken):
        parse(text)


def test_base64url_is_read_strictly() -> None:
    assert unb64url("YQ") == b"a"
    for wrong in ("YQ==", "Y+8", "Y/8", "Y Q", "Y"):
        with pytest.raises(MalformedToken):
            unb64url(wrong)
    assert base64.urlsafe_b64decode("YQ==") == b"a"
