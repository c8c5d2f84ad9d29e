"""Practitioners' calendars stay open: whoever looks at appointments finds Slots for the next two weeks of the Tenant's clock.

Slots are made when they are first looked for on a day, so that they are there after a reset and after the clock was moved.
"""

from __future__ import annotations

from datetime import date
from typing import Final

from sandbox.exchange.calls import Call
from sandbox.exchange.seams import Handler
from sandbox.kernel.clock import moment_of
from sandbox.kernel.http import Response
from sandbox.workflows.engine import Engine
from sandbox.workflows.iran_calendar import local, slots
from sandbox.workflows.records import parse_instant, ref
from sandbox.workflows.task_machine import Actor
from sandbox.workflows.tx_records import ExchangeRecords

DAYS: Final = 14
_LOOKED_AT: Final = frozenset({"Slot", "Schedule", "Appointment"})


class SlotOpener:
    """An edge of the sandbox: opens the calendar once a day and Tenant, then lets the call through."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._open: set[tuple[str, int, date]] = set()

    async def __call__(self, call: Call, handler: Handler) -> Response:
        if call.rtype in _LOOKED_AT:
            today = local(moment_of(call.now)).date()
            key = (call.tenant.tenant, call.tenant.revision, today)
            if key not in self._open:
                if len(self._open) > 20_000:
                    self._open.clear()
                await self._engine.run(call.tenant.tenant, open_slots, actor=Actor.CLOCK)
                self._open.add(key)
        return await handler(call)


async def open_slots(records: ExchangeRecords) -> int:
    """Make the Slots that the next `DAYS` days lack, for every Schedule with weekly hours; how many were made."""
    today = local(records.now).date()
    missing = []
    for schedule in await records.search("Schedule", active="true"):
        wanted = list(slots(schedule, today, DAYS))
        if not wanted:
            continue
        known = {slot["id"] for slot in await records.search("Slot", schedule=ref(schedule))}
        missing += [s for s in wanted if s["id"] not in known and parse_instant(s["start"]) > records.now]
    await records.create_all(missing)
    return len(missing)
