"""New resources of one Tenant that arrive together are written together: one transaction, one commit for all of them.

What is merely added needs nothing read and disturbs nobody, so that the writes of many callers make one group: the cost of
a commit, and on PostgreSQL of its round trips, is shared. While one group is being committed the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.kernel.database import Transaction
from sandbox.kernel.errors import BusyError
from sandbox.storage import repository
from sandbox.storage.repository import Batch, Store, Written
from sandbox.storage.rows import IndexRows
from sandbox.tenants.service import lock_of

Key = tuple[int, str]
GROUP = 256
"""Resources of a group; a larger single addition is a group of its own."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """A resource that is nowhere yet, under an id made for it, its index rows, and what must be there for it to be added."""

    resource: dict[str, Any]
    rows: IndexRows
    fid: str
    needed: Sequence[Key] = ()


class AbsentError(Exception):
    """What was to be added needs resources (type number, id) that are not here."""

    def __init__(self, keys: set[Key]) -> None:
        super().__init__(f"{len(keys)} resources are not here")
        self.keys = keys


@dataclass(slots=True)
class _Addition:
    """What one caller adds, and where the answer goes."""

    fresh: Sequence[Fresh]
    written: asyncio.Future[list[Written]]

    def settle(self, result: list[Written] | Exception) -> None:
        if self.written.done():
            return
        if isinstance(result, Exception):
            self.written.set_exception(result)
        else:
            self.written.set_result(result)


class Appender:
    """Gathers additions by Tenant; `now` tells the exchange's time in microseconds."""

    def __init__(self, store: Store, now: Callable[[], int]) -> None:
        self._store, self._now = store, now
        self._waiting: dict[str, list[_Addition]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, tenant: str, fresh: Sequence[Fresh]) -> list[Written]:
        """Write all of `fresh` or nothing, durable when this returns. Raises `AbsentError`, and what `Batch.flush` raises."""
        written: asyncio.Future[list[Written]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, []).append(_Addition(fresh, written))
        if tenant not in self._tasks:
            self._tasks[tenant] = asyncio.create_task(self._drain(tenant))
        return await written

    async def _drain(self, tenant: str) -> None:
        waiting = self._waiting[tenant]
        try:
            while waiting:
                await self._commit(tenant, _group(waiting))
        finally:
            del self._waiting[tenant], self._tasks[tenant]
            for addition in waiting:
                addition.written.cancel()

    async def _commit(self, tenant: str, group: list[_Addition]) -> None:
        async def job(tx: Transaction) -> list[list[Written] | AbsentError]:
            batch = await repository.begin(self._store, tx, tenant, self._now())
            needed = {key for addition in group for fresh in addition.fresh for key in fresh.needed}
            absent = set(await repository.absent(tx, batch.tenant, sorted(needed))) if needed else set()
            results = [_save(batch, addition.fresh, absent) for addition in group]
            await batch.flush()
            return results

        weight = 12 * sum(len(addition.fresh) for addition in group)
        try:
            results = await self._store.database.write(job, lock=lock_of(tenant), weight=weight)
        except Exception as error:
            if len(group) == 1 or isinstance(error, BusyError):
                for addition in group:
                    addition.settle(error)
                return
            # One of them is at fault; alone, the others succeed.
            for addition in group:
                await self._commit(tenant, [addition])
            return
        for addition, result in zip(group, results, strict=True):
            addition.settle(result)


def _save(batch: Batch, fresh: Sequence[Fresh], absent: set[Key]) -> list[Written] | AbsentError:
    """Put an addition into the batch, unless something it needs is absent."""
    gone = {key for one in fresh for key in one.needed if key in absent}
    if gone:
        return AbsentError(gone)
    return [batch.save(one.resource, one.rows, fid=one.fid, replaced=None) for one in fresh]


def _group(waiting: list[_Addition]) -> list[_Addition]:
    """Takes the next group off the queue, in order of arrival."""
    size, count = 0, 0
    for addition in waiting:
        size += len(addition.fresh)
        if count and size > GROUP:
            break
        count += 1
    group = waiting[:count]
    del waiting[:count]
    return group
