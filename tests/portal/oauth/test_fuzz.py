"""Ten thousand odd requests to the OAuth endpoints: every one is answered, none with a server error.

Seeded, so that a finding can be repeated; values mix valid pieces with characters, lengths and encodings that break parsers.
"""

from __future__ import annotations

import base64
import random
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.factories.oauth import assertion, authorization_form, code_form, dpop_proof, new_key

SHARDS, EACH = 5, 2100
ODD = [
    "",
    " ",
    "گذر",
    "\x00",
    "\ud800",
    "%",
    "%zz",
    "'\"<>\\",
    "a" * 5000,
    "🏥",
    "\r\nSet-Cookie: a=b",
    "null",
    "[]",
    "{}",
    "-1",
    "1e309",
    "../..",
    "urn:ietf:params:oauth:request_uri:",
    "a.b.c",
    "e30.e30.e30",
    "eyJhbGciOiJub25lIn0.e30.",
    "https://app.test/callback",
    "javascript:alert(1)",
    "S256",
    "code",
    "openid",
    "patient/*.rs?",
    "system/Patient.rs",
    "\u202e",
    "İ",
]
POSTED = ("token", "par", "revoke", "introspect", "authorize")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
TYPES = (
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-8",
    "application/x-www-form-urlencoded; charset=utf-7",
    "application/json",
    "multipart/form-data; boundary=x",
    "text/plain",
    "",
    "\xff",
)


@dataclass
class Material:
    """Valid requests to start from."""

    forms: list[dict[str, str]]
    basics: list[str]
    proof: str
    token: str


async def _material(world: Any) -> Material:
    secret, keyed, public = await world.app(), await world.app(key=new_key("ES384")), await world.app(public=True)
    tokens = await world.tokens_for(public)
    back = await world.approve(authorization_form(public.client_id))
    signed = assertion(keyed, "ES384")
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    forms = [
        {"grant_type": "client_credentials", "scope": "system/Patient.rs"},
        {"grant_type": "client_credentials", "client_assertion_type": kind, "client_assertion": signed},
        code_form(public.client_id, back["code"]),
        {"grant_type": "refresh_token", "client_id": public.client_id, "refresh_token": tokens["refresh_token"]},
        {"token": tokens["access_token"], "token_type_hint": "access_token", "client_id": public.client_id},
        authorization_form(public.client_id, nonce="n", resource="https://gozar.test/sandbox/fhir/R4"),
        {"client_id": keyed.client_id, "request_uri": "urn:ietf:params:oauth:request_uri:gzq_x"},
        {"secret": secret.secret, "where": "somewhere"},
    ]
    proof = dpop_proof(new_key("ES256"), url="https://gozar.test/sandbox/oauth/token")
    return Material(
        forms, [secret.basic["authorization"], f"Bearer {tokens['access_token']}"], proof, tokens["id_token"]
    )


def _text(chance: random.Random, value: str) -> str:
    kind = chance.random()
    if kind < 0.75:
        return value
    if kind < 0.88:
        return chance.choice(ODD)
    if kind < 0.95 and value:
        at = chance.randrange(len(value))
        return value[:at] + chr(chance.choice([0, 9, 34, 92, 127, 255, 0x6AF, 0xD8FF])) + value[at + 1 :]
    return value * chance.randrange(4)


def _body(chance: random.Random, form: dict[str, str]) -> bytes:
    pairs = [(name, _text(chance, value)) for name, value in form.items() if chance.random() < 0.95]
    if pairs and chance.random() < 0.1:
        pairs.append(chance.choice(pairs))
    if chance.random() < 0.2:
        pairs.append((chance.choice(ODD), chance.choice(ODD)))
    raw = urlencode(pairs, errors="surrogatepass").encode("ascii", "replace")
    if chance.random() < 0.1:
        at = chance.randrange(len(raw) + 1)
        raw = raw[:at] + bytes(chance.randrange(256) for _ in range(4)) + raw[at:]
    return raw


def _headers(chance: random.Random, material: Material) -> list[tuple[bytes, bytes]]:
    media = TYPES[0] if chance.random() < 0.85 else chance.choice(TYPES)
    headers = [(b"content-type", media.encode("latin-1"))]
    kind = chance.random()
    if kind < 0.3:
        headers.append((b"authorization", chance.choice(material.basics).encode()))
    elif kind < 0.5:
        scheme = chance.choice([b"Basic ", b"Bearer ", b"DPoP ", b"basic", b"\xff "])
        raw = (
            chance.choice(ODD).encode("utf-8", "surrogatepass") + b":" + bytes(chance.randrange(256) for _ in range(6))
        )
        headers.append((b"authorization", scheme + chance.choice([raw.replace(b"\r\n", b""), base64.b64encode(raw)])))
    if chance.random() < 0.15:
        headers.append((b"dpop", chance.choice([material.proof, "x", material.token, "a.b.c"]).encode()))
    if chance.random() < 0.1:
        headers.append((b"accept", chance.choice([b"text/html", b"*/*", b"\xff", b"application/json"])))
    if chance.random() < 0.05:
        headers.append((b"origin", chance.choice([b"https://app.test", b"null", b"\xff"])))
    return headers


async def _send(app: Any, method: str, path: str, query: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """One request straight to the application, so that nothing on the way mends what is odd."""
    answered: list[dict[str, Any]] = []
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        answered.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query,
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("gozar.test", 443),
        "state": {},
    }
    await app(scope, receive, send)
    assert answered and answered[0]["type"] == "http.response.start"
    assert all(b"\r" not in value and b"\n" not in value for _, value in answered[0]["headers"])
    return int(answered[0]["status"])


@pytest.mark.parametrize("shard", range(SHARDS))
async def test_no_odd_request_is_a_server_error(world: Any, shard: int) -> None:
    material = await _material(world)
    chance = random.Random(1405 + shard)
    app = world.http._transport.app
    counted: dict[int, int] = {}
    for number in range(EACH):
        environment = chance.choice(["sandbox", "sandbox", "production"])
        name = chance.choice(POSTED)
        path = f"/{environment}/oauth/{name}" if chance.random() < 0.97 else "/oauth/leaked-secrets"
        raw = _body(chance, chance.choice(material.forms))
        headers = _headers(chance, material)
        method = "POST" if chance.random() < 0.8 else chance.choice(METHODS)
        if name == "authorize" and chance.random() < 0.5:
            status = await _send(app, "GET", path, raw, headers, b"")
        else:
            status = await _send(app, method, path, b"", headers, raw)
        counted[status] = counted.get(status, 0) + 1
        assert status < 500, (shard, number, method, path, headers, raw)
    # The odd requests must reach beyond the first check, or they prove little.
    assert counted.get(200, 0) > EACH // 200, counted
    assert len(counted) >= 5, counted
