"""A whole Gozar, both real applications, served by uvicorn on a free port of this machine in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import uvicorn

from portal import demo
from portal.app import Gozar, create_app
from portal.kernel.database import transaction
from portal.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Live:
    """A running installation. `passwords` by role: owner, colleague, reviewer, second, admin."""

    url: str
    settings: Settings
    accounts: dict[str, tuple[str, str]]

    def api(self, account: str = "") -> httpx.Client:
        """A client of the JSON API, signed in as a demo account."""
        headers = {}
        if account:
            email, password = self.accounts[account]
            opened = httpx.post(f"{self.url}/api/v1/sessions", json={"email": email, "password": password}, timeout=60)
            opened.raise_for_status()
            headers["authorization"] = f"Bearer {opened.json()['token']}"
        return httpx.Client(base_url=f"{self.url}/api/v1", timeout=60, headers=headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prepare(settings: Settings, work: Callable[[Gozar], Awaitable[T]]) -> T:
    """Run `work` on the installation before it is served, with its demo company in place."""

    async def main() -> T:
        gozar = create_app(settings)
        async with gozar.backbone():
            async with transaction(gozar.sessions) as session:
                await demo.seed(session, gozar.shell.keyring, gozar.shell.clock.now())
            return await work(gozar)

    return asyncio.run(main())


def fresh_settings(folder: Path) -> Settings:
    """Settings of an installation of its own on a free port, with few synthetic people: each takes its time to be born."""
    return Settings(
        data_dir=folder,
        public_url=f"http://127.0.0.1:{free_port()}",
        sandbox_population=20,
        production_population=4,
    )


@contextlib.contextmanager
def served(settings: Settings) -> Iterator[Live]:
    """Serve the installation of `settings` until the block ends."""
    gozar = create_app(settings)
    names = ("owner", "colleague", "reviewer", "second", "admin")
    accounts = {
        name: (account.email, account.password(gozar.shell.keyring))
        for name, account in zip(names, demo.ACCOUNTS, strict=False)
    }
    port = int(settings.public_url.rpartition(":")[2])
    server = uvicorn.Server(
        uvicorn.Config(gozar.asgi, host="127.0.0.1", port=port, log_config=None, access_log=False, lifespan="on")
    )
    thread = threading.Thread(target=server.run, name="live Gozar", daemon=True)
    thread.start()
    try:
        while not server.started:
            if not thread.is_alive():
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield Live(settings.public_url, settings, accounts)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
