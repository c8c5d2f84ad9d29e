"""kill -9 in the middle of writes, and several worker processes on one SQLite file."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.factories import exchange, postgres
from tests.factories.exchange import World, patient

SERVER = """
import asyncio, sys, uvicorn
from tests.factories import exchange
from sandbox.app import Application
from sandbox.kernel.clock import FixedClock
from sandbox.settings import SandboxSettings
import orjson
app = Application(SandboxSettings(sys.argv[1], exchange.BASE_URL, exchange.ISSUER, population_size=0),
    clock=FixedClock(exchange.START), jwks=exchange.jwks,
    population=lambda: [orjson.dumps(r) for r in exchange.base_population()])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="error", access_log=False)
"""


@contextmanager
def served(database: str, key: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    port = postgres.free_port()
    script = SERVER.replace(
        "from tests.factories import exchange\n",
        f"from tests.factories import exchange\nexchange.KEY = exchange.ECKey.import_key({key})\n",
        1,
    )
    process = subprocess.Popen([sys.executable, "-c", script, database, str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                if httpx.get(f"{url}/healthz", timeout=1).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            assert process.poll() is None, "the server did not come up"
            assert time.monotonic() < deadline, "the server did not come up in time"
        yield process, url
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()


def _headers() -> dict[str, str]:
    world = World(None, exchange.FixedClock(exchange.START))  # type: ignore[arg-type]  # only mints tokens
    return {"authorization": f"Bearer {world.token(tenant='durable')}"}


async def _write_until_killed(url: str, process: subprocess.Popen[bytes]) -> tuple[set[str], set[str]]:
    """(ids acknowledged one by one, ids of transactions acknowledged): the server is killed while both go on."""
    singles: set[str] = set()
    pairs: set[str] = set()

    async def added(client: httpx.AsyncClient) -> None:
        for _ in range(10_000):
            answer = await client.post(f"{url}/fhir/R4/Patient", json=patient("new"))
            if answer.status_code == 201:
                singles.add(answer.headers["location"].split("/")[-3])

    async def single(client: httpx.AsyncClient, worker: int) -> None:
        for n in range(10_000):
            fid = f"s-{worker}-{n}"
            if (await client.put(f"{url}/fhir/R4/Patient/{fid}", json=patient(fid))).status_code == 201:
                singles.add(fid)
                kill_when_enough()

    async def transaction(client: httpx.AsyncClient, worker: int) -> None:
        for n in range(10_000):
            fid = f"t-{worker}-{n}"
            entries = [
                {"resource": patient(f"{fid}-{side}"), "request": {"method": "PUT", "url": f"Patient/{fid}-{side}"}}
                for side in ("a", "b")
            ]
            sent = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
            if (await client.post(f"{url}/fhir/R4/", json=sent)).status_code == 200:
                pairs.add(fid)
                kill_when_enough()

    def kill_when_enough() -> None:
        if len(singles) >= 60 and len(pairs) >= 20 and process.poll() is None:
            process.send_signal(signal.SIGKILL)

    async with httpx.AsyncClient(headers=_headers(), timeout=10) as client:
        work = [single(client, n) for n in range(4)] + [transaction(client, n) for n in range(4)]
        work += [added(client) for _ in range(4)]
        await asyncio.gather(*work, return_exceptions=True)
    return singles, pairs


@contextmanager
def database_of(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite+aiosqlite:///{folder / 'x.sqlite3'}"
        return
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.own_server(durable=True) as server:
        yield server.url


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_9_loses_nothing_acknowledged_and_leaves_no_half_transaction(tmp_path: Path, kind: str) -> None:
    with database_of(kind, tmp_path) as database:
        _kill_and_look(database)


def _kill_and_look(database: str) -> None:
    key = repr(exchange.KEY.as_dict(private=True))
    with served(database, key) as (process, url):
        singles, pairs = asyncio.run(_write_until_killed(url, process))
    assert len(singles) >= 60
    with served(database, key) as (_, url), httpx.Client(headers=_headers(), timeout=10) as client:
        for fid in singles:
            assert client.get(f"{url}/fhir/R4/Patient/{fid}").status_code == 200, fid
        found: set[str] = set()
        link: str | None = f"{url}/fhir/R4/Patient?_count=500"
        while link:
            page = client.get(link).json()
            found |= {e["resource"]["id"] for e in page["entry"]}
            following = next((x["url"] for x in page["link"] if x["relation"] == "next"), None)
            link = following.replace(exchange.BASE_URL, f"{url}/fhir/R4") if following else None
        assert {f"{p}-{side}" for p in pairs for side in ("a", "b")} <= found
        halves = {f for f in found if f.startswith("t-")}
        assert {f[:-2] for f in halves if f.endswith("-a")} == {f[:-2] for f in halves if f.endswith("-b")}


def test_several_workers_share_one_file(tmp_path: Path) -> None:
    database = f"sqlite+aiosqlite:///{tmp_path / 'x.sqlite3'}"
    key = repr(exchange.KEY.as_dict(private=True))

    async def write(urls: list[str]) -> list[int]:
        async with httpx.AsyncClient(headers=_headers(), timeout=30) as client:
            answers = await asyncio.gather(
                *(
                    client.put(f"{urls[n % 2]}/fhir/R4/Patient/shared", json=patient("shared", family=f"نام{n}"))
                    for n in range(60)
                )
            )
            return [a.status_code for a in answers]

    with served(database, key) as (_, one), served(database, key) as (_, two):
        statuses = asyncio.run(write([one, two]))
        assert sorted(statuses) == [200] * 59 + [201]
        with httpx.Client(headers=_headers(), timeout=10) as client:
            seen = [client.get(f"{url}/fhir/R4/Patient/shared").headers["etag"] for url in (one, two)]
            assert seen == ['W/"60"', 'W/"60"']
            history = client.get(f"{two}/fhir/R4/Patient/shared/_history?_count=100").json()
            assert [int(e["resource"]["meta"]["versionId"]) for e in history["entry"]] == list(range(60, 0, -1))
