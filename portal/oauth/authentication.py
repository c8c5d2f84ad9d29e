"""Who asks: client authentication at the token, PAR, revocation and introspection endpoints.

Unknown App, wrong secret, wrong key and foreign Environment look the same from outside.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from portal.apps import secrets
from portal.oauth import assertions
from portal.oauth.clients import ClientKey, ClientRecord, Clients
from portal.oauth.errors import OAuthFault, invalid_client, invalid_request
from portal.oauth.failures import FailedAttempts
from portal.oauth.incoming import Incoming, basic_credentials
from portal.oauth.replay import ReplayStore

METHODS = {
    "sandbox": ("private_key_jwt", "client_secret_basic", "client_secret_post", "none"),
    "production": ("private_key_jwt", "none"),
}
# Takes the registered URL and the kid that is looked for.
FetchKeys = Callable[[str, str], Awaitable[tuple[ClientKey, ...]]]


@dataclass(frozen=True, slots=True)
class Authenticated:
    """An App that proved itself, and how; `none` for a public App, which only named itself."""

    client: ClientRecord
    method: str


@dataclass(slots=True)
class _Claim:
    """Who a caller says it is, as far as it has been read."""

    client_id: str


class Authenticator:
    """Authenticates Apps of one Environment."""

    def __init__(
        self,
        environment: str,
        *,
        issuer: str,
        token_url: str,
        clients: Clients,
        replay: ReplayStore,
        pepper: bytes,
        fetch_keys: FetchKeys,
        used: dict[str, datetime],
        failures: FailedAttempts,
    ) -> None:
        self._environment, self._issuer, self._token_url = environment, issuer, token_url
        self._clients, self._replay, self._pepper, self._fetch, self._used = clients, replay, pepper, fetch_keys, used
        self._failures = failures

    async def authenticate(self, incoming: Incoming, now: datetime) -> Authenticated:
        """The App that sent `incoming`; raises `OAuthFault`, with 429 where it has failed too often."""
        claimed = _Claim("")
        try:
            found = await self._identify(incoming, claimed, now)
        except OAuthFault as fault:
            if fault.error == "invalid_client":
                if not claimed.client_id:
                    self._failures.check(incoming.address, "", now)
                await self._failures.failed(incoming.address, claimed.client_id, now)
            raise
        client_id = found.client.client_id
        if found.method != "none" and self._failures.succeeded(incoming.address, client_id, now):
            await self._failures.forget(incoming.address, client_id)
        return found

    async def _identify(self, incoming: Incoming, claimed: _Claim, now: datetime) -> Authenticated:
        basic = basic_credentials(incoming.headers.get("authorization", ""))
        assertion = incoming.get("client_assertion")
        ways = (basic is not None) + bool(incoming.get("client_secret")) + bool(assertion)
        if ways > 1:
            raise invalid_request("the request uses more than one way of client authentication")
        if assertion or incoming.get("client_assertion_type"):
            found = await self._by_assertion(incoming, assertion, claimed, now)
        elif basic is not None:
            if incoming.get("client_id") not in ("", basic[0]):
                raise invalid_request("client_id differs from the Authorization header")
            self._claim(incoming, claimed, basic[0], now)
            found = await self._by_secret(basic[0], basic[1], "client_secret_basic", now)
        else:
            client_id, secret = incoming.get("client_id"), incoming.get("client_secret")
            self._claim(incoming, claimed, client_id, now)
            if secret:
                found = await self._by_secret(client_id, secret, "client_secret_post", now)
            else:
                found = await self._public(client_id)
        if not found.client.admitted:
            raise invalid_client("the App is suspended")
        return found

    def _claim(self, incoming: Incoming, claimed: _Claim, client_id: str, now: datetime) -> None:
        """Note who the caller says it is; refuse it where that App has failed too often from there."""
        claimed.client_id = client_id
        self._failures.check(incoming.address, client_id, now)

    async def _client(self, client_id: str) -> ClientRecord:
        record = await self._clients.get(client_id)
        if record is None or record.environment != self._environment:
            raise invalid_client()
        return record

    async def _by_secret(self, client_id: str, secret: str, method: str, now: datetime) -> Authenticated:
        client = await self._client(client_id)
        given = secrets.digest(secret, self._pepper)
        for known in client.secrets:
            if hmac.compare_digest(known.digest, given) and (known.expires_at is None or known.expires_at > now):
                if not client.secret_allowed:
                    raise invalid_client("this App must authenticate with private_key_jwt")
                self._used[known.credential_id] = now
                return Authenticated(client, method)
        raise invalid_client()

    async def _by_assertion(self, incoming: Incoming, assertion: str, claimed: _Claim, now: datetime) -> Authenticated:
        if incoming.get("client_assertion_type") != assertions.TYPE or not assertion:
            raise invalid_request(f"client_assertion needs client_assertion_type {assertions.TYPE}")
        jws = assertions.read(assertion)
        client_id = assertions.claimed_client(jws)
        if incoming.get("client_id") not in ("", client_id):
            raise invalid_request("client_id differs from the client assertion")
        self._claim(incoming, claimed, client_id, now)
        client = await self._client(client_id)
        keys: list[ClientKey] = []
        kid = str(jws.header.get("kid", ""))
        for credential in client.keys:
            if credential.expires_at is None or credential.expires_at > now:
                self._refuse_foreign_url(jws.header.get("jku"), credential.url)
                keys += await self._fetch(credential.url, kid) if credential.url else credential.keys
                self._used[credential.credential_id] = now
        verified = assertions.check(
            jws,
            client_id=client_id,
            keys=keys,
            profile=client.profile,
            issuer=self._issuer,
            token_url=self._token_url,
            now=now,
        )
        if not await self._replay.use(client_id, verified.jti, verified.expires_at):
            raise invalid_client("jti of the client assertion was used before")
        return Authenticated(client, "private_key_jwt")

    @staticmethod
    def _refuse_foreign_url(jku: object, registered: str) -> None:
        if jku is not None and jku != registered:
            raise invalid_client("jku of the client assertion is not the registered URL")

    async def _public(self, client_id: str) -> Authenticated:
        if not client_id:
            raise invalid_client("client authentication is missing")
        client = await self._client(client_id)
        if not client.public:
            raise invalid_client()
        return Authenticated(client, "none")
