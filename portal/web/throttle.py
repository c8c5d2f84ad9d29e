"""Throttling as a port. Services that guess-proof something ask it by key; routes ask for it with `opt={"throttle": "10/minute"}`.

The composition root plugs an adapter in; `NoThrottle` is the twin that never refuses.
"""

from __future__ import annotations

from typing import Any, Protocol

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from portal.kernel.errors import DomainError


class TooManyRequests(DomainError):
    """429: `retry_after` is whole seconds to wait."""

    code = "too-many-requests"
    title = "Too many attempts; wait and try again"
    title_fa = "تعداد تلاش‌ها زیاد شد؛ کمی صبر کنید و دوباره بکوشید"

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = max(1, retry_after)


class Throttle(Protocol):
    """Counts hits of a key in a window."""

    async def hit(self, key: str, rate: str) -> int:
        """Count one hit; 0 when admitted, else whole seconds until the next may be. `rate` is `10/minute`, `100/hour`."""
        ...


class NoThrottle:
    """Admits everything."""

    async def hit(self, key: str, rate: str) -> int:
        return 0


async def check(throttle: Throttle, key: str, rate: str) -> None:
    """Count a hit; raises TooManyRequests."""
    if wait := await throttle.hit(key, rate):
        raise TooManyRequests(wait)


async def throttled(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Guard: applies a route's `throttle` option per address of the caller."""
    rate = handler.opt.get("throttle")
    if isinstance(rate, str):
        address = connection.client.host if connection.client else "unknown"
        await check(connection.app.state["shell"].throttle, f"{handler.handler_name}:{address}", rate)
