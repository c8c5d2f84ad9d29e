"""Protection of the exchange: burst, sustained and concurrency limits of a Subscription, behind one port.

Counters here are forgotten without loss; contract quota (`quota`) and the usage ledger (`portal.usage`) never share state with them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from portal.gateway.gcra import SECOND, Rate

BURST, SUSTAINED, CONCURRENT = "burst", "sustained", "concurrent"


@dataclass(frozen=True, slots=True)
class Limits:
    """The three policies of one Subscription: units per second, units per minute, calls in flight."""

    per_second: int
    per_minute: int
    concurrent: int
    burst: Rate = field(init=False)
    sustained: Rate = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "burst", Rate(BURST, self.per_second, 1))
        object.__setattr__(self, "sustained", Rate(SUSTAINED, self.per_minute, 60))


@dataclass(slots=True)
class Reading:
    """State of the three policies after judging one call. Waits are nanoseconds until the policy would pass; 0 when it passes."""

    allowed: bool
    burst_left: int
    burst_reset: int
    sustained_left: int
    sustained_reset: int
    concurrent_left: int
    waits: dict[str, int] | None = None

    @property
    def violated(self) -> tuple[str, ...]:
        """Names of the policies that refused, longest wait first."""
        waits = self.waits or {}
        return tuple(sorted((name for name, wait in waits.items() if wait), key=lambda name: -waits[name]))

    @property
    def retry_after(self) -> int:
        """Whole seconds, at least 1, after which the same call passes if nothing else is sent."""
        longest = max((self.waits or {}).values(), default=0)
        return max(1, -(-longest // SECOND))


class RateLimiter(Protocol):
    """Judges a call against the three policies of `key` at once; a refused call is never charged."""

    async def take(self, key: str, limits: Limits, cost: int) -> Reading:
        """Charge `cost` units and one place in flight, or nothing at all."""
        ...

    def release(self, key: str) -> None:
        """Give back the place in flight of an admitted call."""
        ...

    def refund(self, key: str, limits: Limits, cost: int) -> None:
        """Undo the charge of an admitted call that a later check refused (its place in flight included)."""
        ...


class MemoryRateLimiter:
    """Counters of one process. `ticks` is a monotonic clock in nanoseconds. Idle keys are dropped once full again."""

    def __init__(self, ticks: Callable[[], int], *, sweep_at: int = 50_000) -> None:
        self._ticks = ticks
        self._states: dict[str, list[int]] = {}
        self._sweep_at = sweep_at

    async def take(self, key: str, limits: Limits, cost: int) -> Reading:
        return self.judge(key, limits, cost)

    def judge(self, key: str, limits: Limits, cost: int) -> Reading:
        """`take` without waiting: `gcra.judge` written out for two Rates and a count, since it runs on every call."""
        now = self._ticks()
        state = self._states.get(key)
        if state is None:
            state = self._enter(key, now)
        burst, sustained = limits.burst, limits.sustained
        first = state[0] if state[0] > now else now
        second = state[1] if state[1] > now else now
        quota = burst.quota
        after_first = first + (cost if cost < quota else quota or cost) * burst.interval
        quota = sustained.quota
        after_second = second + (cost if cost < quota else quota or cost) * sustained.interval
        flying = state[2]
        if after_first - now > burst.horizon or after_second - now > sustained.horizon or flying >= limits.concurrent:
            return refusal(limits, first, second, flying, (after_first, after_second), now)
        state[0], state[1], state[2] = after_first, after_second, flying + 1
        return Reading(
            True,
            (burst.horizon - after_first + now) // burst.interval,
            -((now - after_first) // SECOND),
            (sustained.horizon - after_second + now) // sustained.interval,
            -((now - after_second) // SECOND),
            limits.concurrent - flying - 1,
        )

    def charge(self, key: str, limits: Limits, cost: int) -> None:
        """Note a call that was admitted elsewhere: no judgement, no place in flight, never beyond a used-up allowance."""
        now = self._ticks()
        state = self._states.get(key) or self._enter(key, now)
        for place, rate in enumerate((limits.burst, limits.sustained)):
            after = max(state[place], now) + rate.cost(cost) * rate.interval
            state[place] = min(after, now + rate.horizon)

    def follow(self, key: str, burst: int, sustained: int) -> None:
        """Be no fuller than another limiter, whose arrival times lie so many nanoseconds ahead; windows are alike, whatever the rates."""
        now = self._ticks()
        state = self._states.get(key) or self._enter(key, now)
        state[0] = max(state[0], now + burst)
        state[1] = max(state[1], now + sustained)

    def release(self, key: str) -> None:
        state = self._states.get(key)
        if state is not None and state[2] > 0:
            state[2] -= 1

    def refund(self, key: str, limits: Limits, cost: int) -> None:
        state = self._states.get(key)
        if state is not None:
            state[0] -= limits.burst.cost(cost) * limits.burst.interval
            state[1] -= limits.sustained.cost(cost) * limits.sustained.interval
        self.release(key)

    def _enter(self, key: str, now: int) -> list[int]:
        if len(self._states) >= self._sweep_at:
            self._states = {k: s for k, s in self._states.items() if s[2] or s[0] > now or s[1] > now}
            self._sweep_at = max(50_000, 2 * len(self._states))
        return self._states.setdefault(key, [now, now, 0])


def refusal(limits: Limits, first: int, second: int, flying: int, after: tuple[int, int], now: int) -> Reading:
    """The Reading of a refused call, from the uncharged arrival times and those it would have led to."""
    waits = {}
    for rate, moved in ((limits.burst, after[0]), (limits.sustained, after[1])):
        if moved - now > rate.horizon:
            waits[rate.name] = moved - now - rate.horizon if rate.quota else rate.seconds * SECOND
    if flying >= limits.concurrent:
        waits[CONCURRENT] = SECOND
    return Reading(
        False,
        limits.burst.remaining(first, now),
        limits.burst.reset(first, now),
        limits.sustained.remaining(second, now),
        limits.sustained.reset(second, now),
        max(0, limits.concurrent - flying),
        waits,
    )
