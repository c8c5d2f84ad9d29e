"""One call's body on its way in and answer on its way out: counted, bounded, never buffered."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from portal.gateway import verdicts
from portal.gateway.calls import Call, witnessed_fields
from portal.gateway.headers import returned_response
from portal.gateway.upstream import Message, Receive, Send
from portal.gateway.verdicts import Refused

CLIENT_CLOSED = 499


class BodyTooLarge(Exception):
    """The body ran past its limit while it was streamed."""


class Passage:
    """`receive` and `send` as the Upstream sees them. `finish` is called once, just before the last byte is sent."""

    __slots__ = ("_finish", "_limit", "_receive", "_send", "_ticks", "call", "refused", "started")

    def __init__(
        self,
        call: Call,
        receive: Receive,
        send: Send,
        ticks: Callable[[], int],
        finish: Callable[[Call], None],
        limit: int,
    ) -> None:
        self.call = call
        self.started = False
        self.refused: Refused | None = None
        self._receive = receive
        self._send = send
        self._ticks = ticks
        self._finish = finish
        self._limit = limit

    async def receive(self) -> Message:
        """The client's next message; raises `BodyTooLarge` once the body has passed its limit."""
        message = await self._receive()
        if message["type"] == "http.request":
            body = message.get("body", b"")
            self.call.bytes_in += len(body)
            seen = self.call.bodies
            if seen is not None and body and seen.room[0] > 0:
                seen.request.append(body[: seen.room[0]])
                seen.room[0] -= len(body)
            if self.call.bytes_in > self._limit:
                self.refused = verdicts.too_large(self._limit)
                raise BodyTooLarge
        return message

    async def send(self, message: Message) -> None:
        """Pass one message of the answer on, with the gateway's own fields added to its start."""
        call = self.call
        if self.refused is not None:
            return
        if message["type"] == "http.response.start":
            self.started = True
            call.answered = self._ticks()
            call.status = message["status"]
            given = message.get("headers", ())
            headers = returned_response(given, extra=((b"x-request-id", call.request_id.encode()), *call.limits))
            if call.cors:
                headers += call.cors
            if call.bodies is not None:
                call.bodies.answer_type = _content_type(headers)
            if call.witness is not None:
                call.witness.answered = witnessed_fields(given)
            message = {"type": "http.response.start", "status": call.status, "headers": headers}
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            call.bytes_out += len(body)
            seen = call.bodies
            if seen is not None and seen.room[1] > 0:
                seen.answer.append(body[: seen.room[1]])
                seen.room[1] -= len(body)
            if not message.get("more_body", False) and not call.ended:
                # Before the last byte: whoever has the whole answer is in the ledger, also if this process is killed now.
                self._finish(call)
        await self._send(message)

    def broke_off(self) -> None:
        """The answer ended early: the client went away, or the Upstream failed in the middle."""
        if not self.started:
            self.call.status = CLIENT_CLOSED
        cut = self.call.cut
        self.call.code = cut.code if cut is not None else "broken-off"
        self.call.detail = cut.detail if cut is not None else ""
        self._finish(self.call)


def _content_type(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Of lower-case fields."""
    for name, value in headers:
        if name == b"content-type":
            return value.decode("latin-1")
    return ""
