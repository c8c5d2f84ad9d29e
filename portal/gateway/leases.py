"""Spending a Quota without a write for each call: a worker leases some units, spends them, and gives back what it does not need.

A lease is at most 1 % of the Quota and 1/16 of what is left, so it shrinks to single units towards the end and the last call is the
last call; it is at most 50 units, or what a busy App spends in some 200 ms (up to 1,000, and 0.1 % of the Quota). Units a worker
holds idle go back within a second.

While the store does not answer, production is refused once the lease is spent. In the sandbox a worker then lends a little of its own
account (1 % of the Quota, at most 50 units, once in an outage) and books it as soon as the store answers again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from portal.gateway.headers import limit_item, policy_item
from portal.products.models import QuotaPeriod
from portal.usage.quota import QuotaStore
from portal.usage.windows import Window, window

log = logging.getLogger(__name__)

LARGEST = 50
BUSIEST = 1000
QUICK = 100_000_000
"""A lease used up within so many nanoseconds is followed by one twice as large."""
RECHECK = 250_000_000
"""Nanoseconds for which a used-up Quota, or a store that is away, is believed before it is asked again."""
PATIENCE = 5.0
"""Seconds the store has to answer; a SQLite file that others write to may take its time without being away."""
LENT = 50
"""Units a sandbox App may be lent by a worker while the store is away; 1 % of its Quota where that is less, but one at least."""


class QuotaUnknown(OSError):
    """The store does not answer, and nothing is left that could be spent without it."""


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
    lent: int = 0
    """Units spent without the store, to be booked when it answers."""
    away_until: int = 0
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

    async def take(
        self, subscription_id: str, *, limit: int, period: QuotaPeriod, lend: bool = False
    ) -> tuple[bool, Lease]:
        """Spend one unit; (False, lease) when the Quota is used up. Raises `QuotaUnknown` while the store is away.

        `lend` allows a few units without the store.
        """
        lease = self._leases.get(subscription_id)
        if lease is None or lease.limit != limit or lease.window.end <= self._now():
            lease = await self._open(subscription_id, limit, period)
        if lease.left > 0:
            lease.left -= 1
            lease.idle = False
            return True, lease
        async with lease.lock:
            if lease.left == 0 and self._ticks() >= lease.asked_until:
                await self._ask(subscription_id, lease, lend=lend)
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
        # What was lent and not used has never been booked.
        unbooked = min(units, lease.lent)
        lease.lent -= unbooked
        if units > unbooked:
            await self._store.give_back(subscription_id, lease.window.name, units=units - unbooked)
            lease.spent -= units - unbooked

    async def _ask(self, subscription_id: str, lease: Lease, *, lend: bool) -> None:
        """Fill an empty lease from the store, or for a sandbox App whose store is away from the worker's own account."""
        now = self._ticks()
        if now >= lease.away_until:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self._book(subscription_id, lease)
                    await self._renew(subscription_id, lease)
                lease.away_until = 0
                return
            except (SQLAlchemyError, OSError) as error:
                lease.away_until = self._ticks() + RECHECK
                log.warning("the store of Quotas does not answer", exc_info=error)
        most = min(LENT, max(1, lease.limit // 100), max(0, lease.limit - lease.spent))
        if not lend or lease.lent >= most:
            raise QuotaUnknown("the Quota cannot be read")
        lease.lent += 1
        lease.left += 1

    async def _book(self, subscription_id: str, lease: Lease) -> None:
        """Tell the store what was spent without it; as far as the Quota reaches."""
        if lease.lent:
            _, lease.spent = await self._store.reserve(
                subscription_id, lease.window.name, limit=lease.limit, units=lease.lent
            )
            lease.lent = 0

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
