"""The revocation feed: what changed about Apps, grants, tokens and keys, on every worker within a second.

`publish` writes an event in the caller's transaction, so that a decision and its announcement stand or fall together. A `Feed`
brings committed events to its subscribers three ways: at once when the commit happened in this process, by NOTIFY on PostgreSQL,
and by reading the table every 250 ms, which alone is enough. NOTIFY is a hint, the table is the truth.

Kinds in use: `app` (key: client id, epoch of its AppEnvironment), `apps` (key: App id), `company`, `subscription` (key: client id),
`plan`, `grant` (key: DataAccessGrant id), `token` (key: jti), `key` (key: kid, removed in an emergency), `environment` (key: its name,
epoch: Unix seconds before which no token is honoured). Key `*` means: forget all of that kind.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, event, func, insert, or_, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from portal.kernel.database import PortalSession, SessionMaker
from portal.oauth.models import FeedEvent

log = logging.getLogger(__name__)

CHANNEL = "gozar_feed"
# Sequence numbers are given at insert but seen at commit; one that is missing may still appear for this long.
GAP_PATIENCE = 120.0
_PENDING = "feed.pending"
_FEED = "feed"


@dataclass(frozen=True, slots=True)
class Event:
    """One change. `epoch` only rises for a given kind and key."""

    sequence: int
    kind: str
    key: str
    epoch: int


async def publish(session: AsyncSession, kind: str, key: str, epoch: int = 0) -> None:
    """Announce a change in the caller's transaction; subscribers hear of it once that has committed."""
    await session.run_sync(publish_sync, kind, key, epoch)


def publish_sync(session: Session, kind: str, key: str, epoch: int = 0) -> None:
    """`publish`, for code that already runs inside the session (event hooks, `run_sync`)."""
    sequence = session.execute(
        insert(FeedEvent).values(kind=kind, key=key, epoch=epoch).returning(FeedEvent.sequence),
        execution_options={"feed": True},
    ).scalar_one()
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_notify(:channel, :number)"), {"channel": CHANNEL, "number": str(sequence)})
    session.info.setdefault(_PENDING, []).append(Event(sequence, kind, key, epoch))


@event.listens_for(PortalSession, "after_commit")
def _deliver(session: Session) -> None:
    pending: list[Event] = session.info.pop(_PENDING, [])
    feed: Feed | None = session.info.get(_FEED)
    if feed is not None:
        for each in pending:
            feed.accept(each)


@event.listens_for(PortalSession, "after_soft_rollback")
def _forget(session: Session, _previous: object) -> None:
    session.info.pop(_PENDING, None)


class Feed:
    """This process's view of the feed. Make one for each worker, `start` it with the server and `stop` it at the end."""

    def __init__(
        self,
        engine: AsyncEngine,
        maker: SessionMaker,
        *,
        interval: float = 0.25,
        stale_after: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._interval, self._stale_after, self._monotonic = engine, interval, stale_after, monotonic
        self._subscribers: list[Callable[[Event], None]] = []
        self._snapshot: dict[tuple[str, str], int] = {}
        self._sequence = 0
        self._gaps: dict[int, float] = {}
        self._seen_at = float("-inf")
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._reading = asyncio.Lock()
        self._listener: AsyncConnection | None = None
        maker.configure(info={_FEED: self})

    @property
    def snapshot(self) -> dict[tuple[str, str], int]:
        """Highest epoch of every (kind, key) that the retained feed mentions. Read only."""
        return self._snapshot

    @property
    def sequence(self) -> int:
        """Highest sequence number seen."""
        return self._sequence

    @property
    def stale(self) -> bool:
        """Whether the table has not been read for longer than `stale_after` seconds: what is cached may be out of date."""
        return self._monotonic() - self._seen_at > self._stale_after

    def epoch(self, kind: str, key: str) -> int:
        """Highest epoch announced for `kind` and `key`, or 0."""
        return self._snapshot.get((kind, key), 0)

    def announced(self, kind: str, key: str) -> bool:
        """Whether the feed mentions `kind` and `key` at all."""
        return (kind, key) in self._snapshot

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call `callback` with every event from now on (possibly twice); returns what ends the subscription."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def accept(self, each: Event) -> None:
        """Take one committed event. An event of another worker with a lower number may still be on its way: it becomes a gap."""
        self._note(each.sequence)
        identity = (each.kind, each.key)
        self._snapshot[identity] = max(each.epoch, self._snapshot.get(identity, 0))
        for callback in tuple(self._subscribers):
            try:
                callback(each)
            except Exception:
                # One deaf subscriber must not keep a revocation from the others.
                log.exception("a feed subscriber failed", extra={"kind": each.kind, "sequence": each.sequence})

    def _note(self, sequence: int) -> None:
        if sequence <= self._sequence:
            self._gaps.pop(sequence, None)
            return
        until = self._monotonic() + GAP_PATIENCE
        for missing in range(max(self._sequence + 1, sequence - 1000), sequence):
            self._gaps[missing] = until
        self._sequence = sequence

    async def read(self) -> int:
        """Read what the table has that this process has not; returns how many events that was."""
        async with self._reading:
            started = self._monotonic()
            self._gaps = {number: until for number, until in self._gaps.items() if until > started}
            wanted = FeedEvent.sequence > self._sequence
            if self._gaps:
                wanted = or_(wanted, FeedEvent.sequence.in_(list(self._gaps)))
            query = select(FeedEvent.sequence, FeedEvent.kind, FeedEvent.key, FeedEvent.epoch).where(wanted)
            async with self._engine.connect() as connection:
                rows = (await connection.execute(query.order_by(FeedEvent.sequence))).all()
            for row in rows:
                self.accept(Event(*row))
            self._seen_at = started
            return len(rows)

    async def start(self) -> None:
        """Read the whole retained feed, then keep reading until `stop`."""
        async with self._engine.connect() as connection:
            lowest = (await connection.execute(select(func.min(FeedEvent.sequence)))).scalar()
        self._sequence = (lowest or 1) - 1
        await self.read()
        self._task = asyncio.create_task(self._run(), name="revocation feed")

    async def stop(self) -> None:
        """End the reading; safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        await self._stop_listening()

    async def _run(self) -> None:
        while True:
            try:
                if self._listener is None and self._engine.dialect.name == "postgresql":
                    await self._listen()
                await self.read()
            except (SQLAlchemyError, OSError):
                log.warning("the revocation feed could not be read", exc_info=True)
                await self._stop_listening()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)
            self._wake.clear()

    async def _listen(self) -> None:
        connection = await self._engine.connect()
        self._listener = await connection.execution_options(isolation_level="AUTOCOMMIT")
        driver: Any = (await self._listener.get_raw_connection()).driver_connection
        await driver.add_listener(CHANNEL, lambda *_: self._wake.set())
        driver.add_termination_listener(lambda *_: setattr(self, "_listener", None))

    async def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(SQLAlchemyError, OSError):
                # Not back to the pool: it still listens.
                await listener.invalidate()
                await listener.close()


async def prune(session: AsyncSession, *, before: datetime) -> None:
    """Delete events older than `before`; keep at least the longest token lifetime (an hour is ample)."""
    await session.execute(delete(FeedEvent).where(FeedEvent.at < before))
