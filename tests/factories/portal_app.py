"""A portal application over a migrated database, with the twins of every port, for room tests."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.kernel.clock import FixedClock
from portal.kernel.database import SessionMaker, create_engine, session_maker
from portal.kernel.keys import Keyring
from portal.kernel.mail import MemoryMailer
from portal.users import dependencies as users
from portal.users.authentication import AuthenticationMiddleware
from portal.web.navigation import Navigation, NavItem
from portal.web.plugin import configure
from portal.web.shell import Shell

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
PUBLIC_URL = "http://gozar.test"
PASSWORD = "seven quiet rivers"


@dataclass
class Portal:
    """What a test drives: the application, its database, clock and mailbox."""

    app: Litestar
    engine: AsyncEngine
    sessions: SessionMaker
    clock: FixedClock
    mailer: MemoryMailer
    shell: Shell
    extras: dict[str, Any] = field(default_factory=dict)

    def browser(self) -> Browser:
        """A new browser: its own cookies, asks for HTML."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return Browser(transport=transport, base_url=PUBLIC_URL, headers={"accept": "text/html,*/*;q=0.8"})

    def script(self, token: str = "") -> httpx.AsyncClient:
        """A new API client; with a bearer token when given."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers)

    async def signed_in_script(
        self, email: str, *, name: str = "Sara Ahmadi", password: str = PASSWORD
    ) -> httpx.AsyncClient:
        """Register `email` through the API and sign in."""
        async with self.script() as client:
            taken = await client.post("/api/v1/users", json={"email": email, "name": name, "password": password})
            assert taken.status_code == 202, taken.text
            opened = await client.post("/api/v1/sessions", json={"email": email, "password": password})
            assert opened.status_code == 201, opened.text
        return self.script(opened.json()["token"])

    async def signed_in_browser(self, email: str, *, name: str = "Sara Ahmadi", password: str = PASSWORD) -> Browser:
        """Register `email` on the pages and sign in."""
        browser = self.browser()
        await browser.submit("/sign-up", name=name, email=email, password=password)
        answer = await browser.submit("/sign-in", email=email, password=password)
        assert answer.status_code == 303, answer.text
        return browser


class Browser(httpx.AsyncClient):
    """An HTTP client that fills in the CSRF token of the page a form stands on."""

    async def submit(self, path: str, /, *, on: str = "", **fields: Any) -> httpx.Response:
        """Read the page `on` (default: `path` itself), then send the form to `path`."""
        standing = await self.get(on or path)
        found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', standing.text)
        assert found is not None, f"no form on {on or path}: {standing.status_code}"
        return await self.post(path, data={"csrf_token": found.group(1), **fields})


@asynccontextmanager
async def portal_app(
    migrated: Path,
    folder: Path,
    routes: Sequence[Any],
    *,
    dependencies: dict[str, Any] | None = None,
    navigation: Sequence[NavItem] = (),
    sessions: SessionMaker | None = None,
    **shell_options: Any,
) -> AsyncIterator[Portal]:
    """A Portal that serves `routes` over a copy of the `migrated` SQLite file in `folder`, or over `sessions` when given."""
    shutil.copy(migrated, folder / "portal.sqlite3")
    engine = create_engine(f"sqlite+aiosqlite:///{folder / 'portal.sqlite3'}")
    clock, mailer = FixedClock(NOW), MemoryMailer()
    shell = Shell(
        sessions=sessions or session_maker(engine),
        clock=clock,
        mailer=mailer,
        keyring=Keyring(b"k" * 32),
        pepper=b"p" * 32,
        public_url=PUBLIC_URL,
        navigation=Navigation(navigation),
        **shell_options,
    )
    parts = configure(shell)
    app = Litestar(
        route_handlers=[*parts.routes, *routes],
        middleware=[AuthenticationMiddleware],
        dependencies={**parts.dependencies, **users.DEPENDENCIES, **(dependencies or {})},
        exception_handlers=parts.exception_handlers,
        template_config=parts.template_config,
        before_send=parts.before_send,
        state=parts.state,
        plugins=parts.plugins,
    )
    try:
        yield Portal(app, engine, shell.sessions, clock, mailer, shell)
    finally:
        await engine.dispose()
