"""A full disk, searches that cost too much, and many Tenants at once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import orjson
import pytest

from sandbox.kernel import sqlite
from sandbox.kernel.database import Transaction
from tests.factories import exchange
from tests.factories.exchange import World, path_of, patient


async def _bounded(world: World, more: int) -> None:
    """Let the database file grow by `more` pages at most, 0 for as much as it likes."""

    async def job(tx: Transaction) -> None:
        pages = (await tx.rows("PRAGMA page_count"))[0][0]
        await tx.rows(f"PRAGMA max_page_count={pages + more if more else 2**31}")

    await world.app.store.database.write(job, lock=0)


async def test_a_full_disk_is_told_keeps_what_was_there_and_is_got_over(tmp_path: Path) -> None:
    world = await exchange.start(f"sqlite+aiosqlite:///{tmp_path / 'x.sqlite3'}")
    async with world.client() as client:
        before = (await client.post("Patient", json=patient("a"))).headers["location"]
        await _bounded(world, 20)
        big = patient("a", family="ب" * 3000)
        answers = await asyncio.gather(*(client.post("Patient", json=big) for _ in range(60)))
        refused = [a for a in answers if a.status_code != 201]
        assert refused
        assert {a.status_code for a in refused} == {507}
        assert refused[0].json()["issue"][0]["code"] == "no-store"
        assert (await client.put("Patient/p1", json=patient("p1", family="ب" * 90_000))).status_code == 507
        assert (await client.get(path_of(before))).status_code == 200
        stored = (await client.get("Patient?family=بب&_summary=count")).json()["total"]
        assert stored == len(answers) - len(refused)
        await _bounded(world, 0)
        assert (await client.post("Patient", json=big)).status_code == 201
    await world.app.stop()


async def test_costly_searches_end_in_time_and_keep_nobody_waiting(tmp_path: Path) -> None:
    people = [orjson.dumps(patient(f"p{n}", family=f"نام{n}", given="ن" * 400)) for n in range(6000)]
    world = await exchange.start(f"sqlite+aiosqlite:///{tmp_path / 'x.sqlite3'}", population=people)
    costly = "Patient?_content=" + ",".join(f"a{n}b" for n in range(150)) + "&_total=accurate"
    async with world.client() as client, world.client() as other:
        assert (await other.get("Patient/p1")).status_code == 200
        running = [asyncio.create_task(client.get(costly, timeout=120)) for _ in range(40)]
        waits = []
        while not all(task.done() for task in running) and len(waits) < 200:
            asked = time.monotonic()
            assert (await other.get("Patient/p1")).status_code == 200
            waits.append(time.monotonic() - asked)
            await asyncio.sleep(0.01)
        answers: list[httpx.Response] = [await task for task in running]
    assert {a.status_code for a in answers} <= {200, 422, 503}
    assert sum(a.status_code == 503 for a in answers) <= 40 - sqlite.THREADS
    assert sorted(waits)[len(waits) // 2] < 0.25
    await world.app.stop()


@pytest.mark.asyncio(loop_scope="session")  # the loop that the shared exchange was started on
async def test_many_tenants_open_at_the_same_time_each_with_a_layer_of_its_own(world: World) -> None:
    names = [f"crowd-{n}" for n in range(40)]
    async with world.admin() as admin:
        opened = await asyncio.gather(*(admin.post("tenants", json={"tenant": name}) for name in names))
        assert {a.status_code for a in opened} <= {200, 201}
    clients = [world.client(tenant=name) for name in names]
    written = await asyncio.gather(*(c.put("Patient/mine", json=patient("mine")) for c in clients))
    assert {a.status_code for a in written} == {201}
    totals = [(await c.get("Patient?_id=mine&_summary=count")).json()["total"] for c in clients]
    assert totals == [1] * len(names)
