"""An exchange whose base holds the Personas, on SQLite and on PostgreSQL; each test works in Tenants of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from sandbox.workflows import personas
from tests.factories import exchange, postgres
from tests.factories.exchange import World

Clinics = Callable[[str], Awaitable[World]]


async def opened(url: str) -> World:
    """An exchange with Personas, without its background loops: tests run timers and deliveries themselves."""
    made = await exchange.start(url, population=[orjson.dumps(resource) for resource in personas.resources()])
    assert made.app.workflows is not None
    await made.app.workflows.stop()
    return made


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def clinics(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Clinics]:
    """Each database's exchange, started once in a run, when it is first asked for."""
    worlds: dict[str, World] = {}
    folder: Path = tmp_path_factory.mktemp("workflows")
    with contextlib.ExitStack() as servers:

        async def world(kind: str) -> World:
            if kind not in worlds:
                on_file = kind == "sqlite"
                url = f"sqlite+aiosqlite:///{folder}/x.sqlite3" if on_file else servers.enter_context(postgres.server())
                worlds[kind] = await opened(url)
            return worlds[kind]

        yield world
        for made in worlds.values():
            await made.app.stop()


@pytest_asyncio.fixture(loop_scope="session", params=["sqlite", "postgresql"])
async def clinic(request: pytest.FixtureRequest, clinics: Clinics) -> World:
    """A running exchange with Personas."""
    kind = str(request.param)
    if kind == "postgresql" and not os.environ.get("GOZAR_TEST_POSTGRES_URL") and postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    return await clinics(kind)
