"""The endpoints, as plain ASGI handlers: a token request is mostly cryptography, and a framework's request object would cost as much."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from litestar import asgi
from litestar.types import Receive, Scope, Send
from sqlalchemy.exc import SQLAlchemyError

from portal.kernel.errors import DomainError
from portal.kernel.lifespan import AsgiApp
from portal.oauth import brands, metadata, origins
from portal.oauth.authorization_server import Answer
from portal.oauth.clients import ClientRecord
from portal.oauth.errors import OAuthFault
from portal.oauth.incoming import Incoming, read_authorization, read_form, read_headers
from portal.oauth.service import ENVIRONMENTS, OAuth
from portal.web.headers import request_id

log = logging.getLogger(__name__)

Endpoint = Callable[[Scope, Receive], Awaitable[Answer]]
_NO_STORE = [(b"cache-control", b"no-store"), (b"pragma", b"no-cache")]
_JSON = (b"content-type", b"application/json")
_FHIR = (b"content-type", b"application/fhir+json")
_PUBLIC = [
    (b"cache-control", b"public, max-age=300"),
    (b"access-control-allow-origin", b"*"),
    (b"x-content-type-options", b"nosniff"),
]
# A preflight cannot say which App asks. What it allows is decided by the answer, which names registered origins only.
_PREFLIGHT = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "accept, authorization, cache-control, content-type, dpop, x-requested-with",
    "access-control-max-age": "600",
}


class AuthorizationRequestUnusable(DomainError):
    """What a person sees when an App sent a request that cannot safely be answered to the App."""

    code = "authorization-request"
    title = "The app sent a request that cannot be used"
    title_fa = "برنامه درخواستی فرستاده است که پذیرفته نیست"


async def respond(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    """Send one whole response."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _handler(methods: str, answer: Endpoint, *, public: bool = False, fhir: bool = False) -> Any:
    """An ASGI application that answers `methods`; others get 405, faults their RFC 6749 shape."""
    allowed = methods.split(", ")
    media = _FHIR if fhir else _JSON

    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        asked = str(scope.get("method"))
        try:
            if asked == "OPTIONS":
                found = Answer(204, {}, _PREFLIGHT)
            elif asked in allowed or (asked == "HEAD" and "GET" in allowed):
                found = await answer(scope, receive)
            else:
                raise OAuthFault("invalid_request", f"use {methods}", status=405, headers={"allow": methods})
        except OAuthFault as fault:
            found = Answer(fault.status, fault.body, fault.headers)
        except (SQLAlchemyError, OSError):
            log.exception("an OAuth endpoint could not reach the database")
            body = {"error": "temporarily_unavailable", "error_description": "try again in a moment"}
            found = Answer(503, body, {"retry-after": "1"})
        extra = [(name.encode(), value.encode("latin-1")) for name, value in found.headers.items()]
        if found.status == 204:
            await send({"type": "http.response.start", "status": 204, "headers": extra})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        cacheable = _PUBLIC if public and found.status == 200 else _NO_STORE
        sent = b"" if asked == "HEAD" else orjson.dumps(found.body)
        await respond(send, found.status, sent, [media, *cacheable, *extra])

    return handle


def _endpoint(path: str, methods: str, answer: Endpoint, *, public: bool = False, fhir: bool = False) -> Any:
    """A route for `path`."""
    handle = _handler(methods, answer, public=public, fhir=fhir)
    handle.__name__ = f"oauth_{path.strip('/').replace('/', '_').replace('-', '_').replace('.', '')}"
    return asgi(path, copy_scope=False)(handle)


def token_lane(oauth: OAuth, rest: AsgiApp) -> AsgiApp:
    """`rest`, with the token endpoints taken out in front: nothing that a web framework does for pages is needed there."""
    lanes = {
        f"/{environment}/oauth/token": _handler("POST", _token(oauth, environment)) for environment in ENVIRONMENTS
    }
    strict = [(b"x-content-type-options", b"nosniff")]
    if oauth.public_url.startswith("https://"):
        strict.append((b"strict-transport-security", b"max-age=31536000; includeSubDomains"))

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        lane = lanes.get(scope["path"]) if scope["type"] == "http" else None
        if lane is None:
            await rest(scope, receive, send)
            return
        scope.setdefault("state", {})
        named = [*strict, (b"x-request-id", request_id(scope).encode("ascii"))]

        async def hardened(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += named
            await send(message)

        try:
            await lane(scope, receive, hardened)
        except Exception:
            log.exception("the token endpoint failed")
            body = orjson.dumps({"error": "server_error", "error_description": "something broke on our side"})
            await respond(hardened, 500, body, [_JSON, *_NO_STORE])

    return dispatch


def routes(oauth: OAuth) -> list[Any]:
    """Every route of the authorization server, for both Environments."""
    return [
        _endpoint("/oauth/leaked-secrets", "POST", _form(oauth, "production", oauth.report_leak)),
        *(
            handler
            for environment in ENVIRONMENTS
            for handler in (*_protocol(oauth, environment), *_documents(oauth, environment))
        ),
    ]


def _form(oauth: OAuth, environment: str, verb: Callable[[Incoming], Awaitable[Answer]]) -> Endpoint:
    """`verb` for a POSTed form, answered to browsers only on the App's own origins."""

    async def answer(scope: Scope, receive: Receive) -> Answer:
        asker = ""
        try:
            incoming = await read_form(scope, receive)
            asker = incoming.get("client_id")
            found = await verb(incoming)
        except OAuthFault as fault:
            found = Answer(fault.status, fault.body, fault.headers)
        origin = _origin(scope)
        return _readable(found, origin, environment, oauth.clients.cached(asker)) if origin else found

    return answer


def _origin(scope: Scope) -> str:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), "")


def _readable(found: Answer, origin: str, environment: str, client: ClientRecord | None) -> Answer:
    """The answer with what a browser needs to show it to pages of `origin`."""
    more = origins.fields(origin, environment, client)
    return Answer(found.status, found.body, {**found.headers, **more}) if more else found


def _token(oauth: OAuth, environment: str) -> Endpoint:
    return _form(oauth, environment, lambda form: oauth.token(environment, form))


def _protocol(oauth: OAuth, environment: str) -> list[Any]:
    async def authorize(scope: Scope, receive: Receive) -> Answer:
        try:
            form, repeated = await read_authorization(scope, receive)
            target = await oauth.authorize(environment, form, repeated.get("resource", []))
        except OAuthFault as fault:
            if "text/html" not in read_headers(scope).get("accept", ""):
                raise
            persian = f"به سازندهٔ برنامه خبر دهید: {fault.description}"
            raise AuthorizationRequestUnusable(fault.description, fa=persian) from fault
        return Answer(303, {}, {"location": target, "referrer-policy": "no-referrer"})

    async def userinfo(scope: Scope, _receive: Receive) -> Answer:
        credential, origin = read_headers(scope).get("authorization", ""), _origin(scope)
        try:
            found = await oauth.userinfo(environment, credential)
        except OAuthFault as fault:
            found = Answer(fault.status, fault.body, fault.headers)
        return (
            _readable(found, origin, environment, await oauth.bearer_of(environment, credential)) if origin else found
        )

    base = f"/{environment}/oauth"
    return [
        _endpoint(f"{base}/token", "POST", _token(oauth, environment)),
        _endpoint(f"{base}/par", "POST", _form(oauth, environment, lambda form: oauth.push(environment, form))),
        _endpoint(f"{base}/revoke", "POST", _form(oauth, environment, lambda form: oauth.revoke(environment, form))),
        _endpoint(
            f"{base}/introspect", "POST", _form(oauth, environment, lambda form: oauth.introspect(environment, form))
        ),
        _endpoint(f"{base}/userinfo", "GET, POST", userinfo),
        _endpoint(f"{base}/authorize", "GET, POST", authorize),
    ]


def _documents(oauth: OAuth, environment: str) -> list[Any]:
    grants = oauth.sides[environment].server.grant_types
    described = metadata.authorization_server(oauth.public_url, environment, grants)
    smart = metadata.smart_configuration(oauth.public_url, environment, grants)
    brand = brands.bundle(oauth.public_url, environment)

    def fixed(document: dict[str, Any]) -> Endpoint:
        async def answer(_scope: Scope, _receive: Receive) -> Answer:
            return Answer(200, document)

        return answer

    async def jwks(_scope: Scope, _receive: Receive) -> Answer:
        return Answer(200, dict(await oauth.jwks(environment)))

    places = {
        f"/.well-known/oauth-authorization-server/{environment}": described,
        f"/{environment}/.well-known/oauth-authorization-server": described,
        f"/{environment}/.well-known/openid-configuration": described,
        f"/{environment}/fhir/R4/.well-known/smart-configuration": smart,
    }
    return [
        _endpoint(f"/{environment}/oauth/jwks", "GET", jwks, public=True),
        *(_endpoint(path, "GET", fixed(document), public=True) for path, document in places.items()),
        _endpoint(f"/{environment}/user-access-brands.json", "GET", fixed(brand), public=True, fhir=True),
    ]
