"""read, vread, and reading under limits."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from sandbox.exchange.binaries import as_bytes, wants_bytes
from sandbox.exchange.calls import Call, stored_response, version_headers
from sandbox.fhir.outcomes import BadRequestError, Text, deleted_resource, unknown_resource
from sandbox.kernel.clock import micros
from sandbox.kernel.database import Database, Transaction
from sandbox.kernel.http import Response
from sandbox.search import aside
from sandbox.search.criteria import Criterion
from sandbox.search.probes import BASE, OWN
from sandbox.search.projection import project
from sandbox.search.request import SearchRequest, understand
from sandbox.search.sql import met_sql
from sandbox.security.access import Letter, Limit
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
    if wants_bytes(call):
        return as_bytes(call, body, version_headers(found.ver, found.updated))
    if call.request.query:
        shown = showing(call)
        body = project(body, summary=shown.summary, elements=shown.elements)
    return stored_response(found, body)


async def visible(call: Call, letter: Letter = "r") -> Stored | None:
    """The newest version, None when the caller may not see it: hidden and absent look the same."""
    limits = call.access.need(call.rtype, letter)
    store = call.services.store
    found = await repository.read(store.database, call.tenant, store.dictionary.types[call.rtype], call.fid)
    if found is None or unbounded(limits, found.body):
        return found
    return found if await permitted(call, found, limits) else None


async def must_reach(call: Call, rtype: str, fid: str, letter: Letter) -> None:
    """Raises `NotFoundError` when there is such a resource, or was, beyond the caller's limits: hidden and absent look the same."""
    limits = call.access.limits(rtype, letter)
    if limits == _WHOLE and rtype != "Binary":
        return
    store = call.services.store
    found = await repository.read(store.database, call.tenant, store.dictionary.types[rtype], fid)
    if found is not None and not unbounded(limits, found.body) and not await permitted(call, found, limits):
        raise unknown_resource(rtype, fid)


def unbounded(limits: tuple[Limit, ...], body: bytes) -> bool:
    """Whether nothing limits the caller: neither the token nor, for a Binary, the resource that it is guarded as."""
    return limits == _WHOLE and _GUARDED not in body


_GUARDED = b'"securityContext"'


def _untouched(found: Stored, limits: tuple[Limit, ...]) -> bool:
    """Whether nothing but consents limits the caller, and the body names none of the patients they are about."""
    whole = next((limit for limit in limits if limit.compartment is None and not limit.query), None)
    return (
        whole is not None
        and bool(found.body)
        and _GUARDED not in found.body
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
    criteria = _criteria(call, found, limits)
    own = OWN if layer == call.tenant.layer else BASE
    condition = met_sql(tuple(c.shape for c in criteria), own, "?3", 4, found.rtype, store.database.dialect)
    args = [call.tenant.layer, call.tenant.base_layer, vid, *(a for c in criteria for a in c.args)]
    sql = (
        f"SELECT 1 WHERE {condition} AND EXISTS (SELECT 1 FROM version z WHERE z.vid=?3 AND z.live=1) "
        "AND CAST(?1 AS BIGINT)>0 AND CAST(?2 AS BIGINT)>0"
    )
    return bool(await (source or store.database).rows(sql, args))


def _criteria(call: Call, found: Stored, limits: tuple[Limit, ...]) -> list[Criterion]:
    """The caller's limits on one resource as criteria."""
    own = call.services.store.dictionary.type_names[found.rtype]
    compiler = call.services.compiler(call.access, call.now, letter="r")
    elsewhere = compiler.limits
    compiler.limits = lambda rtype: limits if rtype == own else elsewhere(rtype)
    return compiler.conjunction(own, [])


async def matches(call: Call, found: Stored, limits: tuple[Limit, ...]) -> bool:
    """As `permitted` for a version that has no index rows any more."""
    store = call.services.store
    resource = load(found.body)
    rows = await store.indexer.numbered(resource["resourceType"], store.indexer.entries(resource))
    criteria = _criteria(call, found, limits)
    return aside.meets(
        tuple(c.shape for c in criteria),
        [arg for c in criteria for arg in c.args],
        rtype=found.rtype,
        fid=found.fid,
        updated=found.updated,
        body=found.body,
        rows=rows,
    )


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
        found.ver != newest.ver
        and not unbounded(limits, found.body)
        and (found.deleted or not await matches(call, found, limits))
    ):
        raise unknown_resource(call.rtype, f"{call.fid}/_history/{call.tail}")
    if found.deleted:
        raise deleted_resource(call.rtype, call.fid, str(found.ver))
    if wants_bytes(call):
        return as_bytes(call, found.body, version_headers(found.ver, found.updated))
    return stored_response(found, found.body)
