"""Three policies judged as one, in memory and in the table that workers share."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.gateway.gcra import SECOND, Rate, judge
from portal.gateway.protection import Limits, MemoryRateLimiter, RateLimiter
from portal.gateway.shared_memory import BUCKETS, WAYS, SharedRateLimiter
from tests.portal.gateway.rig import Ticks

RATES = st.builds(Rate, st.just("r"), st.integers(1, 50), st.integers(1, 60))


@given(RATES, st.lists(st.integers(0, 3 * SECOND), max_size=200))
def test_a_rate_never_admits_more_than_a_burst_and_its_share_of_the_time(rate: Rate, gaps: list[int]) -> None:
    now, arrival, admitted = 0, 0, 0
    for gap in gaps:
        now += gap
        verdict = judge([rate], [arrival], 1, now)
        if verdict.passed:
            (arrival,) = verdict.arrivals
            admitted += 1
    assert admitted <= rate.quota + now // rate.interval


@given(RATES, st.integers(0, 10**12))
def test_from_idle_exactly_the_quota_passes_at_once(rate: Rate, now: int) -> None:
    arrival = 0
    for _ in range(rate.quota):
        verdict = judge([rate], [arrival], 1, now)
        assert verdict.passed
        (arrival,) = verdict.arrivals
    refused = judge([rate], [arrival], 1, now)
    assert not refused.passed
    assert judge([rate], [arrival], 1, now + refused.waits[0]).passed, "the wait it names is the wait it takes"
    assert not judge([rate], [arrival], 1, now + refused.waits[0] - 1).passed


@given(st.lists(RATES, min_size=2, max_size=3), st.integers(1, 9))
def test_when_one_refuses_none_is_charged(rates: list[Rate], cost: int) -> None:
    arrivals = [0] * len(rates)
    for _ in range(100):
        verdict = judge(rates, arrivals, cost, 0)
        if not verdict.passed:
            assert list(verdict.arrivals) == arrivals
            return
        arrivals = list(verdict.arrivals)


def test_a_cost_above_the_quota_takes_the_whole_quota_and_still_passes() -> None:
    rate = Rate("r", 3, 1)
    verdict = judge([rate], [0], 20, 10)
    assert verdict.passed
    assert rate.remaining(verdict.arrivals[0], 10) == 0


def test_a_quota_of_nothing_admits_nothing() -> None:
    verdict = judge([Rate("r", 0, 1)], [0], 1, 10)
    assert not verdict.passed
    assert verdict.waits[0] > 0


@pytest.fixture(params=["memory", "shared"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[RateLimiter, Ticks]:
    ticks = Ticks()
    if request.param == "memory":
        return MemoryRateLimiter(ticks), ticks
    return SharedRateLimiter(tmp_path / "limits", ticks, boot="b"), ticks


async def test_burst_sustained_and_concurrency_each_refuse_by_name(pair: tuple[RateLimiter, Ticks]) -> None:
    limiter, ticks = pair
    limits = Limits(per_second=2, per_minute=5, concurrent=3)
    assert [(await limiter.take("k", limits, 1)).allowed for _ in range(2)] == [True, True]
    assert (await limiter.take("k", limits, 1)).violated == ("burst",)
    ticks.advance(1)
    assert (await limiter.take("k", limits, 1)).allowed
    ticks.advance(1)
    assert (await limiter.take("k", limits, 1)).violated == ("concurrent",)
    for _ in range(3):
        limiter.release("k")
    assert [(await limiter.take("k", limits, 1)).allowed for _ in range(2)] == [True, True]
    ticks.advance(1)
    limiter.release("k")
    refused = await limiter.take("k", limits, 1)
    assert refused.violated == ("sustained",)
    assert refused.retry_after == 9
    assert (await limiter.take("other", limits, 1)).allowed


async def test_a_refund_restores_exactly_what_was_taken(pair: tuple[RateLimiter, Ticks]) -> None:
    limiter, _ = pair
    limits = Limits(5, 10, 4)
    before = await limiter.take("k", limits, 1)
    await limiter.take("k", limits, 3)
    limiter.refund("k", limits, 3)
    limiter.release("k")
    assert await limiter.take("k", limits, 1) == type(before)(True, 3, 1, 8, 12, 3)


async def test_readings_of_both_adapters_agree(tmp_path: Path) -> None:
    ticks = Ticks()
    memory, shared = MemoryRateLimiter(ticks), SharedRateLimiter(tmp_path / "l", ticks, boot="b")
    for step in range(300):
        limits = Limits(1 + step % 7, 20 + step % 11, 2 + step % 5)
        key = f"k{step % 3}"
        assert await memory.take(key, limits, 1 + step % 2) == await shared.take(key, limits, 1 + step % 2)
        if step % 2:
            memory.release(key)
            shared.release(key)
        ticks.advance(0.07)


async def test_a_table_of_an_earlier_boot_is_emptied(tmp_path: Path) -> None:
    limits = Limits(1, 1, 1)
    late = Ticks()
    late.advance(10_000)
    first = SharedRateLimiter(tmp_path / "l", late, boot="one")
    assert (await first.take("k", limits, 1)).allowed
    first.close()
    assert (await SharedRateLimiter(tmp_path / "l", Ticks(), boot="two").take("k", limits, 1)).allowed


async def test_the_place_in_flight_of_a_dead_worker_is_freed(tmp_path: Path) -> None:
    ticks = Ticks()
    limits = Limits(100, 100, 1)
    alive, dead = (SharedRateLimiter(tmp_path / "l", ticks, boot="b") for _ in range(2))
    assert (await dead.take("k", limits, 1)).allowed
    assert (await alive.take("k", limits, 1)).violated == ("concurrent",)
    dead.close()
    SharedRateLimiter(tmp_path / "l", ticks, boot="b").open()
    assert (await alive.take("k", limits, 1)).allowed


async def test_more_busy_keys_than_rows_never_fails(tmp_path: Path) -> None:
    limiter = SharedRateLimiter(tmp_path / "l", Ticks(), boot="b")
    limits = Limits(1, 1, 1)
    for number in range(BUCKETS * WAYS // 16):
        assert (await limiter.take(f"k{number}", limits, 1)).allowed


HAMMER = """
import asyncio, sys, time
from pathlib import Path
from portal.gateway.protection import Limits
from portal.gateway.shared_memory import SharedRateLimiter
async def main():
    limiter = SharedRateLimiter(Path(sys.argv[1]), time.monotonic_ns, boot="b")
    limits = Limits(400, 1_000_000, 1_000_000)
    print("ready", flush=True)
    sys.stdin.readline()
    admitted, first, last, start = 0, 0.0, 0.0, time.monotonic()
    allowed = True
    while time.monotonic() < start + 2 or allowed:  # what grew while nobody was scheduled is taken before the end
        reading = await limiter.take("k", limits, 1)
        allowed = reading.allowed
        admitted += reading.allowed
        if reading.allowed:
            last = time.monotonic()
            first = first or last
    print(admitted, first, last)
asyncio.run(main())
"""


async def test_four_processes_together_admit_what_one_would(tmp_path: Path) -> None:
    workers = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            HAMMER,
            str(tmp_path / "l"),
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
    found = [output.split() for output, _ in outputs]
    admitted = sum(int(row[0]) for row in found)
    # From the first to the last admission, as the processes saw it: the machine may have given them less than two seconds.
    seconds = max(float(row[2]) for row in found) - min(float(row[1]) for row in found)
    assert 0.99 <= admitted / (400 + 400 * seconds) <= 1.01, "a full burst, then 400 a second"


async def test_calls_in_flight_of_workers_that_died_are_forgotten_by_the_next_start(tmp_path: Path) -> None:
    limits, ticks = Limits(100, 6000, 2), Ticks()
    first, second = (SharedRateLimiter(tmp_path / "l", ticks, boot="b") for _ in range(2))
    for one in (first, second):
        assert (await one.take("k", limits, 1)).allowed
    for one in (first, second):
        one.close()  # its lock ends as at a kill; what it counted stays in the table
    alive, beside = (SharedRateLimiter(tmp_path / "l", ticks, boot="b") for _ in range(2))
    assert (await alive.take("k", limits, 1)).concurrent_left == 1
    assert (await beside.take("k", limits, 1)).concurrent_left == 0
