"""Puts the Workflows on an exchange: watched writes, operations, the clock's loop and the courier's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sandbox.exchange.calls import Call
from sandbox.exchange.seams import Edge, Handler
from sandbox.exchange.services import Services
from sandbox.kernel.errors import BusyError
from sandbox.kernel.http import Response
from sandbox.storage.layers import carry
from sandbox.workflows.consent_gate import ConsentGate
from sandbox.workflows.delivering import Courier, Sender
from sandbox.workflows.engine import Engine, Reactor
from sandbox.workflows.faults import FaultEdge
from sandbox.workflows.models import CARRIED
from sandbox.workflows.opening import SlotOpener
from sandbox.workflows.operations.answering import handlers
from sandbox.workflows.registry import GUARDS, Timer
from sandbox.workflows.watching import watcher

log = logging.getLogger("gozar.workflows")
_IDLE_SECONDS: Final = 0.5


def _chained(outer: Edge, inner: Edge) -> Edge:
    """Two edges as one: `outer` decides first."""

    async def edge(call: Call, handler: Handler) -> Response:
        async def inside(call: Call) -> Response:
            return await inner(call, handler)

        return await outer(call, inside)

    return edge


class Workflows:
    """The Workflows of one exchange; `start` and `stop` are its life."""

    def __init__(
        self, services: Services, *, reactors: Sequence[Reactor], timers: Mapping[str, Timer], sender: Sender
    ) -> None:
        self.engine = Engine(services, reactors=reactors, timers=timers)
        self.courier = Courier(self.engine, sender)
        self._loops: list[asyncio.Task[None]] = []
        for table in CARRIED:
            carry(table)
        self.faults = FaultEdge(self.engine)
        if services.environment == "sandbox":
            services.edge = _chained(self.faults, SlotOpener(self.engine))
        services.consents = ConsentGate(services)
        services.watcher = watcher(self.engine)
        services.watched = frozenset(GUARDS)
        services.operations.update(handlers(self.engine))

    def start(self) -> None:
        """Begin to run timers and deliveries in the background."""
        self._loops = [
            asyncio.create_task(self._repeat(self.run_timers)),
            asyncio.create_task(self._repeat(self.courier.deliver_due)),
        ]

    async def stop(self) -> None:
        for loop in self._loops:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
        self._loops = []

    async def run_timers(self) -> int:
        """One round over the Tenants whose clock has passed a timer; how many timers ran."""
        ran = 0
        for tenant in await self.engine.due_tenants():
            ran += await self.engine.run_due(tenant)
        return ran

    async def _repeat(self, step: Callable[[], Awaitable[int]]) -> None:
        while True:
            try:
                busy = await step()
            except BusyError as busy_store:
                log.warning("a background step waits: %s", busy_store)
                busy = 0
            except Exception:
                log.exception("a background step failed; it will be tried again")
                busy = 0
            await asyncio.sleep(0 if busy else _IDLE_SECONDS)
