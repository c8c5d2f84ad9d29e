"""read, vread, and reading under limits."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from sandbox.exchange.calls import Call, stored_response, version_headers
from sandbox.fhir.folding import fold_token
from sandbox.fhir.outcomes import BadRequestError, Text, deleted_resource, unknown_resource
from sandbox.kernel.clock import micros
from sandbox.kernel.database import Database, Transaction
from sandbox.kernel.http import Response
from sandbox.search.probes import BASE, OWN
from sandbox.search.projection import project
from sandbox.search.request import SearchRequest, understand
from sandbox.search.sql import conditions_sql
from sandbox.security.access import Apart, Limit
from sandbox.storage import repository
from sandbox.storage.encoding import load
from sandbox.storage.repository import Stored

_WHOLE = (Limit(),)
_SHOWING = frozenset({"_summary", "_elements", "_format", "_pretty"})


async def read(call: Call) -> Response:
    """http://hl7.org/fhir/R4/http.html#read"""
    found = await visible(call)
    if found is None:
        raise unknown_resource(call.rtype, call.fid)
    if found.deleted:
        raise deleted_resource(call.rtype, call.fid, str(found.ver))
    if unchanged(call, found):
        return Response(304, b"", version_headers(found.ver, found.updated))
    body = found.body
    if call.request.query:
        shown = showing(call)
        body = project(body, summary=shown.summary, elements=shown.elements)
    return stored_response(found, body)


async def visible(call: Call, letter: str = "r") -> Stored | None:
    """The newest version, None when the caller may not see it: hidden and absent look the same."""
    limits = call.access.need(call.rtype, letter)  # type: ignore[arg-type]  # handlers pass a scope letter
    store = call.services.store
    found = await repository.read(store.database, call.tenant, store.dictionary.types[call.rtype], call.fid)
    if found is None or limits == _WHOLE:
        return found
    return found if await permitted(call, found, limits) else None


def _untouched(found: Stored, limits: tuple[Limit, ...]) -> bool:
    """Whether nothing but consents limits the caller, and the body names none of the patients they are about."""
    whole = next((limit for limit in limits if limit.compartment is None and not limit.query), None)
    return (
        whole is not None
        and bool(found.body)
        and not any(apart.patient.encode() in found.body for apart in whole.apart)
    )


async def permitted(
    call: Call, found: Stored, limits: tuple[Limit, ...], *, source: Database | Transaction | None = None
) -> bool:
    """Whether the caller's limits let a version through; of a deletion, whether they let its last content through."""
    if _untouched(found, limits):
        return True
    store = call.services.store
    vid, layer = found.vid, found.layer
    if found.deleted:
        before = await repository.read_version(store.database, call.tenant, found.rtype, found.fid, found.ver - 1)
        if before is None or not before.body:
            return False
        return await matches(call, before, limits)
    compiler = call.services.compiler(call.access, call.now)
    compiler.limits = lambda _rtype: limits
    criteria = compiler.conjunction(store.dictionary.type_names[found.rtype], [])
    own = OWN if layer == call.tenant.layer else BASE
    condition = conditions_sql(tuple(c.shape for c in criteria), own, "?3", 4, found.rtype, store.database.dialect)
    args = [call.tenant.layer, call.tenant.base_layer, vid, *(a for c in criteria for a in c.args)]
    sql = f"SELECT 1 WHERE {condition} AND CAST(?1 AS BIGINT)>0 AND CAST(?2 AS BIGINT)>0"
    return bool(await (source or store.database).rows(sql, args))


async def matches(call: Call, found: Stored, limits: tuple[Limit, ...]) -> bool:
    """As `permitted` for a version that has no index rows any more: its compartments follow from its body."""
    store = call.services.store
    entries = store.indexer.entries(load(found.body))
    labels = {f"{system}|{code}" for parameter, system, code in entries.tokens if parameter == "_security"}

    def kept(apart: Apart) -> bool:
        return ("Patient", apart.patient) in entries.compartments and (
            not apart.labels or any(_folded(label) in labels for label in apart.labels)
        )

    return any(
        (limit.compartment is None or limit.compartment in entries.compartments) and not any(map(kept, limit.apart))
        for limit in limits
        if not limit.query
    )


def _folded(label: str) -> str:
    system, _, code = label.rpartition("|")
    return f"{system}|{fold_token(code)}"


def showing(call: Call) -> SearchRequest:
    """`_summary` and `_elements` of a read."""
    for name, _ in call.query:
        if name not in _SHOWING:
            raise BadRequestError(
                Text(f"Parameter {name!r} means nothing on a read.", f"پارامتر «{name}» در خواندن یک منبع معنا ندارد."),
                code="not-supported",
            )
    return understand((call.rtype,), call.query)


def unchanged(call: Call, found: Stored) -> bool:
    """RFC 9110 §13: If-None-Match outweighs If-Modified-Since."""
    tags = call.header(b"if-none-match")
    if tags is not None:
        wanted = [tag.strip().removeprefix("W/").strip('"') for tag in tags.decode("latin-1").split(",")]
        return "*" in wanted or str(found.ver) in wanted
    since = call.header(b"if-modified-since")
    if since is None:
        return False
    try:
        moment = parsedate_to_datetime(since.decode("latin-1"))
    except ValueError:
        return False  # an invalid date is ignored (RFC 9110 §13.1.3)
    return moment.tzinfo is not None and found.updated // 1_000_000 * 1_000_000 <= micros(moment)


async def vread(call: Call) -> Response:
    """http://hl7.org/fhir/R4/http.html#vread"""
    limits = call.access.need(call.rtype, "r")
    newest = await visible(call)
    if newest is None:
        raise unknown_resource(call.rtype, call.fid)
    ver = int(call.tail) if call.tail.isascii() and call.tail.isdigit() and len(call.tail) < 9 else 0
    store = call.services.store
    found = await repository.read_version(store.database, call.tenant, newest.rtype, call.fid, ver)
    if found is None or (
        found.ver != newest.ver and limits != _WHOLE and not await _readable_past(call, found, limits)
    ):
        raise unknown_resource(call.rtype, f"{call.fid}/_history/{call.tail}")
    if found.deleted:
        raise deleted_resource(call.rtype, call.fid, str(found.ver))
    return stored_response(found, found.body)


async def _readable_past(call: Call, found: Stored, limits: tuple[Limit, ...]) -> bool:
    return not found.deleted and await matches(call, found, limits)
