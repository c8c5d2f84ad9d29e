"""The authorization server put together: one object that the composition root makes, starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.apps.models import Credential
from portal.kernel.clock import Clock
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.keyfile import read_or_create
from portal.oauth import feed as feeds
from portal.oauth import keys, replay, watch
from portal.oauth.authentication import METHODS, Authenticator, FetchKeys
from portal.oauth.authorization_server import Answer, Exchange, Server
from portal.oauth.clients import ClientKey, Clients
from portal.oauth.errors import OAuthFault
from portal.oauth.feed import Feed
from portal.oauth.incoming import Incoming
from portal.oauth.keys import KeyRing
from portal.oauth.replay import ReplayStore
from portal.oauth.tokens import AccessTokens

log = logging.getLogger(__name__)

__all__ = ["OAuth", "watch"]

ENVIRONMENTS = ("sandbox", "production")


async def _no_keys_by_url(_url: str) -> tuple[ClientKey, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class _Side:
    """What belongs to one Environment only."""

    environment: str
    issuer: str
    token_url: str
    authenticator: Authenticator
    server: Server


class OAuth:
    """The authorization server of both Environments.

    `feed`, `clients` and `tokens` are also what the gateway admits calls with. `keys_dir` holds the pepper of App secrets and the
    key that opens the signing keys.
    """

    def __init__(
        self,
        *,
        public_url: str,
        keys_dir: Path,
        engine: AsyncEngine,
        maker: SessionMaker,
        clock: Clock,
        fetch_keys: FetchKeys = _no_keys_by_url,
        tidy_every: float = 5.0,
    ) -> None:
        self.public_url, self.clock, self.maker, self._tidy_every = public_url, clock, maker, tidy_every
        self.vault_key = read_or_create(keys_dir / "signing")
        self.pepper = read_or_create(keys_dir / "pepper")
        self.feed = Feed(engine, maker)
        self.keys = KeyRing(maker, vault_key=self.vault_key, feed=self.feed)
        self.clients = Clients(maker, feed=self.feed)
        self.tokens = AccessTokens(public_url=public_url, keys=self.keys, feed=self.feed)
        self._used: dict[str, datetime] = {}
        self._tidier: asyncio.Task[None] | None = None
        shared = ReplayStore(engine)
        self.sides = {environment: self._side(environment, shared, fetch_keys) for environment in ENVIRONMENTS}

    def _side(self, environment: str, store: ReplayStore, fetch_keys: FetchKeys) -> _Side:
        issuer = self.tokens.issuer(environment)
        token_url = f"{issuer}/oauth/token"
        authenticator = Authenticator(
            environment,
            issuer=issuer,
            token_url=token_url,
            clients=self.clients,
            replay=store,
            pepper=self.pepper,
            fetch_keys=fetch_keys,
            used=self._used,
        )
        return _Side(environment, issuer, token_url, authenticator, Server(environment, self.tokens))

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
        async with self.maker() as session:
            answer = await session.run_sync(
                lambda inner: side.server.token(Exchange(incoming, authenticated, inner, now))
            )
            # Also when the grant refused: what it revoked for reuse must stay revoked.
            await session.commit()
        return answer

    async def jwks(self, environment: str) -> Mapping[str, Any]:
        """The current key set of `environment`: for the endpoint, and for exchanges in this process."""
        now = self.clock.now()
        await self.keys.freshen(now)
        return self.keys.jwks(environment, now)

    async def _tidy_forever(self) -> None:
        while True:
            await asyncio.sleep(self._tidy_every)
            try:
                await self._write_last_used()
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


def methods(environment: str) -> list[str]:
    """Client authentication methods that `environment`'s metadata announces."""
    return list(METHODS[environment])
