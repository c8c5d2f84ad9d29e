"""A migrated database with the world of the review desk in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.database import SessionMaker, create_engine, session_maker
from portal.kernel.migrations import upgrade
from tests.portal.reviews.world import World, build


@pytest.fixture
async def maker(tmp_path: Path) -> AsyncIterator[SessionMaker]:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'portal.sqlite3'}")
    await upgrade(engine)
    yield session_maker(engine)
    await engine.dispose()


@pytest.fixture
async def session(maker: SessionMaker) -> AsyncIterator[AsyncSession]:
    """One session whose work is rolled back when the test ends."""
    async with maker() as made:
        yield made
        await made.rollback()


@pytest.fixture
async def world(session: AsyncSession) -> World:
    return await build(session)
