"""One exchange per database for the whole run; every test gets Tenants of its own over one shared base."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.factories import exchange, postgres
from tests.factories.exchange import World


@pytest_asyncio.fixture(scope="session", loop_scope="session", params=["sqlite", "postgresql"])
async def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """A running exchange, on SQLite and on PostgreSQL in turn."""
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("exchange") / "exchange.sqlite3"
        made = await exchange.start(f"sqlite+aiosqlite:///{path}")
        yield made
        await made.app.stop()
        return
    if not os.environ.get("GOZAR_TEST_POSTGRES_URL") and postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        made = await exchange.start(url)
        yield made
        await made.app.stop()
