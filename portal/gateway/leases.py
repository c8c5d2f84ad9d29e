"""Spending a Quota without a write for each call: a worker leases some units, spends them, and gives back what it does not need.

A lease is at most 1 % of the Quota and 1/16 of what is left, so it shrinks to single units towards the end and the last call is the
last call; it is at most 50 units, or what a busy App spends in some 200 ms (up to 1,000, and 0.1 % of the Quota). Units a worker
holds idle go back within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from portal.gateway.headers import limit_item, policy_item
from portal.products.models import QuotaPeriod
from portal.usage.quota import QuotaStore
from portal.usage.windows import Window, window

LARGEST = 50
BUSIEST = 1000
QUICK = 100_000_000
"""A lease used up within so many nanoseconds is followed by one twice as large."""
RECHECK = 250_000_000
"""Nanoseconds for which a used-up Quota is believed before the store is asked again."""


@dataclass(slots=True)
class Lease:
    """A worker's units of one Subscription in one window."""

    name: str
    window: Window
    limit: int
    left: int = 0
    spent: int = 0
    asked_until: int = 0
    size: int = LARGEST
    renewed_at: int = 0
    idle: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    policy: str = field(init=False)
    """RateLimit-Policy item of the Quota, serialized once."""
    prefix: str = field(init=False)
    """RateLimit item up to the number that changes."""

    def __post_init__(self) -> None:
        self.policy = policy_item(self.name, self.limit, window=self.window.seconds)
        self.prefix = limit_item(self.name, 0)[:-1]

    @property
    def remaining(self) -> int:
        """Units left of the Quota as far as this worker knows."""
        return max(0, self.limit - self.spent) + self.left


class Leases:
    """The Quotas as one worker spends them. `now` is the wall clock, `ticks` a monotonic one in nanoseconds."""

    def __init__(self, store: QuotaStore, *, now: Callable[[], datetime], ticks: Callable[[], int]) -> None:
        self._store = store
        self._now = now
        self._ticks = ticks
        self._leases: dict[str, Lease] = {}

    def at_hand(self, subscription_id: str, limit: int, now: datetime) -> Lease | None:
        """Spend one unit of a lease that is open, current and not empty; None when `take` must see to it."""
        lease = self._leases.get(subscription_id)
        if lease is None or lease.left <= 0 or lease.limit != limit or lease.window.end <= now:
            return None
        lease.left -= 1
        lease.idle = False
        return lease

    async def take(self, subscription_id: str, *, limit: int, period: QuotaPeriod) -> tuple[bool, Lease]:
        """Spend one unit; (False, lease) when the Quota is used up."""
        lease = self._leases.get(subscription_id)
        if lease is None or lease.limit != limit or lease.window.end <= self._now():
            lease = await self._open(subscription_id, limit, period)
        if lease.left > 0:
            lease.left -= 1
            lease.idle = False
            return True, lease
        async with lease.lock:
            if lease.left == 0 and self._ticks() >= lease.asked_until:
                await self._renew(subscription_id, lease)
            if lease.left > 0:
                lease.left -= 1
                lease.idle = False
                return True, lease
        return False, lease

    def peek(self, subscription_id: str) -> Lease | None:
        """The lease as it stands, without spending; None when this worker has none."""
        return self._leases.get(subscription_id)

    def give_back(self, lease: Lease) -> None:
        """Undo one `take`: the call was not carried out by a fault that is not the App's."""
        lease.left += 1

    async def return_idle(self) -> None:
        """Give back what was not touched since the last call of this; run it about twice a second."""
        for subscription_id, lease in list(self._leases.items()):
            if lease.idle and lease.left:
                await self._return(subscription_id, lease)
            lease.idle = True

    async def close(self) -> None:
        """Give everything back."""
        for subscription_id, lease in self._leases.items():
            await self._return(subscription_id, lease)
        self._leases.clear()

    async def _open(self, subscription_id: str, limit: int, period: QuotaPeriod) -> Lease:
        old = self._leases.get(subscription_id)
        lease = self._leases[subscription_id] = Lease(str(period), window(period, self._now()), limit)
        if old is not None:
            await self._return(subscription_id, old)
        return lease

    async def _return(self, subscription_id: str, lease: Lease) -> None:
        units, lease.left = lease.left, 0
        if units:
            await self._store.give_back(subscription_id, lease.window.name, units=units)
            lease.spent -= units

    async def _renew(self, subscription_id: str, lease: Lease) -> None:
        known = lease.limit - lease.spent if lease.spent else lease.limit
        now = self._ticks()
        if lease.renewed_at and now - lease.renewed_at < QUICK:
            lease.size = max(LARGEST, min(2 * lease.size, BUSIEST, lease.limit // 1000))
        elif now - lease.renewed_at > 4 * QUICK:
            lease.size = LARGEST
        lease.renewed_at = now
        units = max(1, min(lease.size, lease.limit // 100, known // 16))
        granted, lease.spent = await self._store.reserve(
            subscription_id, lease.window.name, limit=lease.limit, units=units
        )
        lease.left += granted
        if not granted:
            lease.asked_until = self._ticks() + RECHECK
