"""Authlib's authorization server, the only place that knows Authlib.

Its grants are synchronous and run inside `AsyncSession.run_sync`, so that one async engine and one transaction serve a request. What
needs the network (client authentication, keys by URL) is done before, and what Authlib leaves open (algorithms, PKCE for everybody,
single use, audiences) is decided here. Nothing of the request is echoed in an error.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidScopeError, OAuth2Error, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy.orm import Session

from portal.oauth import scopes
from portal.oauth.authentication import Authenticated
from portal.oauth.incoming import Incoming
from portal.oauth.tokens import LIFETIME, AccessTokens

# Its debug lines print whole tokens.
logging.getLogger("authlib").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON answer of an OAuth endpoint."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One token request and what its grant may use. `thumbprint` is that of the DPoP key, or empty."""

    incoming: Incoming
    authenticated: Authenticated
    session: Session
    now: datetime
    thumbprint: str = ""


class _Client:
    """An App as Authlib's grants look at it."""

    def __init__(self, authenticated: Authenticated) -> None:
        self.record, self.method = authenticated.client, authenticated.method

    def check_grant_type(self, grant_type: str) -> bool:
        return not (grant_type == "client_credentials" and self.method == "none")


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    """An `Exchange` as Authlib's request. Whether transport was secure is judged at the edge, hence the fixed URI."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__("POST", "https://localhost/token", headers={})
        self.exchange = exchange
        self.payload = BasicOAuth2Payload(exchange.incoming.form)

    @property
    def form(self) -> dict[str, str]:
        return self.exchange.incoming.form


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]
    """RFC 6749 section 4.4 with SMART system scopes."""

    def authenticate_token_endpoint_client(self) -> _Client:
        return _Client(self.request.exchange.authenticated)

    def validate_requested_scope(self) -> None:
        client = self.request.client.record
        registered = [scope for scope in client.scopes if scope.startswith("system/")]
        try:
            requested = scopes.split(self.request.payload.scope or "") or registered
        except scopes.InvalidScope as error:
            raise InvalidScopeError(str(error)) from error
        granted: list[str] = []
        for each in requested:
            allowed = scopes.grantable(each, registered)
            if not allowed:
                raise InvalidScopeError("a requested scope is unknown, or not granted to this App")
            granted += allowed
        if not granted:
            raise InvalidScopeError("no system scope is granted to this App")
        self.request.scope = " ".join(dict.fromkeys(granted))

    def generate_token(self, **_: Any) -> dict[str, Any]:
        issued: dict[str, Any] = self.server.issue(self.request.exchange, scope=self.request.scope)
        return issued


class Server(AuthorizationServer):  # type: ignore[misc]
    """The authorization server of one Environment."""

    def __init__(self, environment: str, tokens: AccessTokens) -> None:
        super().__init__()
        self.environment, self.tokens = environment, tokens
        self.register_grant(ClientCredentials)

    @property
    def grant_types(self) -> list[str]:
        """The grant types it knows."""
        return [grant.GRANT_TYPE for grant, _ in self._token_grants]

    def token(self, exchange: Exchange) -> Answer:
        """Answer a token request. Call it inside `run_sync`, and commit also when the answer is an error."""
        answer: Answer = self.create_token_response(exchange)
        return answer

    def issue(
        self, exchange: Exchange, *, scope: str, subject: str = "", more: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Mint an access token; the RFC 6749 section 5.1 answer without what only some grants add."""
        client = exchange.authenticated.client
        extra = dict(more or {})
        if exchange.thumbprint:
            extra["cnf"] = {"jkt": exchange.thumbprint}
        token = self.tokens.mint(
            self.environment,
            client_id=client.client_id,
            app=client.app_id,
            tenant=client.tenant,
            epoch=client.epoch,
            scope=scope,
            now=exchange.now,
            subject=subject,
            more=extra,
        )
        return {
            "access_token": token,
            "token_type": "DPoP" if exchange.thumbprint else "Bearer",
            "expires_in": LIFETIME,
            "scope": scope,
        }

    # --- What Authlib asks of its host ----------------------------------------------------------

    def create_oauth2_request(self, request: Exchange) -> _Request:
        return _Request(request)

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        return Answer(status, body)

    def handle_error_response(self, request: _Request, error: OAuth2Error) -> Answer:
        description = (
            "the App may not use this grant type" if isinstance(error, UnauthorizedClientError) else error.description
        )
        return Answer(error.status_code, {"error": error.error, "error_description": description or error.error})

    def save_token(self, token: dict[str, Any], request: _Request) -> None:
        """Nothing to save: access tokens are self-contained, and refresh tokens are stored where they are made."""

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Authlib announces steps that nobody here listens to."""
