"""Whether the process lives (/healthz), whether it can serve (/readyz), and its counters (/metrics)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest

log = structlog.get_logger("gozar.health")
Check = Callable[[], Awaitable[None]]


def health_routes(
    checks: Mapping[str, Check], registry: CollectorRegistry = REGISTRY, *, more: Sequence[Callable[[], bytes]] = ()
) -> list[HTTPRouteHandler]:
    """Routes over named `checks`; a check raises when its part cannot serve. `more` adds counters in Prometheus' text format."""

    @get("/healthz", include_in_schema=False, sync_to_thread=False)
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @get("/readyz", include_in_schema=False)
    async def readyz() -> Response[dict[str, Any]]:
        found: dict[str, str] = {}
        for name, check in checks.items():
            try:
                await check()
                found[name] = "ok"
            except Exception as error:
                # The reason goes to the log: a stranger learns only which part fails.
                log.warning("not ready", part=name, error=str(error))
                found[name] = "failing"
        ready = all(state == "ok" for state in found.values())
        body = {"status": "ok" if ready else "failing", "checks": found}
        return Response(body, status_code=200 if ready else 503)

    @get("/metrics", include_in_schema=False, sync_to_thread=True)
    def metrics() -> Response[bytes]:
        body = generate_latest(registry) + b"".join(part() for part in more)
        return Response(body, media_type=CONTENT_TYPE_LATEST)

    return [healthz, readyz, metrics]
