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
from urllib.parse import parse_qsl, urlsplit

import pytest
from httpx import ASGITransport, AsyncClient, Response
from litestar import Litestar
from litestar import Response as LitestarResponse
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from portal.kernel.clock import FixedClock
from portal.kernel.database import SessionMaker, create_engine, session_maker, transaction
from portal.kernel.errors import DomainError
from portal.kernel.migrations import upgrade
from portal.oauth import interactions
from portal.oauth.api import routes
from portal.oauth.interactions import Person
from portal.oauth.service import OAuth
from tests.factories import postgres
from tests.factories.oauth import NOW, MadeApp, authorization_form, code_form, make_app, oauth_over


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, also from a fixture that is set up while another event loop runs."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


async def _migrate(url: str, folder: Path) -> None:
    """Migrate, and make the signing keys that every test would otherwise make anew (RSA takes its time)."""
    engine = create_engine(url)
    await upgrade(engine)
    maker = session_maker(engine)
    oauth = oauth_over(engine, maker, folder, FixedClock(NOW))
    await oauth.keys.load(("sandbox", "production"), NOW)
    await engine.dispose()


@pytest.fixture(scope="session")
def secrets_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds the key files of all test servers."""
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory, secrets_folder: Path) -> Path:
    """A migrated SQLite file with signing keys, to copy from."""
    path = tmp_path_factory.mktemp("oauth") / "empty.sqlite3"
    _run(_migrate(f"sqlite+aiosqlite:///{path}", secrets_folder))
    return path


@pytest.fixture(scope="session")
def postgres_url(secrets_folder: Path) -> Iterator[str]:
    """A PostgreSQL server whose database `gozar_empty` is migrated and has signing keys, to copy from."""
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        _run(_create_database(url, "gozar_empty"))
        _run(_migrate(_named(url, "gozar_empty"), secrets_folder))
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

    async def authorize(self, form: dict[str, str], environment: str = "sandbox") -> Response:
        return await self.http.get(f"/{environment}/oauth/authorize", params=form)

    async def approve(
        self,
        form: dict[str, str],
        *,
        environment: str = "sandbox",
        person: str = "Patient/p1",
        patient: str = "p1",
        chosen: list[str] | None = None,
    ) -> dict[str, str]:
        """Go through an authorization as a person would; returns the parameters of the redirect back to the App."""
        begun = await self.authorize(form, environment)
        assert begun.status_code == 303, begun.text
        return await self.agree(
            begun.headers["location"], environment=environment, person=person, patient=patient, chosen=chosen
        )

    async def agree(
        self,
        place: str,
        *,
        environment: str = "sandbox",
        person: str = "Patient/p1",
        patient: str = "p1",
        chosen: list[str] | None = None,
    ) -> dict[str, str]:
        handle, now = place.rpartition("/")[2], self.clock.now()
        async with transaction(self.maker) as session:
            open_one = await interactions.current(session, handle=handle, environment=environment, now=now)
            client = await self.oauth.clients.get(open_one.client_id)
            assert client is not None
            sign_in, _ = await interactions.open_sign_in(
                session, Person(person, "مریم"), environment=environment, tenant=client.tenant, now=now
            )
            if not open_one.patient:
                await interactions.choose_patient(session, open_one, patient)
            target = await interactions.approve(
                session,
                open_one,
                sign_in,
                chosen=open_one.scopes if chosen is None else chosen,
                tenant=client.tenant,
                issuer=self.oauth.tokens.issuer(environment),
                now=now,
            )
        return dict(parse_qsl(urlsplit(target).query))

    async def tokens_for(self, app: MadeApp, **changes: str | None) -> dict[str, Any]:
        """Approve an authorization of a public App and redeem its code."""
        back = await self.approve(authorization_form(app.client_id, **changes))
        answer = await self.token(code_form(app.client_id, back["code"]))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    async def refresh(self, app: MadeApp, token: str, **more: str) -> Response:
        form = {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": token, **more}
        return await self.token(form)

    async def introspect(self, app: MadeApp, token: str) -> dict[str, Any]:
        answer = await self.http.post("/sandbox/oauth/introspect", data={"token": token}, headers=app.basic)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


def _shown(_request: object, error: DomainError) -> LitestarResponse[str]:
    """Stands for the portal's error page."""
    return LitestarResponse(error.message, status_code=400)


@asynccontextmanager
async def world_over(engine: AsyncEngine, maker: SessionMaker, folder: Path, **options: Any) -> AsyncIterator[World]:
    clock = FixedClock(NOW)
    oauth = oauth_over(engine, maker, folder, clock, **options)
    await oauth.start()
    app = Litestar(route_handlers=routes(oauth), exception_handlers={DomainError: _shown}, debug=False)
    try:
        async with AsyncClient(transport=ASGITransport(app), base_url="https://gozar.test") as http:
            yield World(oauth, maker, clock, http, folder)
    finally:
        await oauth.stop()


@pytest.fixture
async def world(sqlite: tuple[AsyncEngine, SessionMaker], secrets_folder: Path) -> AsyncIterator[World]:
    """The authorization server on SQLite."""
    async with world_over(*sqlite, secrets_folder) as made:
        yield made


@pytest.fixture
async def both_worlds(both: tuple[AsyncEngine, SessionMaker], secrets_folder: Path) -> AsyncIterator[World]:
    """The authorization server on SQLite, then on PostgreSQL."""
    async with world_over(*both, secrets_folder) as made:
        yield made
