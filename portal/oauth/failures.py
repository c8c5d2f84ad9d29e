"""Failed client authentications: whoever keeps failing waits, and nobody else does.

Two counters, both of the caller's address (an IPv6 caller's is its /64): failures for one App, and failures for any. No counter is an
App's alone, because its client id is no secret: a stranger who fails on purpose would lock its owner out. An address from which an
App has proved itself within the hour goes on being heard for that App while others there fail.
A success clears the first counter; attempts during the wait are refused unread and not counted.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime
from ipaddress import IPv6Network
from typing import Protocol, TypeVar

from portal.oauth.errors import OAuthFault
from portal.web import callers

K = TypeVar("K")
V = TypeVar("V")

APP_RATE = "10/minute"
ADDRESS_RATE = "60/minute"
FAMILIAR = 3600.0
CAPACITY = 20_000


class FailureStore(Protocol):
    """Where failures are counted, for every worker."""

    async def fail(self, key: str, rate: str) -> float:
        """Count one failure against `rate`; seconds until the next attempt may be, 0 while there are attempts left."""
        ...

    async def clear(self, key: str, rate: str) -> None:
        """Forget the failures of `key`."""
        ...


class MemoryFailures:
    """Failures of one process in windows of their own: the twin for tests and for a server put together without a gateway."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    async def fail(self, key: str, rate: str) -> float:
        allowed, _, _ = rate.partition("/")
        self._counts[key] = self._counts.get(key, 0) + 1
        return 60 / int(allowed) if self._counts[key] >= int(allowed) else 0.0

    async def clear(self, key: str, rate: str) -> None:
        self._counts.pop(key, None)


class NoFailures:
    """Counts nothing."""

    async def fail(self, key: str, rate: str) -> float:
        return 0.0

    async def clear(self, key: str, rate: str) -> None:
        return None


class FailedAttempts:
    """Judges by what `store` counts; the waits themselves are remembered here, so that an attempt that succeeds costs no question."""

    def __init__(self, store: FailureStore | None = None) -> None:
        self.store: FailureStore = store or MemoryFailures()
        self._until: OrderedDict[str, float] = OrderedDict()
        self._failed: OrderedDict[str, None] = OrderedDict()
        self._familiar: OrderedDict[tuple[str, str], float] = OrderedDict()

    def check(self, address: str, client_id: str, now: datetime) -> None:
        """Raise `OAuthFault` (429) while this address has to wait."""
        if not self._until:
            return
        timestamp, place = now.timestamp(), _place(address)
        wait = self._until.get(_pair(place, client_id), 0.0) - timestamp
        if timestamp >= self._familiar.get((place, client_id), 0.0):
            wait = max(wait, self._until.get(place, 0.0) - timestamp)
        if wait > 0:
            raise _too_many(wait)

    async def failed(self, address: str, client_id: str, now: datetime) -> None:
        """Count a failure."""
        place = _place(address)
        counters = ((_pair(place, client_id), APP_RATE), (place, ADDRESS_RATE))
        for key, rate in counters if client_id else counters[1:]:
            _keep(self._failed, key, None)
            wait = await self.store.fail(key, rate)
            if wait > 0:
                _keep(self._until, key, now.timestamp() + wait)

    def succeeded(self, address: str, client_id: str, now: datetime) -> bool:
        """Note that the App proved itself from there; whether it had failed before, so that `forget` has something to do."""
        place = _place(address)
        _keep(self._familiar, (place, client_id), now.timestamp() + FAMILIAR)
        return bool(self._failed) and _pair(place, client_id) in self._failed

    async def forget(self, address: str, client_id: str) -> None:
        """Clear what the App failed from there."""
        key = _pair(_place(address), client_id)
        self._failed.pop(key, None)
        self._until.pop(key, None)
        await self.store.clear(key, APP_RATE)


def _too_many(wait: float) -> OAuthFault:
    seconds = max(1, -int(-wait // 1))
    return OAuthFault(
        "temporarily_unavailable",
        f"client authentication failed too often from this address; try again in {seconds} s",
        status=429,
        headers={"retry-after": str(seconds)},
    )


def _pair(place: str, client_id: str) -> str:
    return f"{place} {client_id[:64]}"


def _place(address: str) -> str:
    """The address, or the network that one IPv6 subscriber has."""
    found = callers.parse(address)
    if found is None:
        return address
    return str(found) if found.version == 4 else str(IPv6Network((found, 64), strict=False))


def _keep(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    while len(known) > CAPACITY:
        known.popitem(last=False)
