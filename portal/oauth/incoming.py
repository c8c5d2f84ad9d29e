"""What arrives at an OAuth endpoint, read strictly before any grant sees it.

Every parameter once, UTF-8, no NUL; an empty value counts as absent (RFC 6749 sections 3.1 and 3.2).
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

from portal.oauth.errors import OAuthFault, invalid_client, invalid_request

MAX_BODY = 65_536
MAX_PARAMETERS = 60
_FORM = "application/x-www-form-urlencoded"
_PLAIN = re.compile(rb"[A-Za-z0-9._~/:=-]*")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request: lower-case header names, parameters decoded, each present once."""

    method: str
    path: str
    headers: dict[str, str]
    form: dict[str, str]
    # Parameters that may come several times (RFC 8707 `resource`), as they came.
    repeated: dict[str, list[str]] = field(default_factory=dict)
    address: str = ""
    """Where it came from; "" when the server does not know."""

    def get(self, name: str) -> str:
        """A parameter, or an empty text."""
        return self.form.get(name, "")


def _decode(raw: bytes) -> str:
    if _PLAIN.fullmatch(raw):
        return raw.decode("ascii")
    if _BAD_PERCENT.search(raw):
        raise invalid_request("a parameter is not percent-encoded correctly")
    try:
        text = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_request("a parameter is not UTF-8") from error
    if "\x00" in text:
        raise invalid_request("a parameter holds a NUL character")
    return text


def parameters(raw: bytes, repeatable: tuple[str, ...] = ("resource",)) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Decode `application/x-www-form-urlencoded` bytes; raises `OAuthFault` for anything given twice or wrongly encoded."""
    once: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    pairs = [pair for pair in raw.split(b"&") if pair]
    if len(pairs) > MAX_PARAMETERS:
        raise invalid_request("there are too many parameters")
    seen: set[str] = set()
    for pair in pairs:
        raw_name, _, raw_value = pair.partition(b"=")
        name, value = _decode(raw_name), _decode(raw_value)
        if name in repeatable:
            if value:
                repeated.setdefault(name, []).append(value)
            continue
        if name in seen:
            raise invalid_request("a parameter is given more than once")
        seen.add(name)
        if value:
            once[name] = value
    return once, repeated


def read_headers(scope: Any) -> dict[str, str]:
    """Headers of an ASGI scope; those that must not come twice are refused when they do."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found and key in ("authorization", "content-type", "dpop", "content-length"):
            raise invalid_request("a header is given more than once")
        found[key] = value.decode("latin-1")
    return found


async def read_form(scope: Any, receive: Any) -> Incoming:
    """Read a POSTed form; raises `OAuthFault` (413 when too large)."""
    headers = read_headers(scope)
    media, _, charset = headers.get("content-type", "").partition(";")
    if media.strip().lower() != _FORM:
        raise invalid_request("the body must be application/x-www-form-urlencoded")
    charset = charset.strip().lower().replace('"', "")
    if charset and charset not in ("charset=utf-8", "charset=utf8"):
        raise invalid_request("the body must be in UTF-8")
    if scope.get("query_string"):
        raise invalid_request("parameters belong in the body, not in the URL")
    form, repeated = parameters(await read_body(receive))
    peer = scope.get("client")
    return Incoming(scope["method"], scope["path"], headers, form, repeated, peer[0] if peer else "")


async def read_authorization(scope: Any, receive: Any) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Parameters of an authorization request, from the query (GET) or a form (POST); raises `OAuthFault`."""
    if scope["method"] == "POST":
        incoming = await read_form(scope, receive)
        return incoming.form, incoming.repeated
    if len(scope.get("query_string", b"")) > MAX_BODY:
        raise OAuthFault("invalid_request", "the URL is too long", status=414)
    return parameters(scope.get("query_string", b""))


async def read_body(receive: Any) -> bytes:
    """The request body, up to `MAX_BODY` bytes; raises `OAuthFault` with 413 beyond."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise invalid_request("the connection ended before the body did")
        chunk: bytes = message.get("body", b"")
        if len(body) + len(chunk) > MAX_BODY:
            raise OAuthFault("invalid_request", "the body is larger than 64 KiB", status=413)
        body = body + chunk if body else chunk
        if not message.get("more_body"):
            return body


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Client id and secret of a Basic header, or None for another scheme. Raises `OAuthFault` when it cannot be read.

    Both parts are form-urlencoded inside (RFC 6749 section 2.3.1).
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        identifier, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        if not colon:
            raise ValueError("no colon")
        return unquote_plus(identifier, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, ValueError) as error:
        raise invalid_client("the Authorization header cannot be read") from error
