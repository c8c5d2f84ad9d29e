"""The authorization server put together: one object that the composition root makes, starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.apps.models import Credential
from portal.kernel.clock import Clock
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.keyfile import read_or_create
from portal.oauth import addresses, dpop, keys, leaks, replay, watch
from portal.oauth import feed as feeds
from portal.oauth.authentication import Authenticated, Authenticator, FetchKeys
from portal.oauth.authorization_server import STATEFUL, Answer, Exchange, Server
from portal.oauth.authorize import AuthorizationRequests, RedirectedFault
from portal.oauth.clients import ClientRecord, Clients
from portal.oauth.errors import OAuthFault, invalid_client, invalid_token, token_missing
from portal.oauth.failures import FailedAttempts, FailureStore
from portal.oauth.feed import Feed
from portal.oauth.identity import IdentityProvider
from portal.oauth.incoming import Incoming
from portal.oauth.inspection import Inspection
from portal.oauth.keys import KeyRing
from portal.oauth.remote_keys import RemoteKeys
from portal.oauth.replay import ReplayStore
from portal.oauth.tokens import AccessTokens, TokenRefused

log = logging.getLogger(__name__)

__all__ = ["OAuth", "watch"]

ENVIRONMENTS = ("sandbox", "production")
# Last-used times are written every round, what has expired is deleted every so many.
TIDY_ROUNDS = 60


@dataclass(frozen=True, slots=True)
class _Side:
    """What belongs to one Environment only."""

    environment: str
    issuer: str
    token_url: str
    authenticator: Authenticator
    server: Server
    requests: AuthorizationRequests
    inspection: Inspection


class OAuth:
    """The authorization server of both Environments.

    `feed`, `clients` and `tokens` are also what the gateway admits calls with. `keys_dir` holds the pepper of App secrets and the
    key that opens the signing keys. In the Environments of `personas` one signs in by picking a synthetic person,
    in those of `identity` at that provider.
    """

    def __init__(
        self,
        *,
        public_url: str,
        keys_dir: Path,
        engine: AsyncEngine,
        maker: SessionMaker,
        clock: Clock,
        fetch_keys: FetchKeys | None = None,
        personas: Collection[str] = ("sandbox",),
        identity: Mapping[str, IdentityProvider] | None = None,
        tidy_every: float = 5.0,
        failures: FailureStore | None = None,
    ) -> None:
        self.public_url, self.clock, self.maker, self._tidy_every = public_url, clock, maker, tidy_every
        self.personas = frozenset(personas)
        self.identity = dict(identity or {})
        self.vault_key = read_or_create(keys_dir / "signing")
        self.pepper = read_or_create(keys_dir / "pepper")
        self.feed = Feed(engine, maker)
        self.keys = KeyRing(maker, vault_key=self.vault_key, feed=self.feed)
        self.clients = Clients(maker, feed=self.feed)
        self.tokens = AccessTokens(public_url=public_url, keys=self.keys, feed=self.feed)
        self.failures = FailedAttempts(failures)
        self._used: dict[str, datetime] = {}
        self._tidier: asyncio.Task[None] | None = None
        self.replay = ReplayStore(engine)
        fetch = fetch_keys or RemoteKeys(addresses.fetch, clock)
        self.sides = {environment: self._side(environment, fetch) for environment in ENVIRONMENTS}

    def _side(self, environment: str, fetch_keys: FetchKeys) -> _Side:
        issuer = self.tokens.issuer(environment)
        token_url = f"{issuer}/oauth/token"
        authenticator = Authenticator(
            environment,
            issuer=issuer,
            token_url=token_url,
            clients=self.clients,
            replay=self.replay,
            pepper=self.pepper,
            fetch_keys=fetch_keys,
            used=self._used,
            failures=self.failures,
        )
        refresh_key = hmac.digest(self.vault_key, f"refresh|{environment}".encode(), "sha256")
        return _Side(
            environment,
            issuer,
            token_url,
            authenticator,
            Server(environment, self.tokens, refresh_key=refresh_key),
            AuthorizationRequests(
                environment, issuer=issuer, audience=self.tokens.audience(environment), clients=self.clients
            ),
            Inspection(environment, tokens=self.tokens, clients=self.clients),
        )

    async def start(self) -> None:
        """Make missing signing keys, read the feed, begin to follow it."""
        await self.keys.load(ENVIRONMENTS, self.clock.now())
        await self.feed.start()
        self._tidier = asyncio.create_task(self._tidy_forever(), name="authorization server housekeeping")

    async def stop(self) -> None:
        """End what `start` began and write down what is still in memory."""
        if self._tidier is not None:
            self._tidier.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._tidier
            self._tidier = None
            await self._write_last_used()
        await self.feed.stop()

    async def token(self, environment: str, incoming: Incoming) -> Answer:
        """Answer the token endpoint; raises `OAuthFault`."""
        side, now = self.sides[environment], self.clock.now()
        grant_type = incoming.get("grant_type")
        if not grant_type:
            raise OAuthFault("invalid_request", "grant_type is missing")
        authenticated = await side.authenticator.authenticate(incoming, now)
        if grant_type not in side.server.grant_types:
            raise OAuthFault("unsupported_grant_type", "this server does not know that grant type")
        if any(resource != self.tokens.audience(environment) for resource in incoming.repeated.get("resource", ())):
            raise OAuthFault("invalid_target", f"resource must be {self.tokens.audience(environment)}")
        thumbprint = await self._proven_key(side.token_url, incoming, authenticated, now)
        if grant_type not in STATEFUL:
            return side.server.token(Exchange(incoming, authenticated, now, thumbprint))
        async with self.maker() as session:
            answer = await session.run_sync(
                lambda inner: side.server.token(Exchange(incoming, authenticated, now, thumbprint, inner))
            )
            # Also when the grant refused: what it revoked for reuse must stay revoked.
            await session.commit()
        return answer

    async def _proven_key(self, url: str, incoming: Incoming, authenticated: Authenticated, now: datetime) -> str:
        """Thumbprint of the DPoP key the request proves, or empty; raises `OAuthFault`."""
        proof = incoming.headers.get("dpop", "")
        if not proof:
            client = authenticated.client
            if client.require_dpop or client.profile == "fapi2":
                raise dpop.invalid_proof("this App must send a DPoP proof (RFC 9449)")
            return ""
        checked = dpop.check(proof, method="POST", url=url, now=now)
        ends = datetime.fromtimestamp(checked.issued_at + dpop.PAST + dpop.FUTURE, UTC)
        if not await self.replay.use(checked.thumbprint, checked.jti, ends):
            raise dpop.invalid_proof("the DPoP proof was used before")
        return checked.thumbprint

    async def push(self, environment: str, incoming: Incoming) -> Answer:
        """RFC 9126; raises `OAuthFault`."""
        side, now = self.sides[environment], self.clock.now()
        authenticated = await side.authenticator.authenticate(incoming, now)
        proof = incoming.headers.get("dpop", "")
        thumbprint = await self._proven_key(f"{side.issuer}/oauth/par", incoming, authenticated, now) if proof else ""
        async with transaction(self.maker) as session:
            body = await side.requests.push(
                session,
                authenticated.client,
                incoming.form,
                incoming.repeated.get("resource", []),
                thumbprint=thumbprint,
                now=now,
            )
        return Answer(201, body)

    async def authorize(self, environment: str, parameters: dict[str, str], resources: list[str]) -> str:
        """Where the browser goes with an authorization request: on to the person, or back to the App with an error.

        Raises `OAuthFault` for what must be shown instead.
        """
        side, now = self.sides[environment], self.clock.now()
        try:
            async with transaction(self.maker) as session:
                accepted = await side.requests.accept(session, parameters, resources, now)
                handle = await side.requests.begin(session, accepted, now)
        except RedirectedFault as redirected:
            return redirected.location
        english = parameters.get("ui_locales", "").split(" ")[0].lower().startswith("en")
        return f"{self.public_url}{'/en' if english else ''}/{environment}/oauth/interaction/{handle}"

    async def introspect(self, environment: str, incoming: Incoming) -> Answer:
        """RFC 7662, for Apps that authenticate as at the token endpoint or, as SMART asks, with an access token."""
        side, now = self.sides[environment], self.clock.now()
        caller = await self._introspecting(side, incoming, now)
        if not incoming.get("token"):
            raise OAuthFault("invalid_request", "token is missing")
        async with self.maker() as session:
            return Answer(200, await side.inspection.introspect(session, incoming.get("token"), caller, now))

    async def _introspecting(self, side: _Side, incoming: Incoming, now: datetime) -> ClientRecord:
        scheme, _, credential = incoming.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            authenticated = await side.authenticator.authenticate(incoming, now)
            if authenticated.method == "none":
                raise invalid_client("a public App introspects with an access token")
            return authenticated.client
        return await self._bearer(side, credential.strip(), now)

    async def _bearer(self, side: _Side, credential: str, now: datetime) -> ClientRecord:
        try:
            token = await self.tokens.verify(credential, side.environment, now)
        except TokenRefused as error:
            raise invalid_token(str(error)) from error
        client = await self.clients.get(token.client_id)
        if client is None or not client.admitted or token.key_thumbprint:
            raise invalid_token("the access token gives no access here")
        return client

    async def revoke(self, environment: str, incoming: Incoming) -> Answer:
        """RFC 7009."""
        side, now = self.sides[environment], self.clock.now()
        authenticated = await side.authenticator.authenticate(incoming, now)
        if not incoming.get("token"):
            raise OAuthFault("invalid_request", "token is missing")
        async with transaction(self.maker) as session:
            await side.inspection.revoke(session, incoming.get("token"), authenticated.client, now)
        return Answer(200, {})

    async def userinfo(self, environment: str, authorization: str) -> Answer:
        """OpenID Connect UserInfo: `sub`, and `fhirUser` when granted; needs an access token with `openid`."""
        side, now = self.sides[environment], self.clock.now()
        scheme, _, credential = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise token_missing()
        await self._bearer(side, credential.strip(), now)
        token = await self.tokens.verify(credential.strip(), environment, now)
        if "openid" not in token.scopes:
            raise OAuthFault("insufficient_scope", "the access token has no openid scope", status=403)
        more = {"fhirUser": token.fhir_user} if token.fhir_user else {}
        return Answer(200, {"sub": token.subject, **more})

    async def bearer_of(self, environment: str, authorization: str) -> ClientRecord | None:
        """The App that an access token was made for; None when the token is not ours or not good any more."""
        try:
            return await self._bearer(
                self.sides[environment], authorization.partition(" ")[2].strip(), self.clock.now()
            )
        except OAuthFault:
            return None

    async def report_leak(self, incoming: Incoming) -> Answer:
        """Revoke secrets that were found in the open; anybody may report, and learns nothing by it."""
        found = incoming.get("secret").split()
        if not found or len(found) > leaks.MAX_REPORTED:
            raise OAuthFault("invalid_request", f"send 1 to {leaks.MAX_REPORTED} secrets, separated by spaces")
        async with transaction(self.maker) as session:
            wellformed = await leaks.report(
                session, found, pepper=self.pepper, where=incoming.get("where"), now=self.clock.now()
            )
        return Answer(202, {"received": len(found), "well_formed": wellformed})

    async def jwks(self, environment: str) -> Mapping[str, Any]:
        """The current key set of `environment`: for the endpoint, and for exchanges in this process."""
        now = self.clock.now()
        await self.keys.freshen(now)
        return self.keys.jwks(environment, now)

    async def _tidy_forever(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(self._tidy_every)
            rounds += 1
            try:
                await self._write_last_used()
                if rounds % TIDY_ROUNDS == 0:
                    await self.tidy()
            except (SQLAlchemyError, OSError):
                log.warning("housekeeping of the authorization server failed; it is tried again", exc_info=True)

    async def tidy(self) -> None:
        """Delete what has expired and rotate signing keys that are due."""
        now = self.clock.now()
        async with transaction(self.maker) as session:
            await replay.prune(session, now=now)
            await feeds.prune(session, before=now - timedelta(hours=2))
            await keys.rotate_due(session, ENVIRONMENTS, vault_key=self.vault_key, now=now)

    async def _write_last_used(self) -> None:
        if not self._used:
            return
        used = dict(self._used)
        self._used.clear()
        async with transaction(self.maker) as session:
            for credential_id, moment in used.items():
                await session.execute(
                    update(Credential).where(Credential.id == credential_id).values(last_used_at=moment)
                )
