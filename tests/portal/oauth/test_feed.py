"""The revocation feed."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.kernel.database import SessionMaker, create_engine, session_maker, transaction
from portal.oauth.feed import Event, Feed, prune, publish
from portal.oauth.models import FeedEvent

Database = tuple[AsyncEngine, SessionMaker]


async def _until(condition, seconds: float = 1.0) -> float:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise AssertionError("did not happen in time")
        await asyncio.sleep(0.005)
    return time.monotonic() - started


async def test_committed_event_reaches_its_own_process_at_once(sqlite: Database) -> None:
    engine, maker = sqlite
    feed = Feed(engine, maker)
    heard: list[Event] = []
    feed.subscribe(heard.append)
    async with transaction(maker) as session:
        await publish(session, "app", "client-1", 7)
        assert heard == []
    assert [(event.kind, event.key, event.epoch) for event in heard] == [("app", "client-1", 7)]
    assert feed.epoch("app", "client-1") == 7


async def test_rolled_back_event_is_never_heard(sqlite: Database) -> None:
    engine, maker = sqlite
    feed = Feed(engine, maker)
    with pytest.raises(RuntimeError):
        async with transaction(maker) as session:
            await publish(session, "token", "jti-1")
            raise RuntimeError
    await feed.read()
    assert not feed.announced("token", "jti-1")


async def test_event_reaches_another_worker_within_a_second(both_urls: str) -> None:
    ours, theirs = create_engine(both_urls), create_engine(both_urls)
    maker = session_maker(ours)
    listener = Feed(theirs, session_maker(theirs))
    await listener.start()
    try:
        await asyncio.sleep(0.05)
        async with transaction(maker) as session:
            await publish(session, "app", "client-1", 3)
        assert await _until(lambda: listener.epoch("app", "client-1") == 3) < 1.0
        assert not listener.stale
    finally:
        await listener.stop()
        await ours.dispose()
        await theirs.dispose()


async def test_start_takes_the_retained_feed_with_the_highest_epoch_of_each_key(both: Database) -> None:
    engine, maker = both
    async with transaction(maker) as session:
        for epoch in (2, 5, 4):
            await publish(session, "app", "client-1", epoch)
        await publish(session, "grant", "grant-1", 1)
    feed = Feed(engine, maker)
    await feed.start()
    await feed.stop()
    assert feed.epoch("app", "client-1") == 5
    assert feed.epoch("grant", "grant-1") == 1


async def test_event_that_commits_after_a_later_number_is_not_lost(sqlite: Database) -> None:
    engine, maker = sqlite
    feed = Feed(engine, maker)
    async with transaction(maker) as session:
        await session.execute(insert(FeedEvent).values(sequence=12, kind="app", key="later", epoch=1))
    await feed.read()
    async with transaction(maker) as session:
        await session.execute(insert(FeedEvent).values(sequence=11, kind="app", key="earlier", epoch=1))
    await feed.read()
    assert feed.announced("app", "later")
    assert feed.announced("app", "earlier")


async def test_feed_that_cannot_be_read_is_stale(sqlite: Database) -> None:
    engine, maker = sqlite
    moment = 100.0
    feed = Feed(engine, maker, monotonic=lambda: moment)
    assert feed.stale
    await feed.read()
    assert not feed.stale
    moment += 1.5
    assert feed.stale


async def test_one_failing_subscriber_does_not_keep_the_event_from_another(sqlite: Database) -> None:
    engine, maker = sqlite
    feed = Feed(engine, maker)
    heard: list[Event] = []

    def broken(_: Event) -> None:
        raise ValueError

    feed.subscribe(broken)
    feed.subscribe(heard.append)
    async with transaction(maker) as session:
        await publish(session, "key", "kid-1")
    assert len(heard) == 1


async def test_pruning_removes_only_old_events(both: Database) -> None:
    _, maker = both
    async with transaction(maker) as session:
        await session.execute(
            insert(FeedEvent).values(kind="app", key="old", epoch=1, at=datetime.now(UTC) - timedelta(hours=3))
        )
        await publish(session, "app", "new", 1)
    async with transaction(maker) as session:
        await prune(session, before=datetime.now(UTC) - timedelta(hours=2))
    feed = Feed(both[0], maker)
    await feed.read()
    assert feed.announced("app", "new")
    assert not feed.announced("app", "old")
