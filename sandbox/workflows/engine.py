"""Runs verbs in transactions: what they told goes to the timeline, to subscribers and to Counterparts before the commit."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson

from sandbox.exchange.services import Services
from sandbox.fhir.outcomes import ConflictError, FhirError, ForbiddenError, Text, UnprocessableError
from sandbox.kernel.clock import instant, micros
from sandbox.kernel.database import Transaction
from sandbox.storage.dictionary import FreshSystemsError
from sandbox.tenants import service as tenants
from sandbox.tenants.service import Tenant
from sandbox.workflows import controls, notifications
from sandbox.workflows.codes import Resource
from sandbox.workflows.records import Event, complete
from sandbox.workflows.registry import TIMERS, Timer
from sandbox.workflows.task_machine import Actor
from sandbox.workflows.tx_records import ExchangeRecords

log = logging.getLogger("gozar.workflows")
T = TypeVar("T")
Scripts = Mapping[str, Any]
Reactor = Callable[[ExchangeRecords, Event, Scripts], Awaitable[None]]
MAX_EVENTS: Final = 200
MAX_TIMERS: Final = 5_000
_RETRIES: Final = 4
_WEIGHT: Final = 60
_ADD_EVENT: Final = "INSERT INTO workflow_event (layer, number, at, topic, kind, rid, actor, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
_NEXT_TIMER: Final = "SELECT number, due, verb, kind, rid, data FROM workflow_timer WHERE layer=?1 AND due<=?2 ORDER BY due, number LIMIT 1"
_DUE_TENANTS: Final = (
    "SELECT DISTINCT t.tenant FROM workflow_timer w JOIN tenant t ON t.layer=w.layer "
    "WHERE t.state=1 AND w.due<=t.clock_offset + CAST(?1 AS BIGINT) LIMIT 50"
)


@dataclass(frozen=True, slots=True)
class Due:
    """One timer, taken off the table."""

    verb: str
    kind: str
    rid: str
    data: dict[str, Any]


class Engine:
    """One per exchange. `reactors` are the Counterparts; production has none."""

    def __init__(
        self, services: Services, *, reactors: Sequence[Reactor] = (), timers: Mapping[str, Timer] | None = None
    ):
        self.services = services
        self._reactors = tuple(reactors)
        self._timers = TIMERS | dict(timers or {})

    def records(self, tx: Transaction, tenant: Tenant, stamp: int, actor: Actor) -> ExchangeRecords:
        return ExchangeRecords(self.services.store, tx, tenant, stamp, actor, self.services.base_url)

    async def run(
        self,
        tenant: str,
        verb: Callable[[ExchangeRecords], Awaitable[T]],
        *,
        actor: Actor = Actor.APP,
        at: int | None = None,
        then: Callable[[ExchangeRecords, T], Awaitable[T]] | None = None,
    ) -> T:
        """Run one verb, with everything that follows from it, in a transaction; `then` sees what became of it.

        `at` (microseconds, the Tenant's time) stands in for the Tenant's clock.
        """

        async def job(tx: Transaction) -> T:
            found = await tenants.get(tx, tenant)
            now = self.services.now() + found.clock_offset if at is None else at
            records = self.records(tx, found, now, actor)
            made = await verb(records)
            await self.settle(records)
            return made if then is None else await then(records, made)

        for _ in range(_RETRIES):
            try:
                return await self.services.store.database.write(job, lock=tenants.lock_of(tenant), weight=_WEIGHT)
            except FreshSystemsError as fresh:
                await self.services.store.dictionary.number_systems(fresh.systems)
        raise ConflictError(
            Text("The request names too many new code systems.", "سامانه‌های کدگذاری تازه بیش از حد است.")
        )

    async def settle(self, records: ExchangeRecords) -> None:
        """Write down, announce and react to what was told, until nothing new is told."""
        done = 0
        scripts: Scripts | None = None
        while done < len(records.events):
            event = records.events[done]
            done += 1
            if done > MAX_EVENTS:
                raise ConflictError(
                    Text("One call set off too many steps.", "یک فراخوانی گام‌های بسیاری را به راه انداخت.")
                )
            await self._note(records, event)
            await notifications.announce(records, event, self.services)
            if self._reactors:
                scripts = await controls.scripts_of(records.tx, records.tenant.tenant) if scripts is None else scripts
                await self._react(records, event, scripts)

    async def _note(self, records: ExchangeRecords, event: Event) -> None:
        number = await records.tx.take_numbers(1)
        data = orjson.dumps(dict(event.data))
        row = (
            records.tenant.layer,
            number,
            micros(event.at),
            event.topic,
            event.kind,
            event.rid,
            event.actor.value,
            data,
        )
        await records.tx.run(_ADD_EVENT, row)

    async def _react(self, records: ExchangeRecords, event: Event, scripts: Scripts) -> None:
        """A Counterpart that finds the way closed says so in the timeline; it never spoils the caller's own step."""
        caller, records.actor = records.actor, Actor.COUNTERPART
        try:
            for reactor in self._reactors:
                try:
                    with complete(event.topic):
                        await reactor(records, event, scripts)
                except (ConflictError, ForbiddenError, UnprocessableError) as refused:
                    data = {"after": event.topic, "reason": str(refused)}
                    subject: Resource = {"resourceType": event.kind, "id": event.rid}
                    records.tell("counterpart-refused", subject, data)
        finally:
            records.actor = caller

    # --- the Tenant's clock -------------------------------------------------------------------------------------------

    async def due_tenants(self) -> list[str]:
        """Tenants whose clock has passed a timer."""
        rows = await self.services.store.database.rows(_DUE_TENANTS, (self.services.now(),))
        return [row[0] for row in rows]

    async def run_due(self, tenant: str, *, at: int | None = None, limit: int = 500) -> int:
        """Run a Tenant's timers due by now (or `at`), oldest first, each in its own transaction; how many ran."""
        for ran in range(limit):
            if not await self._run_next(tenant, at):
                return ran
        return limit

    async def _run_next(self, tenant: str, at: int | None) -> bool:
        taken: list[Due] = []

        async def verb(records: ExchangeRecords) -> bool:
            taken.clear()
            due = await _take(records, records.stamp)
            if due is None:
                return False
            taken.append(due)
            subject = await records.find_one(due.kind, due.rid)
            if subject is not None:
                with complete(due.verb):
                    await self._timers[due.verb](records, subject, due.data)
            return True

        try:
            return await self.run(tenant, verb, actor=Actor.CLOCK, at=at)
        except FhirError as error:
            log.warning("timer %s of tenant %s refused: %s", taken[0].verb if taken else "?", tenant, error)
            return await self._drop_next(tenant, at, str(error))

    async def _drop_next(self, tenant: str, at: int | None, reason: str) -> bool:
        """Put a timer that cannot run aside, with a line in the timeline."""

        async def verb(records: ExchangeRecords) -> bool:
            due = await _take(records, records.stamp)
            if due is not None:
                subject: Resource = {"resourceType": due.kind, "id": due.rid}
                records.tell("timer-refused", subject, {"verb": due.verb, "reason": reason})
            return due is not None

        return await self.run(tenant, verb, actor=Actor.CLOCK, at=at)

    async def advance(self, tenant: str, by: int) -> dict[str, Any]:
        """Move a Tenant's clock forward by microseconds. What falls due on the way runs first, each at its own time exactly.

        The clock itself moves last: a machine under load would otherwise let moments pass between a timer and what it sets.
        """
        database = self.services.store.database
        found = await tenants.get(database, tenant)
        start = self.services.now() + found.clock_offset
        target, ran = start + by, 0
        while ran < MAX_TIMERS:
            found = await tenants.get(database, tenant)
            rows = await database.rows(_NEXT_TIMER, (found.layer, target))
            if not rows:
                break
            ran += await self.run_due(tenant, at=max(int(rows[0][1]), start))
        await self._set_clock(tenant, target)
        return {"now": instant(target), "timers": ran}

    async def _set_clock(self, tenant: str, now: int) -> None:
        async def job(tx: Transaction) -> None:
            await tenants.set_clock(tx, tenant=tenant, offset=now - self.services.now())

        await self.services.store.database.write(job, lock=tenants.lock_of(tenant))


async def _take(records: ExchangeRecords, until: int) -> Due | None:
    rows = await records.tx.rows(_NEXT_TIMER, (records.tenant.layer, until))
    if not rows:
        return None
    number, _, verb, kind, rid, data = rows[0]
    await records.tx.run("DELETE FROM workflow_timer WHERE layer=?1 AND number=?2", (records.tenant.layer, number))
    return Due(verb, kind, rid, orjson.loads(data))
