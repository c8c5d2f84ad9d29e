"""The authorization request: read, judged, and turned into an Interaction that the person's browser goes through.

Until App and redirect URI are known to belong together, an error is shown and never redirected (RFC 9700 section 4.11). From
then on it goes back to the App with `state` and `iss` (RFC 9207).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode, urlsplit

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from portal.oauth import opaque, scopes
from portal.oauth.clients import ClientRecord, Clients
from portal.oauth.errors import OAuthFault, invalid_request
from portal.oauth.models import Interaction, Launch, PushedRequest

INTERACTION_LIFETIME = timedelta(minutes=15)
PUSHED_LIFETIME = timedelta(seconds=60)
PUSHED_PREFIX = "urn:ietf:params:oauth:request_uri:"
# RFC 7636 section 4.2: base64url of a SHA-256.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_LOOPBACK = re.compile(r"(?P<host>http://(?:127\.0\.0\.1|\[::1\]))(?::(?P<port>[0-9]{1,5}))?(?P<rest>/[!-~]*)")
_ALWAYS = (*scopes.OPENID, *scopes.LAUNCH, "online_access")


class RedirectedFault(Exception):
    """An error that the App hears of through its redirect URI."""

    def __init__(self, fault: OAuthFault, location: str) -> None:
        super().__init__(str(fault))
        self.fault, self.location = fault, location


@dataclass(frozen=True, slots=True)
class Accepted:
    """An authorization request that may go on to the person."""

    client: ClientRecord
    redirect_uri: str
    scopes: list[str]
    state: str | None
    nonce: str | None
    challenge: str
    thumbprint: str
    launch: Launch | None
    fresh_from: datetime | None = None
    """An older sign-in does not count."""


def redirects_to(uri: str, registered_uris: frozenset[str]) -> bool:
    """Whether `uri` is registered, character by character; on a loopback address the port is the App's affair.

    RFC 8252 section 7.3 and OAuth 2.1 section 8.4.2: a native App listens where the system finds it a port.
    """
    if uri in registered_uris:
        return True
    found = _LOOPBACK.fullmatch(uri)
    if found is None or len(uri) > 500 or not 0 < int(found["port"] or 80) < 65536:
        return False
    return any(
        known is not None and (known["host"], known["rest"]) == (found["host"], found["rest"])
        for known in map(_LOOPBACK.fullmatch, registered_uris)
    )


def fresh_from(parameters: dict[str, str], now: datetime) -> datetime | None:
    """Since when a sign-in must be to count (OpenID Connect Core section 3.1.2.1); raises `OAuthFault`."""
    prompts = parameters.get("prompt", "").split(" ")
    if "none" in prompts:
        if len(prompts) > 1:
            raise invalid_request("prompt=none stands alone")
        raise OAuthFault("interaction_required", "this server always asks the person; prompt=none cannot succeed")
    if "login" in prompts or "select_account" in prompts:
        return now
    age = parameters.get("max_age")
    if age is None:
        return None
    if not (age.isascii() and age.isdigit() and len(age) < 10):
        raise invalid_request("max_age must be a whole number of seconds")
    return now - timedelta(seconds=int(age))


def location(redirect_uri: str, issuer: str, state: str | None, **parameters: str) -> str:
    """`redirect_uri` with an authorization response in its query."""
    query = {**parameters, **({} if state is None else {"state": state}), "iss": issuer}
    return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{urlencode(query)}"


def registered(client: ClientRecord) -> tuple[str, ...]:
    """Scopes an App may ask a person for: its own, and those that ask for no data. Lasting access needs approval in production."""
    lasting = ("offline_access",) if client.environment == "sandbox" else ()
    return tuple(scope for scope in client.scopes if not scope.startswith("system/")) + _ALWAYS + lasting


class AuthorizationRequests:
    """Judges authorization requests of one Environment."""

    def __init__(self, environment: str, *, issuer: str, audience: str, clients: Clients) -> None:
        self._environment, self._issuer, self._audience, self._clients = environment, issuer, audience, clients

    async def accept(
        self, session: AsyncSession, parameters: dict[str, str], resources: list[str], now: datetime
    ) -> Accepted:
        """The request, checked; raises `OAuthFault` (to be shown) or `RedirectedFault`."""
        client = await self._client(parameters.get("client_id", ""))
        if "request" in parameters:
            raise OAuthFault("request_not_supported", "request objects are not supported; push the request instead")
        if "request_uri" in parameters:
            parameters, resources = await self._pushed(session, client, parameters["request_uri"], now)
        elif client.require_par or client.profile == "fapi2":
            raise invalid_request("this App must push its authorization requests (RFC 9126)")
        return await self.judge(session, client, parameters, resources, now)

    async def judge(
        self,
        session: AsyncSession,
        client: ClientRecord,
        parameters: dict[str, str],
        resources: list[str],
        now: datetime,
    ) -> Accepted:
        """Check parameters that came directly or were pushed."""
        redirect_uri = parameters.get("redirect_uri", "")
        if not redirects_to(redirect_uri, client.redirect_uris):
            raise invalid_request("redirect_uri is not, character by character, one that is registered for this App")
        state = parameters.get("state")
        try:
            return Accepted(
                client=client,
                redirect_uri=redirect_uri,
                challenge=self._check_protocol(client, parameters, resources),
                scopes=self._scopes(client, parameters),
                state=state,
                nonce=parameters.get("nonce"),
                thumbprint=self._thumbprint(parameters),
                launch=await self._launch(session, client, parameters, now),
                fresh_from=fresh_from(parameters, now),
            )
        except OAuthFault as fault:
            target = location(redirect_uri, self._issuer, state, **fault.body)
            raise RedirectedFault(fault, target) from fault

    async def _client(self, client_id: str) -> ClientRecord:
        client = await self._clients.get(client_id)
        if client is None or client.environment != self._environment:
            raise OAuthFault("invalid_client", "there is no App with this client_id here")
        return client

    def _check_protocol(self, client: ClientRecord, parameters: dict[str, str], resources: list[str]) -> str:
        if not client.admitted:
            raise OAuthFault("unauthorized_client", "the App is suspended")
        if not parameters.get("response_type"):
            raise invalid_request("response_type is missing")
        if parameters["response_type"] != "code":
            raise OAuthFault("unsupported_response_type", "response_type must be code")
        if parameters.get("response_mode", "query") != "query":
            raise invalid_request("response_mode must be query")
        if "registration" in parameters:
            raise OAuthFault("registration_not_supported", "Apps are registered in the portal")
        challenge = parameters.get("code_challenge", "")
        if not challenge or parameters.get("code_challenge_method") != "S256":
            raise invalid_request("PKCE is required: send code_challenge with code_challenge_method=S256")
        if not _CHALLENGE.fullmatch(challenge):
            raise invalid_request("code_challenge must be 43 characters of base64url")
        if any(resource != self._audience for resource in resources):
            raise OAuthFault("invalid_target", f"resource must be {self._audience}")
        audience = parameters.get("aud", "")
        if audience.rstrip("/") != self._audience and not (resources and not audience):
            raise invalid_request(f"aud must be {self._audience}")
        return challenge

    @staticmethod
    def _scopes(client: ClientRecord, parameters: dict[str, str]) -> list[str]:
        try:
            requested = scopes.split(parameters.get("scope", ""))
        except scopes.InvalidScope as error:
            raise OAuthFault("invalid_scope", str(error)) from error
        if not requested:
            raise OAuthFault("invalid_scope", "scope is missing")
        granted = scopes.grant_all(requested, registered(client))
        if not granted:
            raise OAuthFault("invalid_scope", "none of the requested scopes is known and granted to this App")
        return granted

    @staticmethod
    def _thumbprint(parameters: dict[str, str]) -> str:
        thumbprint = parameters.get("dpop_jkt", "")
        if thumbprint and not _CHALLENGE.fullmatch(thumbprint):
            raise invalid_request("dpop_jkt must be a SHA-256 JWK thumbprint")
        return thumbprint

    async def _launch(
        self, session: AsyncSession, client: ClientRecord, parameters: dict[str, str], now: datetime
    ) -> Launch | None:
        handle = parameters.get("launch", "")
        asks = "launch" in parameters.get("scope", "").split(" ")
        if not handle:
            if asks:
                raise invalid_request("the launch scope needs the launch parameter that the EHR gave")
            return None
        query = select(Launch).where(Launch.token_hash == opaque.digest(handle))
        launch = (await session.scalars(query)).one_or_none()
        if launch is None or launch.client_id != client.client_id or launch.expires_at <= now or launch.used_at:
            raise invalid_request("launch is unknown here, was meant for another App, was used before, or has expired")
        if launch.fault == "unknown_launch":
            raise invalid_request("launch is unknown here (a fault you chose in the simulator)")
        return launch

    async def _pushed(
        self, session: AsyncSession, client: ClientRecord, uri: str, now: datetime
    ) -> tuple[dict[str, str], list[str]]:
        handle = uri.removeprefix(PUSHED_PREFIX)
        row = (
            await session.execute(
                update(PushedRequest)
                .where(
                    PushedRequest.uri_hash == opaque.digest(handle),
                    PushedRequest.client_id == client.client_id,
                    PushedRequest.used_at.is_(None),
                    PushedRequest.expires_at > now,
                )
                .values(used_at=now)
                .returning(PushedRequest.parameters)
                .execution_options(synchronize_session=False)
            )
        ).scalar_one_or_none()
        if row is None or not uri.startswith(PUSHED_PREFIX):
            raise OAuthFault("invalid_request_uri", "request_uri is unknown, expired, used before, or another App's")
        parameters = dict(row)
        resources: list[str] = parameters.pop("resource", [])
        return parameters, resources

    async def push(
        self,
        session: AsyncSession,
        client: ClientRecord,
        parameters: dict[str, str],
        resources: list[str],
        *,
        thumbprint: str,
        now: datetime,
    ) -> dict[str, object]:
        """RFC 9126: check the request now, keep it for a minute; raises `OAuthFault`, never redirects."""
        if "request_uri" in parameters or "request" in parameters:
            raise invalid_request("request_uri and request cannot be pushed")
        kept = {name: value for name, value in parameters.items() if not name.startswith("client_")}
        if thumbprint:
            if kept.get("dpop_jkt", thumbprint) != thumbprint:
                raise invalid_request("dpop_jkt differs from the key of the DPoP proof")
            kept["dpop_jkt"] = thumbprint
        try:
            await self.judge(session, client, kept, resources, now)
        except RedirectedFault as redirected:
            raise redirected.fault from redirected
        handle = opaque.new_token(opaque.PUSHED)
        session.add(
            PushedRequest(
                uri_hash=opaque.digest(handle),
                client_id=client.client_id,
                parameters={**kept, "resource": resources},
                expires_at=now + PUSHED_LIFETIME,
            )
        )
        await session.flush()
        return {"request_uri": PUSHED_PREFIX + handle, "expires_in": int(PUSHED_LIFETIME.total_seconds())}

    async def begin(self, session: AsyncSession, accepted: Accepted, now: datetime) -> str:
        """Store what was accepted; returns the handle under which the person's browser continues."""
        handle = opaque.new_token(opaque.INTERACTION)
        session.add(
            Interaction(
                id_hash=opaque.digest(handle),
                environment=self._environment,
                client_id=accepted.client.client_id,
                redirect_uri=accepted.redirect_uri,
                scopes=accepted.scopes,
                state=accepted.state,
                nonce=accepted.nonce,
                challenge=accepted.challenge,
                thumbprint=accepted.thumbprint,
                launch_id=accepted.launch.id if accepted.launch else None,
                patient=accepted.launch.patient if accepted.launch else "",
                created_at=now,
                expires_at=now + INTERACTION_LIFETIME,
                fresh_from=accepted.fresh_from,
            )
        )
        await session.flush()
        return handle
