"""What an App may register: redirect URIs and public keys."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from portal.apps import keysets, redirects


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example.ir/callback",
        "https://app.example.ir:8443/cb?tenant=1",
        "http://127.0.0.1:3000/cb",
        "http://localhost/cb",
        "http://[::1]:8080/cb",
        "ir.example.app:/callback",
    ],
)
def test_exact_and_safe_redirect_uris_are_accepted(uri: str) -> None:
    assert redirects.checked(f" {uri} ", "sandbox") == uri


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example.ir/cb",
        "https://app.example.ir/cb#part",
        "https://app.example.ir/cb#",
        "https://*.example.ir/cb",
        "https://user@example.ir/cb",
        "https://user:p@example.ir/cb",
        "https://example.ir\\@evil.ir/cb",
        "https://example.ir/a/../cb",
        "https:///cb",
        "https://example.ir:0/cb",
        "https://example.ir:99999/cb",
        "https://example.ir/c b",
        "https://مثال.ir/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp://cb",
        "//example.ir/cb",
        "https://example.ir/" + "a" * 500,
    ],
)
def test_a_redirect_uri_that_could_be_abused_is_refused(uri: str) -> None:
    with pytest.raises(redirects.UnusableRedirectUri) as refused:
        redirects.checked(uri, "sandbox")
    assert refused.value.field == "redirect_uris"
    assert refused.value.message_fa != refused.value.message


def test_loopback_stays_in_the_sandbox() -> None:
    with pytest.raises(redirects.UnusableRedirectUri):
        redirects.checked("http://127.0.0.1/cb", "production")


def public(key: Any, **more: str) -> dict[str, Any]:
    return {**key.as_dict(private=False), **more}


def test_public_signing_keys_are_accepted_and_only_their_public_part_kept() -> None:
    keys = [
        public(ECKey.generate_key("P-384"), kid="a", use="sig", alg="ES384"),
        public(RSAKey.generate_key(2048), kid="b"),
        public(OKPKey.generate_key("Ed25519"), kid="c"),
    ]
    assert {key["kid"] for key in keysets.checked({"keys": keys})["keys"]} == {"a", "b", "c"}
    assert keysets.checked(keys[0]) == {"keys": [keys[0]]}


def weak_rsa() -> dict[str, Any]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 -- weak on purpose
    numbers = key.public_key().public_numbers()
    modulus = base64.urlsafe_b64encode(numbers.n.to_bytes(128, "big")).rstrip(b"=").decode()
    return {"kty": "RSA", "n": modulus, "e": "AQAB"}


@pytest.mark.parametrize(
    "jwks",
    [
        None,
        [],
        "text",
        {},
        {"keys": []},
        {"keys": ["text"]},
        {"keys": [ECKey.generate_key("P-384").as_dict(private=True)]},
        {"keys": [OctKey.generate_key(256).as_dict(private=True)]},
        {"keys": [public(ECKey.generate_key("P-521"))]},
        {"keys": [public(OKPKey.generate_key("X25519"))]},
        {"keys": [weak_rsa()]},
        {"keys": [public(ECKey.generate_key("P-256"), use="enc")]},
        {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA"}]},
        {"keys": [{"kty": "RSA", "n": 5, "e": "AQAB"}]},
        {"keys": [public(ECKey.generate_key("P-256")), public(ECKey.generate_key("P-256"))]},
    ],
)
def test_a_key_set_that_is_private_weak_or_malformed_is_refused(jwks: Any) -> None:
    with pytest.raises(keysets.UnusableKeys):
        keysets.checked(jwks)


@pytest.mark.parametrize(
    "uri",
    [
        "http://x.ir/jwks",
        "https://x.ir:8443/jwks",
        "https://u@x.ir/jwks",
        "https:///jwks",
        "https://x.ir/a#b",
        "https://[::1/jwks",
    ],
)
def test_a_key_set_address_must_be_plain_https(uri: str) -> None:
    with pytest.raises(keysets.UnusableKeys):
        keysets.checked_uri(uri)
