"""A whole installation, both exchanges included, over a data folder seeded once per test session and copied for each test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from portal import demo
from portal.app import Gozar, create_app
from portal.kernel.database import transaction
from portal.kernel.lifespan import running
from portal.kernel.mail import MemoryMailer
from portal.settings import Settings

PUBLIC_URL = "http://gozar.test"


def settings(data_dir: Path) -> Settings:
    """A small installation under `data_dir`."""
    return Settings(data_dir=data_dir, public_url=PUBLIC_URL, sandbox_population=12, production_population=8)


def seed(data_dir: Path) -> None:
    """Migrate and fill a data folder: what `gozar init` does, with few people."""

    async def work() -> None:
        gozar = create_app(settings(data_dir), mailer=MemoryMailer())
        async with gozar.backbone(), transaction(gozar.sessions) as session:
            await demo.seed(session, gozar.shell.keyring, gozar.shell.clock.now())

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work()).result()


@dataclass
class Installation:
    """A running installation and the ways a test speaks with it."""

    gozar: Gozar
    mailer: MemoryMailer

    def http(self, token: str = "", **more: Any) -> httpx.AsyncClient:
        """A client of the whole front: portal, authorization server, gateway."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        transport = httpx.ASGITransport(app=self.gozar.asgi, raise_app_exceptions=False)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL, headers=headers, timeout=60, **more)

    async def sign_in(self, email: str, password: str) -> httpx.AsyncClient:
        """A script signed in to the portal's JSON API."""
        async with self.http() as client:
            answer = await client.post("/api/v1/sessions", json={"email": email, "password": password})
            assert answer.status_code == 201, answer.text
        return self.http(answer.json()["token"])

    async def demo_account(self, number: int) -> httpx.AsyncClient:
        """A script signed in as one of the demo accounts."""
        account = demo.ACCOUNTS[number]
        return await self.sign_in(account.email, account.password(self.gozar.shell.keyring))

    async def token(self, client_id: str, secret: str, environment: str = "sandbox", scope: str = "") -> httpx.Response:
        """An answer of the token endpoint."""
        async with self.http() as client:
            form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {})}
            return await client.post(f"/{environment}/oauth/token", data=form, auth=(client_id, secret))

    async def ready_app(self, environment: str = "sandbox", scopes: str = "", **limits: int | None) -> demo.ReadyApp:
        """What `gozar demo-app` makes."""
        wanted = demo.parse_scopes(scopes) if scopes else list(demo.DEFAULT_SCOPES)
        async with transaction(self.gozar.sessions) as session:
            return await demo.ready_app(
                session,
                environment=environment,
                scopes=wanted,
                per_second=limits.get("per_second"),
                per_minute=limits.get("per_minute"),
                quota=limits.get("quota"),
                tenants=self.gozar.tenants,
                pepper=self.gozar.shell.pepper,
                now=self.gozar.shell.clock.now(),
            )


@asynccontextmanager
async def installation(seeded: Path, data_dir: Path) -> AsyncIterator[Installation]:
    """A running installation over a copy of `seeded`."""
    shutil.copytree(seeded, data_dir)
    mailer = MemoryMailer()
    gozar = create_app(settings(data_dir), mailer=mailer)
    async with running(gozar.asgi, "gozar"):
        yield Installation(gozar, mailer)
