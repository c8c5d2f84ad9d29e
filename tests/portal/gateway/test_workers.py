"""Several worker processes are one gateway: on SQLite alone, and on PostgreSQL with Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, update

from portal.apps.models import AccessStatus, App
from portal.kernel.clock import SystemClock
from portal.kernel.database import SessionMaker, create_engine, session_maker, transaction
from portal.oauth.service import OAuth
from portal.products.models import Plan
from portal.traffic.models import CallRecord
from portal.usage.models import UsageRecord
from tests.factories import redis
from tests.factories.gateway import subscribe
from tests.factories.oauth import PUBLIC_URL, MadeApp, make_app
from tests.factories.postgres import free_port

ROOT = Path(__file__).parents[3]
WORKERS = 3


@dataclass
class Fleet:
    """Worker processes on one database, and the portal's own process beside them."""

    oauth: OAuth
    maker: SessionMaker
    urls: list[str]
    processes: list[asyncio.subprocess.Process]
    arguments: list[str]

    async def app(self, **limits: int) -> tuple[MadeApp, dict[str, str]]:
        now = datetime.now(UTC)
        app = await make_app(self.maker, pepper=self.oauth.pepper, scopes=["system/Patient.cruds"], now=now)
        await subscribe(self.maker, app.client_id, now=now, **limits)
        token = self.oauth.tokens.mint(
            "sandbox",
            client_id=app.client_id,
            app=app.app_id,
            tenant="t",
            epoch=1,
            scope="system/Patient.cruds",
            now=now,
        )
        return app, {"Authorization": f"Bearer {token}"}

    async def statuses(self, headers: dict[str, str], calls: int) -> Counter[int]:
        """Statuses of `calls` reads, spread over the workers."""
        found: Counter[int] = Counter()

        async def client(url: str, share: int) -> None:
            async with httpx.AsyncClient(timeout=30) as http:
                for _ in range(share):
                    found[(await http.get(f"{url}/sandbox/fhir/R4/Patient/p1", headers=headers)).status_code] += 1

        await asyncio.gather(*(client(url, calls // len(self.urls) // 2) for url in self.urls for _ in range(2)))
        return found


async def _worker(*arguments: str) -> tuple[asyncio.subprocess.Process, str]:
    port = free_port()
    command = [sys.executable, "-m", "tests.portal.gateway.worker", str(port), *arguments]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient() as http, asyncio.timeout(60):
        while True:
            try:
                await http.get(f"{url}/sandbox/fhir/R4/metadata")
                return process, url
            except httpx.HTTPError:
                await asyncio.sleep(0.1)


@asynccontextmanager
async def fleet_on(database: str, folder: Path, redis_url: str) -> AsyncIterator[Fleet]:
    async with AsyncExitStack() as stack:
        engine = create_engine(database)
        stack.push_async_callback(engine.dispose)
        maker = session_maker(engine)
        keys = folder / "keys"
        oauth = OAuth(
            public_url=PUBLIC_URL, keys_dir=keys, engine=engine, maker=maker, clock=SystemClock(), tidy_every=3600
        )
        await oauth.start()
        stack.push_async_callback(oauth.stop)
        arguments = [str(folder), database, redis_url]
        started = await asyncio.gather(*(_worker(*arguments) for _ in range(WORKERS)))
        fleet = Fleet(oauth, maker, [url for _, url in started], [process for process, _ in started], arguments)
        try:
            yield fleet
        finally:
            for process in fleet.processes:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
            await asyncio.gather(*(process.wait() for process in fleet.processes))


@pytest.fixture
async def fleet(both_urls: str, tmp_path: Path, secrets_folder: Path) -> AsyncIterator[Fleet]:
    shutil.copytree(secrets_folder / "keys", tmp_path / "keys")
    if both_urls.startswith("sqlite"):
        async with fleet_on(both_urls, tmp_path, "") as made:
            yield made
        return
    if redis.binary() is None:
        pytest.skip("no Redis is installed")
    with redis.server() as address:
        async with fleet_on(both_urls, tmp_path, address) as made:
            yield made


async def test_processes_share_limit_and_quota_and_hear_of_changes_within_a_second(fleet: Fleet) -> None:
    _, headers = await fleet.app(quota=100)
    assert await fleet.statuses(headers, 150) == {200: 100, 429: 50}, "the Quota is exact to the call"

    _, headers = await fleet.app(per_second=30, per_minute=30)
    started = time.monotonic()
    found = await fleet.statuses(headers, 90)
    grown = (time.monotonic() - started) / 2
    assert 30 <= found[200] <= 30 + grown + 1, "the RateLimit is one for all processes"

    app, headers = await fleet.app()
    assert await fleet.statuses(headers, 30) == {200: 30}
    async with transaction(fleet.maker) as session:
        await session.execute(update(Plan).values(per_second=1, per_minute=1))
    await asyncio.sleep(1)
    assert (await fleet.statuses(headers, 30))[200] <= 3, "a smaller Plan acts within a second"
    async with transaction(fleet.maker) as session:
        (await session.get_one(App, app.app_id)).status = AccessStatus.SUSPENDED
    await asyncio.sleep(1)
    assert await fleet.statuses(headers, 30) == {403: 30}, "a suspension acts within a second"


async def test_open_streams_of_a_suspended_app_end_within_a_second_on_every_worker(fleet: Fleet) -> None:
    app, headers = await fleet.app()
    _, others = await fleet.app()
    ended: dict[str, float] = {}

    async def listen(http: httpx.AsyncClient, url: str, kind: str, sent: dict[str, str], name: str) -> None:
        with contextlib.suppress(httpx.HTTPError):
            async with http.stream("GET", f"{url}/sandbox/fhir/R4/Patient/{kind}", headers=sent) as answer:
                assert answer.status_code == 200
                async for _ in answer.aiter_bytes():
                    begun.add(name)
        ended[name] = time.monotonic()

    begun: set[str] = set()
    async with httpx.AsyncClient(timeout=30) as http:
        listening = [
            asyncio.create_task(listen(http, url, kind, headers, f"{kind} {url}"))
            for url in fleet.urls
            for kind in ("drip", "mute")
        ]
        bystander = asyncio.create_task(listen(http, fleet.urls[0], "drip", others, "bystander"))
        async with asyncio.timeout(20):
            while len(begun) < len(listening) + 1:  # noqa: ASYNC110 -- streams begin when they begin
                await asyncio.sleep(0.02)
        started = time.monotonic()
        async with transaction(fleet.maker) as session:
            (await session.get_one(App, app.app_id)).status = AccessStatus.SUSPENDED
        committed = time.monotonic()
        async with asyncio.timeout(20):
            await asyncio.gather(*listening)
        assert max(ended.values()) - committed <= 1, f"commit took {committed - started:.2f} s"
        assert "bystander" not in ended, "nobody else is touched"
        bystander.cancel()
    await asyncio.sleep(1.5)
    async with fleet.maker() as session:
        query = select(CallRecord.code).where(CallRecord.client_id == app.client_id)
        assert set(await session.scalars(query)) == {"app-suspended"}, "the request log tells why"


async def test_a_killed_worker_loses_no_more_of_a_quota_than_its_lease(fleet: Fleet) -> None:
    _, headers = await fleet.app(quota=400)
    before = (await fleet.statuses(headers, 120))[200]
    victim = fleet.processes.pop(0)
    os.kill(victim.pid, signal.SIGKILL)
    await victim.wait()
    fleet.urls.pop(0)
    admitted = before + (await fleet.statuses(headers, 400))[200]
    assert before == 120 and 400 - 4 <= admitted <= 400, "a lease is at most 1 % of the Quota"


async def test_a_killed_worker_loses_no_answered_call(fleet: Fleet) -> None:
    _, headers = await fleet.app()
    assert await fleet.statuses(headers, 60) == {200: 60}
    victim = fleet.processes[0]
    os.kill(victim.pid, signal.SIGKILL)
    await victim.wait()
    answered = 60
    replacement, url = await _worker(*fleet.arguments)
    fleet.processes.append(replacement)
    fleet.urls[0] = url
    assert await fleet.statuses(headers, 6) == {200: 6}
    await asyncio.sleep(1.5)
    async with fleet.maker() as session:
        assert await session.scalar(select(func.sum(UsageRecord.calls))) == answered + 6
