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
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, ClientCredentialsGrant, RefreshTokenGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from sqlalchemy.orm import Session

from portal.oauth import codes, grants, refresh_tokens, scopes
from portal.oauth.authentication import Authenticated
from portal.oauth.authorize import registered
from portal.oauth.errors import OAuthFault, invalid_grant, invalid_scope
from portal.oauth.incoming import Incoming
from portal.oauth.models import DataAccessGrant
from portal.oauth.tokens import LIFETIME, AccessTokens

# Grant types that read or write tables.
STATEFUL = frozenset({"authorization_code", "refresh_token"})

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
    """One token request and what its grant may use. `thumbprint` is that of the DPoP key, or empty.

    Grants outside `STATEFUL` are pure computing and get no session: opening one would cost as much as signing the token.
    """

    incoming: Incoming
    authenticated: Authenticated
    now: datetime
    thumbprint: str = ""
    transaction: Session | None = None

    @property
    def session(self) -> Session:
        """The transaction of a grant of `STATEFUL`."""
        if self.transaction is None:
            raise LookupError("this grant type was given no session")
        return self.transaction


class _Client:
    """An App as Authlib's grants look at it."""

    def __init__(self, authenticated: Authenticated) -> None:
        self.record, self.method = authenticated.client, authenticated.method

    def check_grant_type(self, grant_type: str) -> bool:
        return not (grant_type == "client_credentials" and self.method == "none")


# What Authlib sets on a new request; made once, because it judges the transport's URI each time.
_BLANK = dict(OAuth2Request("POST", "https://localhost/token", headers={}).__dict__)


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    """An `Exchange` as Authlib's request. Whether transport was secure is judged at the edge, hence the fixed URI."""

    def __init__(self, exchange: Exchange) -> None:
        self.__dict__.update(_BLANK)
        self.exchange = exchange
        self.payload = BasicOAuth2Payload(exchange.incoming.form)

    @property
    def form(self) -> dict[str, str]:
        return self.exchange.incoming.form


def launch_context(grant: DataAccessGrant) -> dict[str, str]:
    """SMART launch context of a grant: `patient` and `encounter`, as far as they are known."""
    if grant.fault == "no_patient":
        return {}
    context = {"patient": grant.patient, "encounter": grant.encounter}
    return {name: value for name, value in context.items() if value}


class ClientCredentials(ClientCredentialsGrant):  # type: ignore[misc]
    """RFC 6749 section 4.4 with SMART system scopes."""

    def authenticate_token_endpoint_client(self) -> _Client:
        return _Client(self.request.exchange.authenticated)

    def validate_requested_scope(self) -> None:
        try:
            self.request.scope = scopes.grant_system(
                self.request.payload.scope or "", self.request.client.record.scopes
            )
        except scopes.InvalidScope as error:
            raise InvalidScopeError(str(error)) from error

    def generate_token(self, **_: Any) -> dict[str, Any]:
        issued: dict[str, Any] = self.server.issue(self.request.exchange, scope=self.request.scope)
        return issued


class AuthorizationCode(AuthorizationCodeGrant):  # type: ignore[misc]
    """RFC 6749 section 4.1 at the token endpoint, with PKCE for every App."""

    def validate_token_request(self) -> None:
        exchange: Exchange = self.request.exchange
        form, client = exchange.incoming, exchange.authenticated.client
        self.request.client = _Client(exchange.authenticated)
        self.request.authorization_code = codes.redeem(
            exchange.session,
            code=form.get("code"),
            client_id=client.client_id,
            redirect_uri=form.get("redirect_uri"),
            verifier=form.get("code_verifier"),
            thumbprint=exchange.thumbprint,
            now=exchange.now,
        )

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        exchange, code = self.request.exchange, self.request.authorization_code
        grant = grants.standing(exchange.session, code.grant_id, exchange.now)
        if grant is None:
            raise invalid_grant("the permission behind this authorization code has ended")
        body = self.server.issue_for(exchange, grant, grant.scopes, nonce=code.nonce)
        if refresh_tokens.wanted(grant):
            bound = exchange.thumbprint if exchange.authenticated.method == "none" else ""
            body["refresh_token"] = refresh_tokens.issue(exchange.session, grant, thumbprint=bound, now=exchange.now)
        return 200, body, []


class RefreshToken(RefreshTokenGrant):  # type: ignore[misc]
    """RFC 6749 section 6, rotating for public Apps."""

    def validate_token_request(self) -> None:
        exchange: Exchange = self.request.exchange
        self.request.client = _Client(exchange.authenticated)
        self.request.refresh_token = refresh_tokens.use(
            exchange.session,
            token=exchange.incoming.get("refresh_token"),
            client_id=exchange.authenticated.client.client_id,
            rotate=exchange.authenticated.method == "none",
            thumbprint=exchange.thumbprint,
            key=self.server.refresh_key,
            now=exchange.now,
        )

    def create_token_response(self) -> tuple[int, dict[str, Any], list[tuple[str, str]]]:
        exchange, refreshed = self.request.exchange, self.request.refresh_token
        granted = refreshed.grant.scopes
        try:
            requested = scopes.split(exchange.incoming.get("scope")) or granted
        except scopes.InvalidScope as error:
            raise invalid_scope(str(error)) from error
        if any(scopes.grantable(each, granted) != [each] for each in requested):
            raise invalid_scope("a refresh cannot widen what was granted")
        body = self.server.issue_for(exchange, refreshed.grant, requested, nonce=None)
        body["refresh_token"] = refreshed.token
        return 200, body, []


class Server(AuthorizationServer):  # type: ignore[misc]
    """The authorization server of one Environment."""

    def __init__(self, environment: str, tokens: AccessTokens, *, refresh_key: bytes) -> None:
        super().__init__()
        self.environment, self.tokens, self.refresh_key = environment, tokens, refresh_key
        for grant in (ClientCredentials, AuthorizationCode, RefreshToken):
            self.register_grant(grant)

    @property
    def grant_types(self) -> list[str]:
        """The grant types it knows."""
        return [grant.GRANT_TYPE for grant, _ in self._token_grants]

    def token(self, exchange: Exchange) -> Answer:
        """Answer a token request. Call it inside `run_sync`, and commit also when the answer is an error."""
        try:
            answer: Answer = self.create_token_response(exchange)
        except OAuthFault as fault:
            return Answer(fault.status, fault.body, fault.headers)
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

    def issue_for(
        self, exchange: Exchange, grant: DataAccessGrant, requested: list[str], *, nonce: str | None
    ) -> dict[str, Any]:
        """Mint what a person agreed to: an access token in its launch context, and an ID token for `openid`."""
        client = exchange.authenticated.client
        # A reviewer may have withdrawn a scope since the person agreed.
        kept = scopes.grant_all(requested, registered(client))
        if not kept:
            raise invalid_scope("none of what was granted is still open to this App")
        context = launch_context(grant)
        base = self.tokens.audience(self.environment)
        more: dict[str, Any] = {**context, "grant": grant.id}
        if "fhirUser" in kept:
            more["fhirUser"] = f"{base}/{grant.reference}"
        body = self.issue(exchange, scope=" ".join(kept), subject=grant.subject, more=more)
        body |= context
        if "patient" in context:
            body["need_patient_banner"] = not grant.encounter
        if "openid" in kept:
            body["id_token"] = self.tokens.mint_identity(
                self.environment,
                client_id=client.client_id,
                subject=grant.subject,
                signed_in_at=grant.signed_in_at,
                nonce=nonce,
                fhir_user=more.get("fhirUser", ""),
                access_token=body["access_token"],
                algorithm="ES256" if client.profile == "fapi2" else "RS256",
                now=exchange.now,
            )
        grant.last_used_at = exchange.now
        return body

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
