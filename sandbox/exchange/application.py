"""The FHIR endpoint: route, admit, handle, answer. Every refusal leaves as an OperationOutcome.

http://hl7.org/fhir/R4/http.html
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from sandbox.exchange import openapi
from sandbox.exchange.auditing import AuditLog, wanted
from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.capabilities import statement
from sandbox.exchange.negotiation import FHIR_JSON, Format, answer_format, names_fhir, prefer
from sandbox.exchange.routes import ROUTES, Shape, methods
from sandbox.exchange.seams import Handler, Level
from sandbox.exchange.services import Services
from sandbox.exchange.xml_bodies import as_json, as_xml
from sandbox.fhir import definitions
from sandbox.fhir.outcomes import (
    BadRequestError,
    ConflictError,
    FhirError,
    ForbiddenError,
    InternalError,
    Language,
    MethodNotAllowedError,
    NotFoundError,
    StoreFullError,
    Text,
    TooLargeError,
    UnavailableError,
    UnprocessableError,
    preferred_language,
    unknown_type,
)
from sandbox.kernel.database import Transaction
from sandbox.kernel.errors import BusyError, FullError, StoreError, TooCostlyError
from sandbox.kernel.http import BadPath, Receive, Request, Response, Scope, Send, segments
from sandbox.search.request import pairs
from sandbox.security.access import Access, access_of
from sandbox.security.tokens import TokenVerifier, bearer
from sandbox.storage.encoding import indented
from sandbox.tenants import service as tenants
from sandbox.tenants.service import QuotaError, Tenant, UnknownTenantError

log = logging.getLogger("gozar.exchange")
PRODUCTION_TENANT = "production"
_DOCUMENTS = 16
"""OpenAPI documents kept, by the types they cover."""


class Exchange:
    """The ASGI application of `/fhir/R4`; `prefix` is the path it is mounted at."""

    def __init__(
        self, services: Services, verifier: TokenVerifier, audit: AuditLog, *, prefix: bytes, default_base: str
    ) -> None:
        self._services, self._verifier, self._audit = services, verifier, audit
        self._prefix, self._default_base = prefix, default_base
        self._metadata: bytes | None = None
        self._openapis: dict[tuple[str, ...], bytes] = {}
        services.dispatch = self._dispatch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        language = preferred_language(_text(request.headers.get(b"accept-language")))
        head = request.method == "HEAD"
        wanted_format: Format = "json"
        try:
            wanted_format = self._format(request)
            response = await self._answer(request, language)
        except FhirError as error:
            response = refusal(error, language)
        except StoreError as error:
            response = refusal(_store_error(error), language)
        except Exception:
            log.exception("unexpected error on %s %s", request.method, request.path.decode("latin-1"))
            text = Text("Something went wrong here; it has been recorded.", "خطایی در این سامانه رخ داد و ثبت شد.")
            response = refusal(InternalError(text), language)
        if wanted_format == "xml":
            response = as_xml(response)
        request_id = request.headers.get(b"x-request-id")
        if request_id is not None:
            response.headers.append((b"x-request-id", request_id))
        await response.send(send, head=head)

    async def _answer(self, request: Request, language: Language) -> Response:
        parts = self._segments(request)
        if parts == ["metadata"]:
            return self._capabilities(request)
        if parts == ["openapi.json"]:
            return await self._openapi(request)
        response = await self._handle(request, parts, language)
        asked = b"_pretty" in request.query and ("_pretty", "true") in pairs(request.query)
        if asked and response.body and (b"content-type", FHIR_JSON) in response.headers:
            response.body = indented(response.body)
        return response

    def _segments(self, request: Request) -> list[str]:
        try:
            return segments(request.path[len(self._prefix) :].removeprefix(b"/"))
        except BadPath:
            raise BadRequestError(
                Text("The path is ambiguous: no empty, dot or encoded-slash segments.", "نشانی مبهم است.")
            ) from None

    def _format(self, request: Request) -> Format:
        """The format of the answer. A Binary may be wanted as bytes of any type: whether it can, its reader tells."""
        query = pairs(request.query) if b"_format" in request.query else []
        formats = [value for name, value in query if name == "_format"]
        if not formats and request.path[len(self._prefix) :].startswith(b"/Binary/"):
            accept = request.headers.get(b"accept")
            return answer_format(accept, []) if accept and names_fhir(accept) else "json"
        return answer_format(request.headers.get(b"accept"), formats, lines=b"/$export" in request.path)

    def _capabilities(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise _not_allowed(request.method, ["GET", "HEAD"])
        if self._metadata is None:
            services = self._services
            self._metadata = statement(services.base_url, services.issuer, services.now(), services.operations)
        return json_response(self._metadata)

    async def _openapi(self, request: Request) -> Response:
        """The API as OpenAPI, for anybody; `_type` narrows it. Written off the loop: the whole of it takes half a second."""
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            raise _not_allowed(request.method, ["GET", "HEAD"])
        named = [value for name, value in pairs(request.query) if name == "_type"]
        types = tuple(sorted({part for value in named for part in value.split(",") if part}))
        for name in types:
            if name not in definitions.RESOURCE_TYPES:
                raise unknown_type(name)
        if types not in self._openapis:
            services = self._services
            made = await asyncio.to_thread(
                openapi.document, services.base_url, services.issuer, tuple(services.operations), types
            )
            if len(self._openapis) > _DOCUMENTS:
                self._openapis.clear()
            self._openapis[types] = made
        return Response(200, self._openapis[types], [(b"content-type", b"application/json")])

    async def _handle(self, request: Request, parts: list[str], language: Language) -> Response:
        claims = await self._verifier.claims(
            bearer(request.headers.get(b"authorization")), audience=self._services.base_url
        )
        access = access_of(claims, tenant=PRODUCTION_TENANT)
        if self._services.environment == "production":
            access = access_of({**claims, "tenant": PRODUCTION_TENANT}, tenant=PRODUCTION_TENANT)
        elif not claims.get("tenant"):
            raise ForbiddenError(Text("The access token names no Tenant.", "توکن دسترسی فضای آزمایشی ندارد."))
        request = await as_json(request)
        handler, interaction, place = self._find(request, parts)
        tenant = await self._tenant(access)
        if self._services.consents is not None:
            access = await self._services.consents(access, tenant, self._services.now() + tenant.clock_offset)
        call = Call(
            self._services,
            request,
            access,
            tenant,
            language,
            prefer(request.headers.get(b"prefer")),
            self._services.now() + tenant.clock_offset,
            *place,
            interaction,
        )
        return await self._audited(call, handler)

    async def _audited(self, call: Call, handler: Handler) -> Response:
        """Handle a call and record the access, whatever came of it."""
        audit, edge = self._audit, self._services.edge
        if wanted(call):
            await audit.make_events(call)
        try:
            response = await handler(call) if edge is None else await edge(call, handler)
        except FhirError as error:
            audit.note(call, error.status)
            raise
        except Exception:
            audit.note(call, 500)
            raise
        audit.note(call, response.status)
        return response

    def _find(self, request: Request, parts: list[str]) -> tuple[Handler, str, tuple[str, str, str]]:
        """The handler of a path, its interaction code, and the type, id and tail it names."""
        shape, rtype, fid, tail = locate(parts)
        method = "GET" if request.method == "HEAD" else request.method
        route = ROUTES.get((shape, method))
        return (
            self._handler(shape, method, rtype, fid, tail),
            route.interaction if route else "operation",
            (rtype, fid, tail),
        )

    async def _dispatch(self, outer: Call, request: Request) -> Response:
        """A request inside another one (an entry of a batch), for the same caller."""
        try:
            parts = segments(request.path)
        except BadPath:
            raise BadRequestError(Text("The URL is ambiguous.", "نشانی مبهم است.")) from None
        if parts == ["metadata"]:
            return self._capabilities(request)
        if not parts:
            raise BadRequestError(
                Text("A Bundle may not hold another Bundle to run.", "اجرای Bundle در دل Bundle ممکن نیست.")
            )
        handler, interaction, place = self._find(request, parts)
        call = replace(
            outer, request=request, interaction=interaction, rtype=place[0], fid=place[1], tail=place[2], remarks=[]
        )
        if wanted(call):
            await self._audit.make_events(call)
        return await handler(call)

    def _handler(self, shape: Shape, method: str, rtype: str, fid: str, tail: str) -> Handler:
        """The handler of a path. Raises `MethodNotAllowedError` or, for an unknown operation, `NotFoundError`."""
        if shape != "operation":
            route = ROUTES.get((shape, method))
            if route is None:
                raise _not_allowed(method, methods(shape))
            return route.handler
        level: Level = "instance" if fid else "type" if rtype else "system"
        operations = self._services.operations
        found = operations.get((rtype, level, tail)) or operations.get(("", level, tail))
        if found is None:
            known = sorted(f"${name}" for kind, own, name in operations if kind == rtype and own == level)
            raise NotFoundError(
                Text(
                    f"There is no operation ${tail} here. Known: {', '.join(known) or 'none'}.",
                    f"عملیات ${tail} در اینجا نیست. عملیات موجود: {'، '.join(known) or 'هیچ'}.",
                ),
                code="not-supported",
            )
        if method not in ("GET", "POST") and not (method == "DELETE" and tail.endswith("-status")):
            raise _not_allowed(method, ["GET", "POST"])
        return found

    async def _tenant(self, access: Access) -> Tenant:
        """The caller's Tenant; one that the portal has just made opens by itself, a deleted one stays shut."""
        database = self._services.store.database
        found = await tenants.of_call(database, access.tenant)
        if found is not None:
            return found
        if await tenants.was_deleted(database, access.tenant):
            raise ForbiddenError(Text("The Tenant of this token was deleted.", "فضای آزمایشی این توکن حذف شده است."))

        async def job(tx: Transaction) -> Tenant:
            made, _ = await tenants.open_tenant(
                tx, tenant=access.tenant, base=self._default_base, now=self._services.now()
            )
            return made

        return await database.write(job, lock=tenants.lock_of(access.tenant))


def locate(parts: list[str]) -> tuple[Shape, str, str, str]:
    """(shape, type, id, tail) of a path. Raises `NotFoundError` for what is no FHIR path."""
    if not parts:
        return "system", "", "", ""
    head = parts[0]
    if parts[-1].startswith("$") and len(parts) <= 3:
        return _operation(parts)
    if head == "_history" and len(parts) == 1:
        return "history", "", "", ""
    if head == "_search" and len(parts) == 1:
        return "search", "", "", ""
    if head not in definitions.RESOURCE_TYPES:
        raise unknown_type(head)
    match parts[1:]:
        case []:
            return "type", head, "", ""
        case ["_history"]:
            return "history", head, "", ""
        case ["_search"]:
            return "search", head, "", ""
        case [fid]:
            return "instance", head, fid, ""
        case [fid, "_history"]:
            return "history", head, fid, ""
        case [fid, "_history", version]:
            return "version", head, fid, version
        case [fid, tail, "_search"] if not tail.startswith(("$", "_")):
            return "search", head, fid, tail
        case [fid, tail] if not tail.startswith(("$", "_")):
            return "compartment", head, fid, tail
    raise NotFoundError(
        Text(f"There is nothing at {'/'.join(parts)!r}.", f"در «{'/'.join(parts)}» چیزی نیست."), code="not-supported"
    )


def _operation(parts: list[str]) -> tuple[Shape, str, str, str]:
    """http://hl7.org/fhir/R4/operations.html#executes"""
    if len(parts) > 1 and parts[0] not in definitions.RESOURCE_TYPES:
        raise unknown_type(parts[0])
    return "operation", parts[0] if len(parts) > 1 else "", parts[1] if len(parts) == 3 else "", parts[-1][1:]


def _not_allowed(method: str, allowed: list[str]) -> MethodNotAllowedError:
    return MethodNotAllowedError(
        Text(f"{method} is not answered here.", f"متد {method} در اینجا پشتیبانی نمی‌شود."),
        headers={"Allow": ", ".join(allowed)},
    )


def _store_error(error: StoreError) -> FhirError:
    """The store's own refusals in FHIR's words."""
    match error:
        case TooCostlyError():
            return UnprocessableError(
                Text(
                    f"This needs more than {error.seconds:g} seconds.",
                    f"این درخواست بیش از {error.seconds:g} ثانیه زمان می‌خواهد.",
                ),
                code="too-costly",
                hint=Text(
                    "Narrow it, for example by patient, date or code.",
                    "آن را محدودتر کنید؛ برای نمونه با بیمار، تاریخ یا کد.",
                ),
            )
        case BusyError():
            return UnavailableError(
                Text("The store is busy; try again shortly.", "انباره مشغول است؛ اندکی بعد دوباره تلاش کنید."),
                headers={"Retry-After": "1"},
            )
        case FullError():
            return StoreFullError(
                Text("The disk is full; nothing was written.", "دیسک پر است؛ چیزی نوشته نشد."),
                headers={"Retry-After": "60"},
            )
        case QuotaError():
            return TooLargeError(
                Text(
                    f"The Tenant is full: it may hold {error.limit} {error.resource}.",
                    f"ظرفیت فضای آزمایشی پر است ({error.limit} {error.resource}).",
                ),
                code="too-costly",
                hint=Text(
                    "Reset it, or delete what is not needed.", "آن را بازنشانی کنید یا منابع غیرلازم را حذف کنید."
                ),
            )
        case UnknownTenantError():
            return ForbiddenError(Text("There is no such Tenant.", "چنین فضای آزمایشی‌ای وجود ندارد."))
    return ConflictError(Text(str(error), "وضعیت کنونی اجازهٔ این کار را نمی‌دهد."))


def refusal(error: FhirError, language: Language) -> Response:
    headers = [(b"content-type", FHIR_JSON)]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in error.headers.items()]
    return Response(error.status, error.body(language), headers)


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode("latin-1")
