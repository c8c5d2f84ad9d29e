"""search on a type, a compartment or the whole Tenant, by GET and by POST. http://hl7.org/fhir/R4/http.html#search"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.negotiation import FORM, media_type, read_body
from sandbox.exchange.own_terms import compiler_for
from sandbox.exchange.reading import read as read_one
from sandbox.exchange.reading import visible
from sandbox.fhir import definitions
from sandbox.fhir.outcomes import (
    Issue,
    Text,
    UnsupportedMediaError,
    unknown_resource,
    unknown_type,
)
from sandbox.kernel.http import Response
from sandbox.search import includes, service
from sandbox.search.compile import member
from sandbox.search.criteria import Criterion
from sandbox.search.request import MAX_COUNT, SearchRequest, pairs, understand

__all__ = ["compartment", "post_search", "read_one", "search", "system_search"]
MAX_FORM = 256 * 1024
MAX_TYPES = 40
_AUDIT = "AuditEvent"  # found only by who asks for it: every search would find the one before


async def search(call: Call) -> Response:
    """GET [type]?..., and GET [compartment]/[id]/[type]/_search"""
    if call.tail:
        return await _in_compartment(call, call.query)
    call.access.need(call.rtype, "s")
    return await run(call, understand((call.rtype,), call.query), call.rtype)


async def post_search(call: Call) -> Response:
    """POST [type]/_search; parameters of the URL and of the form count alike."""
    kind = media_type(call.request)
    if kind not in (FORM, "application/fhir+json") or (kind != FORM and call.header(b"content-type")):
        raise UnsupportedMediaError(Text(f"_search takes a form ({FORM}).", f"‎_search فرم می‌گیرد ({FORM})."))
    body = await read_body(call.request, MAX_FORM)
    parameters = [*call.query, *pairs(body)]
    if not call.rtype:
        return await _system(call, parameters)
    if call.tail:
        return await _in_compartment(call, parameters)
    call.access.need(call.rtype, "s")
    return await run(call, understand((call.rtype,), parameters), call.rtype)


async def system_search(call: Call) -> Response:
    """GET [base]?_type=..."""
    return await _system(call, call.query)


async def _system(call: Call, parameters: Sequence[tuple[str, str]]) -> Response:
    named = service.types_of(parameters)
    for rtype in named:
        call.access.need(rtype, "s")
    types = named or tuple(t for t in await held_types(call) if t != _AUDIT and call.access.limits(t, "s"))[:MAX_TYPES]
    return await run(call, understand(types, parameters), "")


async def held_types(call: Call) -> list[str]:
    """Types of which the Tenant or its base holds anything."""
    names = call.services.store.dictionary.type_names
    rows = await call.services.store.database.rows(
        "WITH RECURSIVE t(layer, n) AS ("
        " SELECT * FROM (SELECT CAST(?1 AS INTEGER) AS layer, (SELECT MIN(rtype) FROM version WHERE layer=?1 AND live=1) AS n"
        " UNION ALL SELECT CAST(?2 AS INTEGER), (SELECT MIN(rtype) FROM version WHERE layer=?2 AND live=1)) s"
        " UNION ALL SELECT t.layer, (SELECT MIN(v.rtype) FROM version v WHERE v.layer=t.layer AND v.live=1 AND v.rtype>t.n)"
        " FROM t WHERE t.n IS NOT NULL) SELECT DISTINCT n FROM t WHERE n IS NOT NULL",
        (call.tenant.layer, call.tenant.base_layer),
    )
    return sorted(names[row[0]] for row in rows)


async def compartment(call: Call) -> Response:
    """GET [compartment]/[id]/[type] or `*` (http://hl7.org/fhir/R4/http.html#vsearch)"""
    return await _in_compartment(call, call.query)


async def _in_compartment(call: Call, parameters: Sequence[tuple[str, str]]) -> Response:
    kind = call.rtype
    try:
        members = definitions.compartment_types(kind)
    except definitions.UnknownTypeError:
        raise unknown_resource(kind, f"{call.fid}/{call.tail}") from None
    if call.tail == "*":
        named = service.types_of(parameters) or tuple(t for t in members if t != _AUDIT)
        types = tuple(t for t in named if t in members and call.access.limits(t, "s"))
    elif call.tail not in definitions.RESOURCE_TYPES:
        raise unknown_type(call.tail)
    else:
        call.access.need(call.tail, "s")
        types = (call.tail,)
    found = await visible(call)
    if found is None:
        raise unknown_resource(kind, call.fid)
    request = understand(types, parameters)
    return await run(call, request, f"{kind}/{call.fid}/{call.tail}", extra=[member(kind, call.fid)])


async def run(call: Call, request: SearchRequest, path: str, extra: Sequence[Criterion] = ()) -> Response:
    """One page of a search as a Bundle."""
    services, lenient = call.services, call.prefer.handling == "lenient"
    store = services.store
    for _ in range(2):
        compiler = await compiler_for(call, request.criteria, lenient=lenient)
        question = service.compile_question(compiler, request, path, extra)
        if not compiler.unknown or not await store.dictionary.find_systems(compiler.unknown):
            break
    page = await service.find(store, call.tenant, request, question, services.cursors, call.now)
    included = None
    warnings: list[Issue] = []
    if (request.includes or request.revincludes) and page.rows:
        included = await includes.collect(store.database, call.tenant, compiler, request, page.rows)
        if included.cut:
            warnings.append(
                Issue(
                    "warning",
                    "too-costly",
                    Text(
                        f"More than {includes.MAX_INCLUDED} resources would be included; the rest is left out.",
                        f"بیش از {includes.MAX_INCLUDED} منبع پیوست می‌شد؛ بقیه کنار گذاشته شد.",
                    ),
                )
            )
    if compiler.ignored:
        ignored = ", ".join(dict.fromkeys(compiler.ignored))
        request.used = [(n, v) for n, v in request.used if n not in compiler.ignored]
        warnings.append(
            Issue(
                "warning",
                "not-supported",
                Text(f"Ignored, as asked: {ignored}.", f"بنا به درخواست نادیده گرفته شد: {ignored}."),
            )
        )
    rendering = service.Rendering(services.base_url, path, call.language, _verbatim(call, request))
    links = service.cursor_links(services.cursors, call.tenant, page, question, call.now)
    body = service.bundle(page, included, request, rendering, store.dictionary.type_names, links, warnings)
    return json_response(body)


def _verbatim(call: Call, request: SearchRequest) -> bytes:
    """The query of a plain GET, when links may repeat it word for word."""
    query = call.request.query
    plain = call.request.method != "POST" and query.isascii() and not any(mark in query for mark in _OWN)
    return query if plain and request.count < MAX_COUNT and call.prefer.handling != "lenient" else b""


_OWN = (b"_cursor", b"_format", b"_pretty", b"%5F", b"%5f", b" ", b"<", b">")
