"""What every handler shares: built once by `sandbox.app`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sandbox.exchange.seams import Consents, Dispatch, Edge, Handler, OperationKey, Watcher
from sandbox.fhir.terminology import Terminology
from sandbox.kernel.clock import Clock, micros
from sandbox.search.compile import Compiler
from sandbox.search.criteria import Criterion
from sandbox.search.cursors import Cursors
from sandbox.security.access import Access, Limit
from sandbox.storage.appending import Appender
from sandbox.storage.repository import Store


@dataclass(slots=True)
class Services:
    """The store, the cursors' secret, and the exchange's own address."""

    store: Store
    cursors: Cursors
    clock: Clock
    base_url: str
    issuer: str
    environment: str
    watcher: Watcher | None = None
    edge: Edge | None = None
    dispatch: Dispatch | None = None
    consents: Consents | None = None
    background: dict[str, asyncio.Task[bytes]] = field(default_factory=dict)
    """Work that outlives its request, by job; the exchange waits for it when it stops."""
    operations: dict[OperationKey, Handler] = field(default_factory=dict)
    terms: Terminology = field(default_factory=Terminology)
    """The shipped code systems and value sets."""
    watched: frozenset[str] = frozenset()
    """Types whose writes `watcher` judges."""
    appender: Appender = field(init=False)
    criteria: dict[tuple[str, str, str], Criterion] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.appender = Appender(self.store, self.now)

    def now(self) -> int:
        """Microseconds since 1970, by the exchange's clock."""
        return micros(self.clock.now())

    def compiler(self, access: Access, now: int, *, letter: str = "s", lenient: bool = False) -> Compiler:
        """A compiler of searches under the caller's limits; `letter` "" compiles without any, for the exchange itself."""

        def limits(rtype: str) -> tuple[Limit, ...]:
            return access.limits(rtype, "s") or (access.limits(rtype, "r") if letter == "r" else ())

        return Compiler(self.store.dictionary, limits, self.terms, self.base_url, now, lenient, known=self.criteria)
