"""Counting calls off the hot path: a line in the journal at once, ledger and request log in batches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from portal.gateway.calls import Call
from portal.gateway.journal import Journal
from portal.gateway.metrics import Metrics
from portal.gateway.verdicts import ADMITTED, QUOTA_EXCEEDED
from portal.kernel.database import SessionMaker, transaction
from portal.traffic import service as traffic
from portal.traffic.entries import Entry, Values, decode_all, encode
from portal.traffic.service import Bodies, Witnessed
from portal.usage import service as usage
from portal.usage.service import Consumption

log = logging.getLogger(__name__)

BODIES_PER_CLIENT = 10
"""Calls of one client whose bodies are kept in a second; the records themselves are kept of every call."""
WITNESSED_CALLS = 2000
"""Calls of conformance runs noted whole between two flushes."""
HOUR_US = 3_600_000_000


class Meter(Protocol):
    """Takes the record of every call, refused ones too, just before its last byte is sent."""

    def count(self, call: Call) -> None:
        """Note one call; never waits and never fails the call."""
        ...


class ListMeter:
    """Keeps the calls in a list: the twin for tests."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def count(self, call: Call) -> None:
        self.calls.append(call)


class JournalMeter:
    """Meter of one worker: `count` appends to the journal, `flush` moves closed journals into the database, each once."""

    def __init__(
        self, journal: Journal, maker: SessionMaker, *, now: Callable[[], datetime], metrics: Metrics | None = None
    ) -> None:
        self._journal = journal
        self._maker = maker
        self._now = now
        self._metrics = metrics or Metrics()
        self._bodies: dict[str, Bodies] = {}
        self._kept: dict[str, int] = {}
        self._second = 0
        self._witnessed: dict[str, Witnessed] = {}
        self._flushing = asyncio.Lock()

    def count(self, call: Call) -> None:
        self._metrics.count(call)
        access = call.access
        if access is None:
            return  # nobody's call: counted above, but no App's log or bill to write it in
        at_us = call.at_us or int(self._now().timestamp() * 1_000_000) - (call.ended - call.started) // 1000
        try:
            self._journal.append(encode(entry_of(call, at_us)))
        except OSError:
            self._metrics.journal_errors += 1
            log.exception("a call could not be journalled", extra={"request_id": call.request_id})
            return
        seen = call.bodies
        if call.witness is not None and seen is not None and len(self._witnessed) < WITNESSED_CALLS:
            self._witnessed[call.id] = Witnessed(
                call.witness.token,
                call.witness.scopes,
                call.witness.sent,
                call.witness.answered,
                Bodies(b"".join(seen.request), seen.request_type, b"".join(seen.answer), seen.answer_type),
            )
        if at_us // 1_000_000 != self._second:
            self._second, self._kept = at_us // 1_000_000, {}
        if seen is not None and self._kept.get(access.client_id, 0) < BODIES_PER_CLIENT:
            self._kept[access.client_id] = self._kept.get(access.client_id, 0) + 1
            self._bodies[call.id] = Bodies(
                b"".join(seen.request), seen.request_type, b"".join(seen.answer), seen.answer_type
            )

    def recover(self) -> int:
        """Take over the journals of workers that died; returns how many. `flush` writes them."""
        return self._journal.adopt()

    async def flush(self) -> int:
        """Write what has been counted so far; returns the number of calls written. Raises SQLAlchemyError when it cannot."""
        async with self._flushing:
            bodies, self._bodies = self._bodies, {}
            witnessed, self._witnessed = self._witnessed, {}
            self._journal.cut()
            written = 0
            for batch, text in self._journal.ready():
                entries = decode_all(text)
                await self._write(batch, entries, bodies, witnessed)
                self._journal.done(batch)
                written += len(entries)
            return written

    async def _write(
        self, batch: str, entries: list[Entry], bodies: dict[str, Bodies], witnessed: dict[str, Witnessed]
    ) -> None:
        if not entries:
            return
        async with transaction(self._maker) as session:
            if await usage.record(session, batch=batch, sums=sums(entries), now=self._now()):
                kept = [(entry.id, entry.at_us, bodies[entry.id]) for entry in entries if entry.id in bodies]
                await traffic.write(session, entries, kept)
                await traffic.witness(session, [(e.id, e.at_us, witnessed[e.id]) for e in entries if e.id in witnessed])

    async def run(self, interval: float = 0.5) -> None:
        """Flush for ever; a database that does not answer is tried again, and the journals wait."""
        while True:
            await asyncio.sleep(interval)
            try:
                await self.flush()
            except (SQLAlchemyError, OSError):
                self._metrics.flush_errors += 1
                log.warning("calls could not be written; they wait in the journal", exc_info=True)

    async def close(self) -> None:
        """Write the rest, if the database takes it, and let go of the journal."""
        with contextlib.suppress(SQLAlchemyError, OSError):
            await self.flush()
        self._journal.close()


def entry_of(call: Call, at_us: int) -> Values:
    """The journal line of an ended call that began at `at_us`, as the fields of an `Entry`."""
    access, terms = call.access, call.terms
    started, answered = call.started, call.answered
    forwarded = call.forwarded
    return (
        call.id,
        call.request_id,
        at_us,
        call.environment,
        access.company_id if access else "",
        access.app_id if access else "",
        access.client_id if access else "",
        call.product,
        terms.subscription_id if terms else "",
        call.method,
        call.template,
        call.interaction,
        call.target,
        call.status,
        call.code,
        call.detail,
        ", ".join(call.violated),
        ", ".join(call.shadowed),
        call.limits[1][1].decode() if call.limits else "",
        ((forwarded or call.ended) - started) // 1000,
        (answered - forwarded) // 1000 if answered else 0,
        (call.ended - started) // 1000,
        call.bytes_in,
        call.bytes_out,
        call.lease is not None,
    )


def sums(entries: Iterable[Entry]) -> list[Consumption]:
    """Entries summed by client, Product and hour, in the order of their first appearance."""
    found: dict[tuple[str, str, str, int], Consumption] = {}
    for entry in entries:
        hour = entry.at_us // HOUR_US
        key = (entry.client_id, entry.product_id, entry.subscription_id, hour)
        one = found.get(key)
        if one is None:
            one = found[key] = Consumption(
                entry.environment,
                entry.company_id,
                entry.app_id,
                entry.client_id,
                entry.product_id,
                entry.subscription_id,
                datetime.fromtimestamp(hour * 3600, UTC),
            )
        one.charged += entry.charged
        if entry.upstream_us or entry.code == ADMITTED:
            one.admitted += 1
        else:
            one.refused += 1
        one.limited += entry.code == QUOTA_EXCEEDED
        one.failed += entry.status >= 500
        one.bytes_in += entry.bytes_in
        one.bytes_out += entry.bytes_out
        one.duration_us += entry.duration_us
    return list(found.values())
