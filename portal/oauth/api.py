"""The endpoints, as plain ASGI handlers: a token request is mostly cryptography, and a framework's request object would cost as much."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from litestar import asgi
from litestar.types import ASGIApp, Receive, Scope, Send
from sqlalchemy.exc import SQLAlchemyError

from portal.oauth import metadata
from portal.oauth.authorization_server import Answer
from portal.oauth.errors import OAuthFault
from portal.oauth.incoming import read_authorization, read_form, read_headers
from portal.oauth.service import ENVIRONMENTS, OAuth

log = logging.getLogger(__name__)

Endpoint = Callable[[Scope, Receive], Awaitable[Answer]]
_NO_STORE = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
_JSON = (b"content-type", b"application/json")
_PUBLIC = [
    (b"cache-control", b"public, max-age=300"),
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]


async def respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send one whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [_JSON, length, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _endpoint(path: str, method: str, answer: Endpoint, *, public: bool = False) -> Any:
    """A handler for `path` that answers `method`; others get 405, faults their RFC 6749 shape."""

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        asked = str(scope.get("method"))
        try:
            if asked not in method.split(", ") and not (asked == "HEAD" and method == "GET"):
                raise OAuthFault("invalid_request", f"use {method}", status=405, headers={"allow": method})
            found = await answer(scope, receive)
        except OAuthFault as fault:
            found = Answer(fault.status, fault.body, fault.headers)
        except (SQLAlchemyError, OSError):
            log.exception("an OAuth endpoint could not reach the database")
            body = {"error": "temporarily_unavailable", "error_description": "try again in a moment"}
            found = Answer(503, body, {"retry-after": "1"})
        extra = [(name.encode(), value.encode("latin-1")) for name, value in found.headers.items()]
        cacheable = _PUBLIC if public and found.status == 200 else _NO_STORE
        sent = b"" if asked == "HEAD" else orjson.dumps(found.body)
        await respond(send, found.status, sent, [*cacheable, *extra])

    handle.__name__ = f"oauth_{path.strip('/').replace('/', '_').replace('-', '_').replace('.', '')}"
    handler: ASGIApp = handle
    return asgi(path, copy_scope=False)(handler)


def routes(oauth: OAuth) -> list[Any]:
    """Every route of the authorization server, for both Environments."""
    return [handler for environment in ENVIRONMENTS for handler in _of(oauth, environment)]


def _of(oauth: OAuth, environment: str) -> list[Any]:
    async def token(scope: Scope, receive: Receive) -> Answer:
        return await oauth.token(environment, await read_form(scope, receive))

    async def authorize(scope: Scope, receive: Receive) -> Answer:
        form, repeated = await read_authorization(scope, receive)
        target = await oauth.authorize(environment, form, repeated.get("resource", []))
        return Answer(303, {}, {"location": target, "referrer-policy": "no-referrer"})

    async def push(scope: Scope, receive: Receive) -> Answer:
        return await oauth.push(environment, await read_form(scope, receive))

    async def revoke(scope: Scope, receive: Receive) -> Answer:
        return await oauth.revoke(environment, await read_form(scope, receive))

    async def introspect(scope: Scope, receive: Receive) -> Answer:
        return await oauth.introspect(environment, await read_form(scope, receive))

    async def userinfo(scope: Scope, _receive: Receive) -> Answer:
        return await oauth.userinfo(environment, read_headers(scope).get("authorization", ""))

    async def jwks(_scope: Scope, _receive: Receive) -> Answer:
        return Answer(200, dict(await oauth.jwks(environment)))

    async def server(_scope: Scope, _receive: Receive) -> Answer:
        grants = oauth.sides[environment].server.grant_types
        return Answer(200, metadata.authorization_server(oauth.public_url, environment, grants))

    return [
        _endpoint(f"/{environment}/oauth/token", "POST", token),
        _endpoint(f"/{environment}/oauth/par", "POST", push),
        _endpoint(f"/{environment}/oauth/revoke", "POST", revoke),
        _endpoint(f"/{environment}/oauth/introspect", "POST", introspect),
        _endpoint(f"/{environment}/oauth/userinfo", "GET", userinfo),
        _endpoint(f"/{environment}/oauth/authorize", "GET, POST", authorize),
        _endpoint(f"/{environment}/oauth/jwks", "GET", jwks, public=True),
        _endpoint(f"/.well-known/oauth-authorization-server/{environment}", "GET", server, public=True),
        _endpoint(f"/{environment}/.well-known/openid-configuration", "GET", server, public=True),
    ]


def smart_configuration(oauth: OAuth, environment: str) -> bytes:
    """The document at `{environment}/fhir/R4/.well-known/smart-configuration`, which the gateway serves without a token."""
    grants = oauth.sides[environment].server.grant_types
    return orjson.dumps(metadata.smart_configuration(oauth.public_url, environment, grants))
