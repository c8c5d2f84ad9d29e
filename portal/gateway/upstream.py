"""The port to whatever answers an admitted call. It is ASGI-shaped, so an embedded exchange pays no HTTP hop."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]


class UpstreamFailed(Exception):
    """The Upstream could not be reached or broke off; `timed_out` when it did not answer in time."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class UpstreamClosed(Exception):
    """The circuit breaker keeps calls away from an Upstream that fails; `retry_after` seconds until it is tried again."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the circuit is open")
        self.retry_after = retry_after


class Upstream(Protocol):
    """Answers a call. `scope` is ASGI's, with `path`, `raw_path` and `headers` already those the Upstream shall see.

    Two keys are ours: `tail` (raw path below the mount, for Upstreams with a base URL of their own) and `has_body`.
    """

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream the answer into `send`; raises `UpstreamFailed` or `UpstreamClosed` before anything was sent."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class InProcessUpstream:
    """An ASGI application in this process. Its own lifespan is driven by the composition root."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    async def close(self) -> None:
        return None
