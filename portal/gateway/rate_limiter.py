"""slowapi at the human side: sign-up, sign-in, reset, token endpoint by address, try-it. The only importer of slowapi and limits.

slowapi brings the routes' syntax (`10/minute`), Limiter and decorator; the counting is the gateway's own GCRA, registered in `limits` as
a strategy over a storage of its own, because limits' windows charge denied calls. slowapi wants Starlette requests, so each hit
carries a bare one whose state names the key (decision record: "slowapi in a Litestar gateway").
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from limits import RateLimitItem, strategies
from limits.storage import Storage
from slowapi import Limiter
from slowapi.errors import RateLimitExceeded
from starlette.requests import Request
from starlette.responses import Response

from portal.gateway.gcra import SECOND, Rate

STRATEGY = "gcra"
SCHEME = "gozar"


class Arrivals(Protocol):
    """Where arrival times are kept: `shared_memory.SharedRateLimiter`, or `MemoryArrivals` in tests."""

    def move(self, key: str, rate: Rate, cost: int) -> tuple[int, int]:
        """Judge one Rate; (nanoseconds to wait or 0, units left)."""
        ...

    def look(self, key: str, rate: Rate) -> tuple[int, int]:
        """(Nanoseconds until full, units left), charging nothing."""
        ...

    def clear(self, key: str) -> None:
        """Forget what `key` has spent."""
        ...


class MemoryArrivals:
    """Arrival times of one process."""

    def __init__(self, ticks: Callable[[], int]) -> None:
        self._ticks = ticks
        self._known: dict[str, int] = {}

    def move(self, key: str, rate: Rate, cost: int) -> tuple[int, int]:
        now = self._ticks()
        if len(self._known) > 100_000:
            self._known = {name: arrival for name, arrival in self._known.items() if arrival > now}
        arrival = max(self._known.get(key, now), now)
        after = arrival + rate.cost(cost) * rate.interval
        if after - now > rate.horizon:
            return after - now - rate.horizon or rate.interval, rate.remaining(arrival, now)
        self._known[key] = after
        return 0, rate.remaining(after, now)

    def look(self, key: str, rate: Rate) -> tuple[int, int]:
        now = self._ticks()
        arrival = max(self._known.get(key, now), now)
        return arrival - now, rate.remaining(arrival, now)

    def clear(self, key: str) -> None:
        self._known.pop(key, None)


class ArrivalStorage(Storage):
    """`gozar://` for limits: a storage that has arrival times and no windows."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 -- limits reads it

    def __init__(self, uri: str | None = None, wrap_exceptions: bool = False, **options: Any) -> None:
        super().__init__(uri, wrap_exceptions=wrap_exceptions)
        self.arrivals: Arrivals = options["arrivals"]

    @property
    def base_exceptions(self) -> type[Exception]:
        return OSError

    def check(self) -> bool:
        return True

    def _no_windows(self, *_: Any, **__: Any) -> int:
        raise NotImplementedError("this storage serves the gcra strategy only")

    incr = get = get_expiry = _no_windows

    def reset(self) -> int | None:
        return None

    def clear(self, key: str) -> None:
        self.arrivals.clear(key)


def rate_of(item: RateLimitItem) -> Rate:
    """A limits item such as `10/minute` as a Rate of the gateway."""
    return Rate(str(item), item.amount, item.get_expiry())


class GcraStrategy(strategies.RateLimiter):
    """The gateway's GCRA as a strategy of limits: a denied hit is never charged."""

    @property
    def _arrivals(self) -> Arrivals:
        return cast(ArrivalStorage, self.storage).arrivals

    def hit(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        wait, _ = self._arrivals.move(item.key_for(*identifiers), rate_of(item), cost)
        return wait == 0

    def test(self, item: RateLimitItem, *identifiers: str, cost: int = 1) -> bool:
        return self._arrivals.look(item.key_for(*identifiers), rate_of(item))[1] >= cost

    def wait(self, item: RateLimitItem, *identifiers: str) -> int:
        """Whole seconds until one hit passes, at least 1."""
        return max(1, -(-self.pause(item, *identifiers) // SECOND))

    def pause(self, item: RateLimitItem, *identifiers: str) -> int:
        """Nanoseconds until one hit passes, 0 when it would pass now."""
        rate = rate_of(item)
        full_in, _ = self._arrivals.look(item.key_for(*identifiers), rate)
        return max(0, full_in + rate.interval - rate.horizon)

    def get_window_stats(self, item: RateLimitItem, *identifiers: str) -> Any:
        full_in, left = self._arrivals.look(item.key_for(*identifiers), rate_of(item))
        return full_in / SECOND, left


cast(dict[str, type[strategies.RateLimiter]], strategies.STRATEGIES)[STRATEGY] = GcraStrategy


class SlowapiThrottle:
    """`portal.web.throttle.Throttle` by slowapi: one Limiter, one guarded function for each rate, the key in the request's state."""

    def __init__(self, arrivals: Arrivals) -> None:
        # Options are given anew: slowapi's default dictionary is shared by all Limiters; the file name keeps it from reading `.env`.
        self._limiter = Limiter(
            key_func=_key,
            strategy=STRATEGY,
            storage_uri=f"{SCHEME}://",
            storage_options={"arrivals": arrivals},  # type: ignore[dict-item]
            key_style="endpoint",
            config_filename=str(Path(__file__).with_name("slowapi.txt")),
        )
        self._limiter.logger.setLevel(logging.ERROR)
        self._arrivals = arrivals
        self._guards: dict[str, Callable[..., Any]] = {}

    async def hit(self, key: str, rate: str) -> int:
        """Count one hit of `key` against `rate` (`10/minute`); 0 when admitted, else whole seconds to wait."""
        admitted, item, identifiers = self._pass(key, rate)
        return 0 if admitted else self._strategy.wait(item, *identifiers)

    async def fail(self, key: str, rate: str) -> float:
        """Count one failure (`portal.oauth.failures.FailureStore`); seconds until the next attempt may be."""
        _, item, identifiers = self._pass(key, rate)
        return self._strategy.pause(item, *identifiers) / SECOND

    async def clear(self, key: str, rate: str) -> None:
        """Forget what `key` has spent of `rate`."""
        _, item, identifiers = self._pass(key, rate)
        self._arrivals.clear(item.key_for(*identifiers))

    @property
    def _strategy(self) -> GcraStrategy:
        return cast(GcraStrategy, self._limiter.limiter)

    def _pass(self, key: str, rate: str) -> tuple[bool, RateLimitItem, list[str]]:
        """Let one hit through slowapi; whether it was admitted, and what it was filed under."""
        guard = self._guards.get(rate)
        if guard is None:
            guard = self._guards[rate] = self._guard(rate)
        request = Request({"type": "http", "method": "POST", "path": "/", "headers": [], "state": {"key": key}})
        admitted = True
        try:
            guard(request=request, response=Response())
        except RateLimitExceeded:
            admitted = False
        item, identifiers = request.state.view_rate_limit
        return admitted, item, identifiers

    def _guard(self, rate: str) -> Callable[..., Any]:
        def passes(request: Request, response: Response) -> Response:
            return response

        # slowapi files limits under the function's name; each rate has its own, or every rate would apply to all.
        passes.__name__ = f"throttle {rate}"
        guard: Callable[..., Any] = self._limiter.limit(rate)(passes)
        return guard


def _key(request: Request) -> str:
    return str(request.state.key)
