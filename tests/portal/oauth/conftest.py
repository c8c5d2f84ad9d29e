"""Fixtures of the authorization server's tests: migrated databases on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient, Response
from litestar import Litestar
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from portal.kernel.clock import FixedClock
from portal.kernel.database import SessionMaker, create_engine, session_maker
from portal.kernel.migrations import upgrade
from portal.oauth.api import routes
from portal.oauth.service import OAuth
from tests.factories import postgres
from tests.factories.oauth import NOW, MadeApp, make_app, oauth_over


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


@dataclass(slots=True)
class World:
    """An authorization server over a fresh database, a client of it, and the clock it reads."""

    oauth: OAuth
    maker: SessionMaker
    clock: FixedClock
    http: AsyncClient
    folder: Path

    async def app(self, **options: Any) -> MadeApp:
        return await make_app(self.maker, pepper=self.oauth.pepper, now=self.clock.now(), **options)

    async def token(self, form: dict[str, str], environment: str = "sandbox", **headers: str) -> Response:
        return await self.http.post(f"/{environment}/oauth/token", data=form, headers=headers)

    async def client_token(self, app: MadeApp, scope: str = "system/Patient.rs", environment: str = "sandbox") -> str:
        answer = await self.token({"grant_type": "client_credentials", "scope": scope}, environment, **app.basic)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@asynccontextmanager
async def world_over(engine: AsyncEngine, maker: SessionMaker, folder: Path, **options: Any) -> AsyncIterator[World]:
    clock = FixedClock(NOW)
    oauth = oauth_over(engine, maker, folder, clock, **options)
    await oauth.start()
    app = Litestar(route_handlers=routes(oauth), debug=False)
    try:
        async with AsyncClient(transport=ASGITransport(app), base_url="https://gozar.test") as http:
            yield World(oauth, maker, clock, http, folder)
    finally:
        await oauth.stop()


@pytest.fixture
async def world(sqlite: tuple[AsyncEngine, SessionMaker], tmp_path: Path) -> AsyncIterator[World]:
    """The authorization server on SQLite."""
    async with world_over(*sqlite, tmp_path) as made:
        yield made


@pytest.fixture
async def both_worlds(both: tuple[AsyncEngine, SessionMaker], tmp_path: Path) -> AsyncIterator[World]:
    """The authorization server on SQLite, then on PostgreSQL."""
    async with world_over(*both, tmp_path) as made:
        yield made
