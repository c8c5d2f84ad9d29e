"""Plain requests and responses over ASGI: what a router of our own needs, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class BodyTooLarge(Exception):
    """The body passed the bound, announced or not."""


class BadPath(Exception):
    """A path that two readers could understand differently: encoded slashes, dot segments, empty segments, bad UTF-8, NUL."""


class Request:
    """One HTTP request; the body is read on demand, never past a bound."""

    __slots__ = ("_receive", "headers", "method", "path", "query", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        self.path = raw.partition(b"?")[0]

    async def body(self, limit: int) -> bytes:
        """The whole body as sent. Raises `BodyTooLarge`."""
        announced = self.headers.get(b"content-length", b"")
        if announced.isdigit() and int(announced) > limit:
            raise BodyTooLarge
        message = await self._receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            if len(body) > limit:
                raise BodyTooLarge
            return body
        chunks, size = [body], len(body)
        while message.get("more_body"):
            message = await self._receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise BodyTooLarge
        return b"".join(chunks)


def segments(path: bytes) -> list[str]:
    """Decoded segments of a path without its leading slash. Raises `BadPath`."""
    if not path:
        return []
    if b"%" not in path:
        parts = path.decode("latin-1").split("/")
    else:
        if any(hidden in path.lower() for hidden in (b"%2f", b"%5c", b"%00")):
            raise BadPath
        try:
            parts = [unquote(part, errors="strict") for part in path.decode("latin-1").split("/")]
        except UnicodeDecodeError as error:
            raise BadPath from error
    if parts[-1] == "":
        parts.pop()  # one trailing slash says nothing
    if any(part in ("", ".", "..") for part in parts):
        raise BadPath
    return parts


class Response:
    """An answer: whole, or streamed in chunks."""

    __slots__ = ("body", "headers", "status", "stream")

    def __init__(
        self, status: int, body: bytes = b"", headers: Headers | None = None, stream: AsyncIterator[bytes] | None = None
    ) -> None:
        self.status, self.body, self.stream = status, body, stream
        self.headers: Headers = headers if headers is not None else []

    async def send(self, send: Send, *, head: bool = False) -> None:
        if self.stream is None:
            if self.status not in (204, 304):
                self.headers.append((b"content-length", b"%d" % len(self.body)))
            await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
            await send({"type": "http.response.body", "body": b"" if head else self.body})
            return
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        if not head:
            async for chunk in self.stream:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
