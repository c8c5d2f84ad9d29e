"""Portal databases to test on: a copy of a migrated SQLite file, or of a migrated PostgreSQL database."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from portal.kernel.database import SessionMaker, create_engine, session_maker
from portal.kernel.migrations import upgrade
from tests.factories import postgres

TEMPLATE = "portal_empty"


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, also from a fixture that is set up while another event loop runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _database(url: str, verb: str) -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(verb))
    await engine.dispose()


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def portal_postgres() -> Iterator[str]:
    """A PostgreSQL server that holds a migrated, empty portal to copy from."""
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")

    async def migrate(url: str) -> None:
        engine = create_engine(url)
        await upgrade(engine)
        await engine.dispose()

    with postgres.server() as url:
        _run(_database(url, f"DROP DATABASE IF EXISTS {TEMPLATE}"))
        _run(_database(url, f"CREATE DATABASE {TEMPLATE}"))
        _run(migrate(_named(url, TEMPLATE)))
        yield url


@pytest.fixture
async def sqlite_maker(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[SessionMaker]:
    """Sessions on a migrated SQLite file."""
    shutil.copy(migrated_portal, tmp_path / "portal.sqlite3")
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'portal.sqlite3'}")
    yield session_maker(engine)
    await engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def both_makers(
    request: pytest.FixtureRequest, migrated_portal: Path, tmp_path: Path
) -> AsyncIterator[SessionMaker]:
    """Sessions on a migrated database: the test runs once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(migrated_portal, tmp_path / "portal.sqlite3")
        url = f"sqlite+aiosqlite:///{tmp_path / 'portal.sqlite3'}"
    else:
        server, name = request.getfixturevalue("portal_postgres"), f"portal_{uuid.uuid4().hex[:12]}"
        await _database(server, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        url = _named(server, name)
    engine = create_engine(url)
    yield session_maker(engine)
    await engine.dispose()
    if request.param == "postgres":
        await _database(server, f"DROP DATABASE {name}")
