"""HEAD for everything that answers GET (RFC 9110 section 9.3.2): the same answer, without its body."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from portal.kernel.lifespan import AsgiApp, Receive, Send


def with_heads(app: AsgiApp) -> AsgiApp:
    """`app`, which sees a GET for every HEAD; `scope["state"]["head"]` tells those who must know, such as messages shown once."""

    async def heads(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await app(scope, receive, send)
            return

        async def bodiless(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        state = {**scope.get("state", {}), "head": True}
        await app({**scope, "method": "GET", "state": state}, receive, bodiless)

    return heads
