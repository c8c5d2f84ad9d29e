"""Fixtures of the authorization server's tests: migrated databases on SQLite and PostgreSQL."""

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
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from portal.kernel.database import SessionMaker, create_engine, session_maker
from portal.kernel.migrations import upgrade
from tests.factories import postgres


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, also from a fixture that is set up while another event loop runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _migrate(url: str) -> None:
    engine = create_engine(url)
    await upgrade(engine)
    await engine.dispose()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to copy from."""
    path = tmp_path_factory.mktemp("oauth") / "empty.sqlite3"
    _run(_migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server whose database `gozar_empty` is migrated, to copy from."""
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        _run(_create_database(url, "gozar_empty"))
        _run(_migrate(_named(url, "gozar_empty")))
        yield url


def _named(url: str, database: str) -> str:
    return make_url(url).set(database=database).render_as_string(hide_password=False)


async def _create_database(url: str, name: str, template: str = "template1") -> None:
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(f"DROP DATABASE IF EXISTS {name}"))
        await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    await engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def both_urls(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a fresh migrated database; the test runs once on SQLite, once on PostgreSQL."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "portal.sqlite3")
        return f"sqlite+aiosqlite:///{tmp_path / 'portal.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    name = f"gozar_{uuid.uuid4().hex[:12]}"
    await _create_database(url, name, "gozar_empty")
    return _named(url, name)


@pytest.fixture
async def both(both_urls: str) -> AsyncIterator[tuple[AsyncEngine, SessionMaker]]:
    """Engine and sessions on SQLite, then on PostgreSQL."""
    engine = create_engine(both_urls)
    yield engine, session_maker(engine)
    await engine.dispose()


@pytest.fixture
async def sqlite(migrated_file: Path, tmp_path: Path) -> AsyncIterator[tuple[AsyncEngine, SessionMaker]]:
    """Engine and sessions on a fresh migrated SQLite file."""
    shutil.copy(migrated_file, tmp_path / "portal.sqlite3")
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'portal.sqlite3'}")
    yield engine, session_maker(engine)
    await engine.dispose()
