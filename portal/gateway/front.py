"""One door: the gateway answers its own raw paths, the portal everything else."""

from __future__ import annotations

from typing import Any

from portal.gateway import paths
from portal.gateway.upstream import AsgiApp, Receive, Scope, Send


def front(gateway: AsgiApp, portal: AsgiApp) -> AsgiApp:
    """One ASGI application: the gateway for its own raw paths, the portal for everything else (and for the lifespan).

    `.well-known/` below a FHIR base describes the authorization server, so the portal answers it.
    """

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            raw: Any = scope.get("raw_path") or scope["path"].encode()
            if paths.is_ours(raw) and b"/fhir/R4/.well-known/" not in raw:
                await gateway(scope, receive, send)
                return
        await portal(scope, receive, send)

    return dispatch
