"""Limits shared over Redis: exact together, and never in the way when it is gone."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from portal.gateway.gcra import SECOND
from portal.gateway.protection import Limits
from portal.gateway.redis_limits import JUDGE, REFUND, RedisRateLimiter
from tests.factories import redis
from tests.factories.postgres import free_port

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    if redis.binary() is None:
        pytest.skip("no Redis is installed")
    with redis.server() as address:
        yield address


@pytest.fixture
async def limiter(url: str) -> AsyncIterator[RedisRateLimiter]:
    # The suite's machine may be busy: a lost budget would test the fallback instead.
    made = RedisRateLimiter(url, time.monotonic_ns, budget=2)
    await made._redis.flushall()
    await made.start()
    yield made
    await made.stop()


async def test_three_policies_are_judged_at_once_and_a_refusal_charges_nothing(limiter: RedisRateLimiter) -> None:
    limits = Limits(per_second=3, per_minute=1000, concurrent=100)
    readings = [await limiter.take("k", limits, 1) for _ in range(6)]
    assert [reading.allowed for reading in readings] == [True] * 3 + [False] * 3
    assert readings[0].burst_left == 2
    assert readings[0].sustained_left == 999
    assert readings[-1].violated == ("burst",)
    await asyncio.sleep(0.4)
    assert (await limiter.take("k", limits, 1)).allowed
    assert (await limiter.take("other", limits, 1)).allowed


async def test_places_in_flight_are_counted_and_freed(limiter: RedisRateLimiter) -> None:
    limits = Limits(1000, 60_000, concurrent=2)
    assert (await limiter.take("k", limits, 1)).concurrent_left == 1
    assert (await limiter.take("k", limits, 1)).allowed
    assert (await limiter.take("k", limits, 1)).violated == ("concurrent",)
    limiter.release("k")
    assert limiter._releasing is not None
    await limiter._releasing
    assert (await limiter.take("k", limits, 1)).allowed


async def test_a_refund_restores_what_was_taken(limiter: RedisRateLimiter) -> None:
    limits = Limits(per_second=1, per_minute=1, concurrent=1)
    assert (await limiter.take("k", limits, 1)).allowed
    limiter.refund("k", limits, 1)
    await asyncio.gather(*limiter._background)
    assert (await limiter.take("k", limits, 1)).allowed


async def test_a_cost_is_weighed(limiter: RedisRateLimiter) -> None:
    limits = Limits(per_second=10, per_minute=100, concurrent=10)
    assert (await limiter.take("k", limits, 5)).burst_left == 5
    assert (await limiter.take("k", limits, 20)).allowed is False
    assert (await limiter.take("other", limits, 20)).allowed, "a cost above the quota takes the whole of it"


async def test_a_changed_limit_is_judged_at_once(limiter: RedisRateLimiter) -> None:
    assert (await limiter.take("k", Limits(1, 100, 10), 1)).allowed
    assert not (await limiter.take("k", Limits(1, 100, 10), 1)).allowed
    # What was used stays used; from here on the allowance grows at the new rate, not the old one.
    assert ((await limiter.take("k", Limits(50, 100, 10), 1)).waits or {"burst": 0})["burst"] <= SECOND // 50
    await asyncio.sleep(0.05)
    assert (await limiter.take("k", Limits(50, 100, 10), 1)).allowed


async def test_what_was_admitted_through_the_store_is_taken_from_the_share(limiter: RedisRateLimiter) -> None:
    limits = Limits(per_second=4, per_minute=100, concurrent=100)
    assert sum([(await limiter.take("k", limits, 1)).allowed for _ in range(9)]) == 4
    limiter.up = False
    assert sum([(await limiter.take("k", limits, 1)).allowed for _ in range(9)]) <= 1


async def test_a_worker_that_falls_back_is_no_fuller_than_the_store_was(url: str) -> None:
    limits = Limits(per_second=10, per_minute=100, concurrent=100)
    first, second = (RedisRateLimiter(url, time.monotonic_ns, budget=5) for _ in range(2))
    for one in (first, second):
        await one.start()
    await first._beat()
    assert sum([(await first.take("shared", limits, 1)).allowed for _ in range(12)]) == 10
    assert not (await second.take("shared", limits, 1)).allowed
    second.up = False
    assert not (await second.take("shared", limits, 1)).allowed, "it has seen that everything is spent"
    for one in (first, second):
        await one.stop()


@pytest.mark.parametrize(("limit", "workers", "admitted"), [(10, 4, 8), (3, 4, 4), (40, 4, 40), (0, 4, 0)])
async def test_shares_together_are_no_more_than_the_limit_or_one_for_each_worker(
    limit: int, workers: int, admitted: int
) -> None:
    fleet = [RedisRateLimiter("redis://127.0.0.1:1/0", time.monotonic_ns) for _ in range(workers)]
    found = 0
    for one in fleet:
        one.workers = workers
        for _ in range(limit + 2):
            found += (await one.take("k", Limits(1000, limit, 1000), 1)).allowed
    assert found == admitted
    for one in fleet:
        await one.stop()


async def test_a_lost_script_is_sent_again(limiter: RedisRateLimiter) -> None:
    await limiter._redis.script_flush()
    assert (await limiter.take("k", Limits(5, 5, 5), 1)).allowed
    assert limiter.up


async def test_without_the_store_each_worker_admits_its_share_without_waiting_and_returns_to_it() -> None:
    if redis.binary() is None:
        pytest.skip("no Redis is installed")
    port = free_port()
    process = redis.start(port)
    first, second = (RedisRateLimiter(f"redis://127.0.0.1:{port}/0", time.monotonic_ns) for _ in range(2))
    await first.start()
    await second.start()
    await first._beat()
    assert first.workers == 2
    process.kill()
    process.wait()
    limits = Limits(per_second=10, per_minute=100, concurrent=100)
    await first.take("warm", limits, 1)
    started = time.monotonic()
    admitted = sum([(await first.take("k", limits, 1)).allowed for _ in range(20)])
    assert admitted == 5
    assert time.monotonic() - started < 0.05, "no call waits for a store that is gone"
    assert not first.up
    process = redis.start(port)
    async with asyncio.timeout(5):
        while not first.up:  # noqa: ASYNC110 -- the heartbeat finds it
            await asyncio.sleep(0.05)
    assert (await first.take("k", limits, 1)).allowed
    await first.stop()
    await second.stop()
    process.kill()
    process.wait()


async def test_a_store_that_hangs_costs_five_calls_their_budget_and_the_next_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    limiter = RedisRateLimiter(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", time.monotonic_ns)
    limiter.up = True
    limiter._scripts = {JUDGE: "0" * 40, REFUND: "0" * 40}
    limits = Limits(9, 9, 9)
    started = time.monotonic()
    for _ in range(5):
        assert (await limiter.take("k", limits, 1)).allowed
    assert time.monotonic() - started < 1
    started = time.monotonic()
    assert (await limiter.take("k", limits, 1)).allowed
    assert time.monotonic() - started < 0.01
    await limiter.stop()
    server.close()
    await server.wait_closed()


HAMMER = """
import asyncio, sys, time
from portal.gateway.protection import Limits
from portal.gateway.redis_limits import RedisRateLimiter
async def main():
    limiter = RedisRateLimiter(sys.argv[1], time.monotonic_ns, budget=2)
    await limiter.start()
    limits = Limits(300, 1_000_000, 1_000_000)
    print("ready", flush=True)
    sys.stdin.readline()
    admitted, end = 0, time.monotonic() + 3
    async def client():
        nonlocal admitted
        while time.monotonic() < end:
            reading = await limiter.take("hammered", limits, 1)
            admitted += reading.allowed
            await asyncio.sleep(0.002)
    await asyncio.gather(*(client() for _ in range(4)))
    print(admitted, limiter.errors)
    await limiter.stop()
asyncio.run(main())
"""


async def test_four_workers_at_saturation_admit_the_limit_within_one_percent(url: str) -> None:
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            HAMMER,
            url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        await worker.stdout.readline()
    outputs = await asyncio.gather(*(worker.communicate(b"go\n") for worker in workers))
    found = [tuple(map(int, output.split())) for output, _ in outputs]
    assert sum(errors for _, errors in found) == 0
    admitted = sum(number for number, _ in found)
    allowed = 300 + 3 * 300
    assert 0.99 * allowed <= admitted <= 1.01 * allowed
