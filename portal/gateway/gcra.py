"""Generic cell rate algorithm in whole nanoseconds, several policies judged as one.

A policy of `quota` cost units per `window` keeps one number, the theoretical arrival time. A call of cost `c` moves it on by `c`
intervals; it passes while that stays within one window of now. Over any span of T windows a policy admits at most
`quota * (1 + T)` units: a full burst, then the sustained rate. All policies pass or none is charged, so a denied client that
keeps knocking is let in again as soon as its allowance has grown. Whole numbers, because in floating seconds a policy with a
burst of one admits nothing (rounding at the edge).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `quota` cost units per `seconds`; a quota of 0 admits nothing."""

    name: str
    quota: int
    seconds: int
    interval: int = field(init=False)
    """Nanoseconds that one cost unit uses up."""
    horizon: int = field(init=False)
    """How far ahead of now the arrival time may lie, in nanoseconds."""

    def __post_init__(self) -> None:
        if self.quota < 0 or self.seconds <= 0:
            raise ValueError("a Rate needs a quota of 0 or more and a window of 1 s or more")
        interval = max(1, self.seconds * SECOND // self.quota) if self.quota else self.seconds * SECOND
        object.__setattr__(self, "interval", interval)
        object.__setattr__(self, "horizon", interval * self.quota)

    def cost(self, cost: int) -> int:
        """`cost`, at most the whole quota: a call dearer than a full allowance must still be possible with one."""
        return min(cost, self.quota) if self.quota else cost

    def remaining(self, arrival: int, now: int) -> int:
        """Cost units left at `now` for a policy whose arrival time is `arrival`."""
        return max(0, (self.horizon - max(0, arrival - now)) // self.interval)

    def reset(self, arrival: int, now: int) -> int:
        """Whole seconds, rounded up, until the allowance is full again."""
        return max(0, -(-(arrival - now) // SECOND))


@dataclass(frozen=True, slots=True)
class Judgement:
    """Outcome for several Rates: their new arrival times when all pass, else the waits (ns) of those that do not (others 0)."""

    arrivals: tuple[int, ...]
    waits: tuple[int, ...] = ()

    @property
    def passed(self) -> bool:
        return not self.waits


def judge(rates: Sequence[Rate], arrivals: Sequence[int], cost: int, now: int) -> Judgement:
    """Judge one call of `cost` against every Rate on one reading of the clock; nothing is charged unless all pass."""
    moved = []
    refused = False
    for rate, arrival in zip(rates, arrivals, strict=True):
        after = (arrival if arrival > now else now) + rate.cost(cost) * rate.interval
        if after - now > rate.horizon:
            refused = True
        moved.append(after)
    if not refused:
        return Judgement(tuple(moved))
    waits = tuple(
        max(0, after - now - rate.horizon) if rate.quota else rate.horizon or rate.interval
        for rate, after in zip(rates, moved, strict=True)
    )
    return Judgement(tuple(arrivals), waits)
