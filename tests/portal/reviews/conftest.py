"""A migrated database with the world of the review desk in it, on both databases: the two-person rules live in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.database import SessionMaker
from tests.portal.reviews.world import World, build


@pytest.fixture
def maker(both_makers: SessionMaker) -> SessionMaker:
    return both_makers


@pytest.fixture
async def session(maker: SessionMaker) -> AsyncIterator[AsyncSession]:
    """One session whose work is rolled back when the test ends."""
    async with maker() as made:
        yield made
        await made.rollback()


@pytest.fixture
async def world(session: AsyncSession) -> World:
    return await build(session)
