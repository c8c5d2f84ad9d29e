"""Handing out a Quota, exact to the call: the database decides, one short write for each lease."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from portal.kernel.database import SessionMaker, transaction
from portal.usage.models import QuotaState


class QuotaStore(Protocol):
    """Where the units of a Quota are counted, for every worker at once."""

    async def reserve(self, subscription_id: str, window: str, *, limit: int, units: int) -> tuple[int, int]:
        """Hand out up to `units`; returns (units handed out, units spent in all). Never hands out more than `limit`."""
        ...

    async def give_back(self, subscription_id: str, window: str, *, units: int) -> None:
        """Return units that were handed out and not used."""
        ...


class MemoryQuotaStore:
    """Counters of one process, for tests and for embedding without a database."""

    def __init__(self) -> None:
        self.spent: dict[tuple[str, str], int] = {}

    async def reserve(self, subscription_id: str, window: str, *, limit: int, units: int) -> tuple[int, int]:
        spent = self.spent.get((subscription_id, window), 0)
        granted = max(0, min(units, limit - spent))
        self.spent[subscription_id, window] = spent + granted
        return granted, spent + granted

    async def give_back(self, subscription_id: str, window: str, *, units: int) -> None:
        self.spent[subscription_id, window] -= units


class DatabaseQuotaStore:
    """Counters in `quota_states`. Each reservation is one conditional UPDATE, so no two workers get the same unit."""

    def __init__(self, maker: SessionMaker) -> None:
        self._maker = maker

    async def reserve(self, subscription_id: str, window: str, *, limit: int, units: int) -> tuple[int, int]:
        this = (QuotaState.subscription_id == subscription_id, QuotaState.window == window)
        while units > 0:
            async with transaction(self._maker) as session:
                taken = await session.scalar(
                    update(QuotaState)
                    .where(*this, QuotaState.spent + units <= limit)
                    .values(spent=QuotaState.spent + units)
                    .returning(QuotaState.spent)
                )
            if taken is not None:
                return units, taken
            async with self._maker() as session:
                spent = await session.scalar(select(QuotaState.spent).where(*this))
            if spent is None:
                await self._enter(subscription_id, window)
                continue
            if spent >= limit:
                return 0, spent
            units = min(units, limit - spent)
        return 0, 0

    async def _enter(self, subscription_id: str, window: str) -> None:
        try:
            async with transaction(self._maker) as session:
                await session.execute(
                    insert(QuotaState).values(subscription_id=subscription_id, window=window, spent=0)
                )
        except IntegrityError:
            return  # another worker was first; its row serves as well

    async def give_back(self, subscription_id: str, window: str, *, units: int) -> None:
        async with transaction(self._maker) as session:
            await session.execute(
                update(QuotaState)
                .where(QuotaState.subscription_id == subscription_id, QuotaState.window == window)
                .values(spent=QuotaState.spent - units)
            )
