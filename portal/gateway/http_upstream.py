"""Upstreams over HTTP/1.1, by aiohttp (decision record "HTTP client of the gateway": a seventeenth of httpx's CPU here).

Streams both ways and buffers nothing; retries once, and only what is idempotent and has no body; a client that goes away takes its call
to the Upstream with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from portal.gateway.breaker import Breaker
from portal.gateway.headers import Headers
from portal.gateway.upstream import Receive, Scope, Send, UpstreamFailed

WATCH_AFTER = 0.05
"""Seconds after which a call is worth a watch on its client; nearly all are over by then."""
UNWELL = frozenset({502, 503, 504})
_NO_OWN_FIELDS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an Upstream may take, in seconds: to accept a connection, to begin to answer, between two pieces of an answer."""

    connect: float = 2.0
    answer: float = 30.0
    pause: float = 30.0


class HttpUpstream:
    """One Upstream at `base` (no trailing slash). `public_base` replaces `base` in Location fields, so that clients stay outside."""

    def __init__(
        self,
        base: str,
        *,
        ticks: Callable[[], int],
        public_base: str = "",
        patience: Patience | None = None,
        connections: int = 100,
    ) -> None:
        self._base = base.rstrip("/")
        self._public_base = public_base.rstrip("/")
        self._patience = patience or Patience()
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self.breaker = Breaker(ticks)

    async def forward(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forward one call and stream its answer. Raises `UpstreamFailed` or `UpstreamClosed`."""
        self.breaker.enter()
        watch = _Watch(receive)
        try:
            await self._attempt(scope, watch, send)
        except asyncio.CancelledError:
            self.breaker.gave_up()
            if not watch.client_gone and watch.fault is None:
                raise
            watch.task.uncancel()
            if watch.fault is not None:
                raise watch.fault from None
        except (TimeoutError, aiohttp.ServerTimeoutError) as late:
            self.breaker.failed()
            raise UpstreamFailed("The service behind the gateway did not answer in time", timed_out=True) from late
        except (aiohttp.ClientError, OSError) as error:
            self.breaker.failed()
            raise UpstreamFailed("The service behind the gateway could not be reached or broke off") from error
        except BaseException:
            self.breaker.gave_up()
            raise
        finally:
            watch.stop()

    async def _attempt(self, scope: Scope, watch: _Watch, send: Send) -> None:
        headers, has_body = _fields(scope["headers"]), scope["has_body"]
        method = scope["method"]
        url = self._url(scope)
        session = self._opened()
        again = not has_body and method in ("GET", "HEAD")
        while True:
            body = watch.body() if has_body else None
            if not has_body:
                watch.start_later()
            try:
                async with asyncio.timeout(self._patience.answer):
                    response = await session.request(
                        method, url, headers=headers, data=body, allow_redirects=False, skip_auto_headers=_NO_OWN_FIELDS
                    )
                break
            except (aiohttp.ClientConnectionError, ConnectionError) as error:
                if not again or isinstance(error, aiohttp.ServerTimeoutError):
                    raise
                again = False
        async with response:
            if response.status in UNWELL:
                self.breaker.failed()
            else:
                self.breaker.succeeded()
            await self._relay(response, send)

    async def _relay(self, response: aiohttp.ClientResponse, send: Send) -> None:
        raw = list(response.raw_headers)
        if self._public_base:
            raw = [self._outside(name, value) for name, value in raw]
        await send({"type": "http.response.start", "status": response.status, "headers": raw})
        # A known length tells which piece is the last, so that a small answer needs no empty one after it.
        left = response.content_length if response.method != "HEAD" else None
        ended = False
        async for piece in response.content.iter_any():
            if left is not None:
                left -= len(piece)
                ended = left <= 0
            await send({"type": "http.response.body", "body": piece, "more_body": not ended})
        if not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _outside(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name.lower() in (b"location", b"content-location") and value.startswith(self._base.encode()):
            return name, self._public_base.encode() + value[len(self._base) :]
        return name, value

    def _url(self, scope: Scope) -> URL:
        query: bytes = scope["query_string"]
        tail: bytes = scope["tail"]
        text = f"{self._base}/{tail.decode('ascii')}" if tail else self._base
        if query:
            text = f"{text}?{query.decode('latin-1')}"
        return URL(text, encoded=True)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            patience = self._patience
            session = self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=30),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=patience.connect, sock_read=patience.pause),
            )
            # aiohttp would itself send a PUT again although its streamed body is spent; what is tried again is decided above.
            session._retry_connection = False
        return self._session

    async def close(self) -> None:
        """Close the pool."""
        if self._session is not None:
            await self._session.close()
            self._session = None


class _Watch:
    """The client's side of one call: its body, and whether it is still there."""

    __slots__ = ("_handle", "_receive", "_watcher", "client_gone", "fault", "task")

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a coroutine always runs in a task
        self.task = task
        self.client_gone = False
        self.fault: Exception | None = None
        self._receive = receive
        self._handle: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def body(self) -> AsyncIterator[bytes]:
        """The request's body, piece by piece; a client that breaks off cancels the call."""
        while True:
            try:
                message = await self._receive()
            except Exception as fault:
                # This runs in aiohttp's writer; what goes wrong here belongs to the call.
                self.fault = fault
                self.task.cancel()
                raise
            if message["type"] == "http.disconnect":
                self.client_gone = True
                self.task.cancel()
                raise asyncio.CancelledError
            if message.get("body"):
                yield message["body"]
            if not message.get("more_body", False):
                self.start_later()
                return

    def start_later(self) -> None:
        """Begin to watch for a disconnect, unless the call is over soon."""
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(WATCH_AFTER, self._start)

    def _start(self) -> None:
        self._watcher = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.client_gone = True
        self.task.cancel()

    def stop(self) -> None:
        """The call is over."""
        if self._handle is not None:
            self._handle.cancel()
        if self._watcher is not None:
            self._watcher.cancel()


def _fields(headers: Headers) -> CIMultiDict[str]:
    """Fields for aiohttp; `Host` is the Upstream's own."""
    return CIMultiDict((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers if name != b"host")
