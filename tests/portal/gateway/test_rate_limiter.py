"""slowapi on the gateway's GCRA, behind the portal's Throttle port."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from limits.strategies import STRATEGIES
from slowapi import Limiter

from portal.gateway.rate_limiter import Arrivals, GcraStrategy, MemoryArrivals, SlowapiThrottle
from portal.gateway.shared_memory import SharedRateLimiter
from tests.portal.gateway.rig import Ticks


@pytest.fixture(params=["memory", "shared"])
def arrivals(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Ticks], Arrivals]:
    def make(ticks: Ticks) -> Arrivals:
        if request.param == "memory":
            return MemoryArrivals(ticks)
        return SharedRateLimiter(tmp_path / "limits", ticks, boot="b")

    return make


async def test_a_rate_admits_its_number_and_says_how_long_to_wait(arrivals: Callable[[Ticks], Arrivals]) -> None:
    ticks = Ticks()
    throttle = SlowapiThrottle(arrivals(ticks))
    assert [await throttle.hit("a", "5/minute") for _ in range(7)] == [0] * 5 + [12, 12]
    assert await throttle.hit("b", "5/minute") == 0, "another key has its own allowance"
    ticks.advance(12)
    assert await throttle.hit("a", "5/minute") == 0
    assert await throttle.hit("a", "5/minute") == 12


async def test_a_denied_hit_is_not_charged(arrivals: Callable[[Ticks], Arrivals]) -> None:
    ticks = Ticks()
    throttle = SlowapiThrottle(arrivals(ticks))
    for _ in range(100):
        await throttle.hit("a", "2/second")
    ticks.advance(0.5)
    assert await throttle.hit("a", "2/second") == 0


async def test_rates_do_not_add_up_over_routes(arrivals: Callable[[Ticks], Arrivals]) -> None:
    throttle = SlowapiThrottle(arrivals(Ticks()))
    assert await throttle.hit("a", "1/minute") == 0
    assert await throttle.hit("a", "100/minute") == 0
    assert await throttle.hit("a", "100/minute") == 0
    assert await throttle.hit("a", "1/minute") == 60


async def test_two_throttles_share_nothing(tmp_path: Path) -> None:
    ticks = Ticks()
    one, other = SlowapiThrottle(MemoryArrivals(ticks)), SlowapiThrottle(MemoryArrivals(ticks))
    assert await one.hit("a", "1/minute") == 0
    assert await other.hit("a", "1/minute") == 0


def test_the_strategy_is_the_one_slowapi_runs() -> None:
    throttle = SlowapiThrottle(MemoryArrivals(Ticks()))
    assert isinstance(throttle._limiter, Limiter)
    assert isinstance(throttle._limiter.limiter, GcraStrategy)
    assert STRATEGIES["gcra"] is GcraStrategy
    assert not inspect.iscoroutinefunction(GcraStrategy.hit)
