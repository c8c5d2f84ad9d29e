"""An exchange whose base holds the Personas, on SQLite and on PostgreSQL in turn; each test works in Tenants of its own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import orjson
import pytest
import pytest_asyncio

from sandbox.workflows import personas
from tests.factories import exchange, postgres
from tests.factories.exchange import World


async def quiet(world: World) -> World:
    """Without its background loops: tests run timers and deliveries themselves."""
    assert world.app.workflows is not None
    await world.app.workflows.stop()
    return world


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sqlite", "postgresql"])
async def clinic(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A running exchange with Personas."""
    population = [orjson.dumps(resource) for resource in personas.resources()]
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("workflows") / "exchange.sqlite3"
        made = await exchange.start(f"sqlite+aiosqlite:///{path}", population=population)
        yield await quiet(made)
        await made.app.stop()
        return
    if not os.environ.get("GOZAR_TEST_POSTGRES_URL") and postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        made = await exchange.start(url, population=population)
        yield await quiet(made)
        await made.app.stop()
