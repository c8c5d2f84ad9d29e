"""The catch-all: a raw ASGI application for `/{env}/fhir/R4/...` and `/{env}/apis/{product}/...`.

Not a Litestar handler: those see a decoded path, and cost more than the whole admission (docs: decision "Gateway as raw ASGI").
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from portal.conformance.rehearsals import LOST_ANSWER, Fault, Rehearsals
from portal.gateway import cors, paths, verdicts
from portal.gateway.access import Terms
from portal.gateway.admission import Admission
from portal.gateway.answers import answer
from portal.gateway.calls import WITNESSED_BYTES, Call, Seen, witnessed_fields
from portal.gateway.fields import Fields
from portal.gateway.forwarding import BodyTooLarge, Passage
from portal.gateway.headers import Headers, forwarded_request
from portal.gateway.interactions import (
    METHODS,
    PARTNER_READ,
    PARTNER_WRITE,
    Interaction,
    MethodNotAllowed,
    UnknownInteraction,
    interaction,
    weight,
)
from portal.gateway.metering import Meter
from portal.gateway.upstream import Message, Receive, Scope, Send, Upstream, UpstreamClosed, UpstreamFailed
from portal.gateway.verdicts import Refused, rehearsed

log = logging.getLogger(__name__)

NO_CONTENT = 204
MAX_HEADERS = 32 * 1024
MAX_HEADER_COUNT = 100
MAX_BODY = 8 * 1024 * 1024


class Gateway:
    """Admits, forwards and meters. `exchanges` maps Environment to Upstream; `partner` finds the Upstream of Terms,
    `origins` those web pages that may call in an Environment."""

    def __init__(
        self,
        *,
        admission: Admission,
        exchanges: Mapping[str, Upstream],
        partner: Callable[[Terms], Upstream | None],
        origins: Callable[[str], Awaitable[frozenset[str]]],
        meter: Meter,
        ticks: Callable[[], int],
        instance: str,
        max_body: int = MAX_BODY,
        rehearsals: Rehearsals | None = None,
    ) -> None:
        self._admission = admission
        self._exchanges = exchanges
        self._partner = partner
        self._origins = origins
        self._meter = meter
        self._ticks = ticks
        self._ids = (f"{instance}-{number:x}" for number in count(1))
        self._max_body = max_body
        self._rehearsals = rehearsals
        self._running: dict[str, tuple[Call, asyncio.Task[Any] | None]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI entry for the paths `paths.is_ours` recognises."""
        if scope["type"] != "http":
            await _refuse_websocket(scope, receive, send)
            return
        call = Call(next(self._ids), "", scope["method"], "", self._ticks())
        passage = Passage(call, receive, send, self._ticks, self._finish, self._max_body)
        task = asyncio.current_task()
        self._running[call.id] = call, task
        try:
            refused = await self._judge_and_forward(scope, call, passage)
        except asyncio.CancelledError:
            if call.cut is None or task is None:
                raise
            task.uncancel()
            refused = call.cut
        except Exception as error:
            refused = passage.refused or self._fault(call, error)
        finally:
            del self._running[call.id]
            self._admission.release(call)
        if refused is not None and not passage.started:
            await self._refuse(call, refused, scope, send)
        elif not call.ended:
            passage.broke_off()

    async def recheck(self) -> int:
        """Break off the running calls that would be refused by now; returns how many. Run it whenever somebody's standing changes."""
        cut = 0
        for call, task in list(self._running.values()):
            refused = await self._admission.still(call)
            if refused is not None and task is not None and call.cut is None and call.id in self._running:
                call.cut = refused
                cut += task.cancel()
        return cut

    async def _judge_and_forward(self, scope: Scope, call: Call, passage: Passage) -> Refused | None:
        raw_path = scope.get("raw_path") or scope["path"].encode()
        query: bytes = scope["query_string"]
        read = Fields(scope["headers"])
        call.request_id = read.request_id or call.id
        call.environment = "production" if raw_path.startswith(b"/production/") else "sandbox"
        call.raw_path = raw_path
        if call.environment == "sandbox":
            call.target = (raw_path[:2048] + (b"?" + query[:2048] if query else b"")).decode("latin-1")
            call.bodies = Seen(read.content_type)
        refused = self._limits(scope, raw_path, query, read)
        if refused is not None:
            return refused
        try:
            target = paths.known(raw_path)
            if read.origin:
                preflight = await self._cross_origin(call, read, target)
                if preflight is not None:
                    return preflight
            asked = self._interaction(call, target, query)
        except paths.BadPath as bad:
            return verdicts.bad_request(str(bad), bad.fa)
        except paths.UnknownPath as unknown:
            return verdicts.not_found(str(unknown), unknown.fa)
        except UnknownInteraction:
            return verdicts.not_found("No FHIR interaction has this path", "هیچ تعامل FHIR چنین مسیری ندارد")
        except MethodNotAllowed as wrong:
            return verdicts.method_not_allowed(wrong.allow)
        if not asked.public:
            client = scope.get("client")
            peer = scope.get("gozar.peer") or (client[0] if client else "")
            refused = await self._admission.admit(call, read, asked, product=target.product, peer=peer)
            if call.witness is not None:
                call.witness.sent = witnessed_fields(scope["headers"])
                if call.bodies is not None:
                    call.bodies.room = [WITNESSED_BYTES, WITNESSED_BYTES]
            if refused is not None:
                return refused
        upstream = self._upstream(call, target)
        if upstream is None:
            self._admission.forgive(call)
            return verdicts.not_found(
                "This Product has no service in this Environment", "این محصول در این محیط سرویسی ندارد"
            )
        fault = await self._rehearsed(call)
        if fault is not None and fault.kind != LOST_ANSWER:
            self._admission.forgive(call)
            return rehearsed(fault, call.environment)
        call.forwarded = self._ticks()
        send = passage.send if fault is None else _to_nobody
        await upstream.forward(self._onward(scope, call, target, query, read), passage.receive, send)
        return passage.refused or (rehearsed(fault, call.environment) if fault is not None else None)

    async def _rehearsed(self, call: Call) -> Fault | None:
        """A refusal that a conformance run has ordered for this call; asked only while a run records the App."""
        if call.witness is None or self._rehearsals is None or call.access is None:
            return None
        return await self._rehearsals.next(call.access.client_id, call.method, call.target)

    def _fault(self, call: Call, error: Exception) -> Refused:
        """What to answer when forwarding failed. A fault that is not the App's does not cost it Quota."""
        if isinstance(error, BodyTooLarge):
            return verdicts.too_large(self._max_body)
        self._admission.forgive(call)
        if isinstance(error, UpstreamClosed):
            return verdicts.unavailable(
                "The service behind the gateway is failing",
                "سرویس پشت دروازه از کار مانده است",
                retry_after=error.retry_after,
            )
        if isinstance(error, UpstreamFailed):
            return verdicts.gateway_timeout(str(error)) if error.timed_out else verdicts.bad_gateway(str(error))
        if isinstance(error, (SQLAlchemyError, OSError)) and not call.forwarded:
            log.warning("admission could not read its state", exc_info=error)
            return verdicts.unavailable(
                "The gateway cannot read who may call at the moment", "دروازه اکنون نمی‌تواند اجازه‌ها را بخواند"
            )
        log.exception("a call failed", extra={"request_id": call.request_id}, exc_info=error)
        return verdicts.bad_gateway("The service behind the gateway failed")

    def _limits(self, scope: Scope, raw_path: bytes, query: bytes, read: Fields) -> Refused | None:
        if read.size > MAX_HEADERS or len(scope["headers"]) > MAX_HEADER_COUNT:
            return verdicts.headers_too_large(MAX_HEADERS)
        if len(raw_path) + len(query) > paths.MAX_TARGET:
            return verdicts.uri_too_long(paths.MAX_TARGET)
        if read.length > self._max_body:
            return verdicts.too_large(self._max_body)
        if read.length < 0:
            return verdicts.bad_request(
                "Content-Length must be one whole number", "مقدار Content-Length باید یک عدد درست باشد"
            )
        return None

    def _interaction(self, call: Call, target: paths.Target, query: bytes) -> Interaction:
        method = call.method
        if target.kind == paths.APIS:
            if method not in METHODS:
                raise MethodNotAllowed(", ".join(METHODS))
            call.template, call.interaction = f"/apis/{target.product}", "call"
            call.product = target.product
            return PARTNER_READ if method in ("GET", "HEAD") else PARTNER_WRITE
        asked = interaction(method, target.segments)
        call.template, call.interaction = asked.template, asked.name
        call.cost = weight(asked, query) if query else asked.cost
        return asked

    async def _cross_origin(self, call: Call, read: Fields, target: paths.Target) -> Refused | None:
        """Note the CORS fields of the answer; for a preflight, the answer itself."""
        public = target.kind == paths.FHIR and target.segments[:1] in cors.OPEN
        if public or cors.allowed(read.origin, target.environment, await self._origins(target.environment)):
            call.cors = cors.fields(read.origin, public=public)
            if call.method == "OPTIONS" and read.wanted_method:
                call.cors = ()
                return verdicts.preflight(cors.preflight(b"*" if public else read.origin))
        elif call.method == "OPTIONS" and read.wanted_method:
            return verdicts.forbidden(
                "origin-not-allowed",
                "The origin is not allowed",
                "No App registered this origin",
                "این مبدأ مجاز نیست",
                "هیچ برنامه‌ای این مبدأ را ثبت نکرده است",
            )
        return None

    def _upstream(self, call: Call, target: paths.Target) -> Upstream | None:
        if target.kind == paths.FHIR:
            return self._exchanges.get(target.environment)
        return self._partner(call.terms) if call.terms else None

    def _onward(self, scope: Scope, call: Call, target: paths.Target, query: bytes, read: Fields) -> Scope:
        onward = dict(scope)
        raw = (b"/fhir/R4/" if target.kind == paths.FHIR else b"/") + target.tail
        onward["raw_path"] = raw
        onward["path"] = ("/fhir/R4/" if target.kind == paths.FHIR else "/") + "/".join(target.segments)
        onward["root_path"] = ""
        onward["query_string"] = query
        extra: Headers = [(b"x-request-id", call.request_id.encode())]
        if target.kind == paths.APIS and call.access is not None:
            extra += [
                (b"x-gozar-app", call.access.app_id.encode()),
                (b"x-gozar-environment", call.environment.encode()),
            ]
        headers = forwarded_request(scope["headers"], extra=extra)
        if target.kind == paths.APIS:
            # The token is for the exchange: a partner that saw it could use it there.
            headers = [pair for pair in headers if pair[0] != b"authorization"]
        onward["headers"] = headers
        onward["state"] = {}
        onward["tail"] = target.tail
        onward["has_body"] = read.length > 0 or read.chunked
        return onward

    async def _refuse(self, call: Call, refused: Refused, scope: Scope, send: Send) -> None:
        call.code, call.status, call.detail = refused.code, refused.status, refused.detail
        fhir = b"/fhir/" in (scope.get("raw_path") or scope["path"].encode())[:20]
        extra: Headers = [(b"x-request-id", call.request_id.encode()), *call.limits, *call.cors]
        if refused.status == NO_CONTENT:
            headers = [*refused.headers, (b"x-request-id", call.request_id.encode())]
            await send({"type": "http.response.start", "status": NO_CONTENT, "headers": headers})
            self._finish(call)
            await send({"type": "http.response.body", "body": b""})
            return
        wanted = next((value for name, value in scope["headers"] if name == b"accept-language"), b"")[:200]
        status, headers, body = answer(
            refused, fhir=fhir, request_id=call.request_id, extra=extra, accept_language=wanted
        )
        call.bytes_out = len(body)
        if call.bodies is not None:
            call.bodies.answer, call.bodies.answer_type = [body], "application/json"
        if call.witness is not None:
            call.witness.answered = witnessed_fields(headers)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        self._finish(call)
        await send({"type": "http.response.body", "body": b"" if call.method == "HEAD" else body})

    def _finish(self, call: Call) -> None:
        call.ended = self._ticks()
        self._meter.count(call)


async def _to_nobody(_message: Message) -> None:
    """An answer that is lost on its way."""


async def _refuse_websocket(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket here"})
