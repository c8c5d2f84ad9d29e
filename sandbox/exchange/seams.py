"""Where rooms above the exchange plug in. `sandbox.app` fills these; the exchange itself imports none of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from sandbox.kernel.http import Request, Response

if TYPE_CHECKING:
    from sandbox.exchange.calls import Call
    from sandbox.exchange.intents import Intent, Result
    from sandbox.kernel.database import Transaction
    from sandbox.security.access import Access
    from sandbox.storage.repository import Batch
    from sandbox.tenants.service import Tenant

Handler = Callable[["Call"], Awaitable[Response]]
Level = Literal["system", "type", "instance"]
OperationKey = tuple[str, Level, str]
"""(resource type or "", level, name without `$`)."""


class Watch(Protocol):
    """Judges the writes of one transaction and writes what must go with them; raising refuses all of them."""

    async def before(self, intent: Intent) -> None:
        """Ahead of one write, which may still be changed: a changed resource needs its rows anew."""
        ...

    async def after(self, intents: Sequence[Intent], results: list[Result]) -> list[Result]:
        """When all are stored; returns what the caller is told."""
        ...


# Answers a request that stands inside another one, as the same caller.
Dispatch = Callable[["Call", "Request"], Awaitable[Response]]
# Makes the Watch of a transaction, None when none of its writes is anybody's business.
Watcher = Callable[["Call", "Transaction", "Batch", "Sequence[Intent]"], Watch | None]
# The caller with what citizens' consents keep from it, at a moment of the Tenant's clock.
Consents = Callable[["Access", "Tenant", int], Awaitable["Access"]]
# Runs in place of a handler and calls it, or not.
Edge = Callable[["Call", Handler], Awaitable[Response]]
