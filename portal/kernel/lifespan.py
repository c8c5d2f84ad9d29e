"""Drive another ASGI application's lifespan, so that an embedded exchange starts and stops with the portal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
AsgiApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class StartupFailed(Exception):
    """The embedded application refused to start; the message is its own."""


@asynccontextmanager
async def running(app: AsgiApp, name: str) -> AsyncIterator[None]:
    """Run `app` between its `lifespan.startup` and `lifespan.shutdown` (ASGI lifespan protocol 2.0)."""
    to_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    from_app: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()

    async def send(message: MutableMapping[str, Any]) -> None:
        await from_app.put(message)

    task = asyncio.create_task(_run(app, to_app.get, send, from_app), name=f"lifespan of {name}")
    await to_app.put({"type": "lifespan.startup"})
    answer = await from_app.get()
    if answer["type"] != "lifespan.startup.complete":
        await task
        raise StartupFailed(f"{name}: {answer.get('message', 'start-up failed')}")
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await from_app.get()
        await task


async def _run(app: AsgiApp, receive: Receive, send: Send, out: asyncio.Queue[MutableMapping[str, Any]]) -> None:
    try:
        await app({"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}, receive, send)
    except Exception as error:
        await out.put({"type": "lifespan.startup.failed", "message": f"{type(error).__name__}: {error}"})
