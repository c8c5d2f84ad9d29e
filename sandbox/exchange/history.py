"""history of an instance, a type, the whole Tenant. http://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.reading import matches, permitted, unbounded
from sandbox.fhir import dates, definitions
from sandbox.fhir.outcomes import BadRequestError, Text, unknown_resource
from sandbox.kernel.clock import instant
from sandbox.kernel.http import Response
from sandbox.search.cursors import question_of
from sandbox.search.request import MAX_COUNT
from sandbox.security.access import Limit
from sandbox.storage.repository import CREATED, DELETED, PATCHED, Stored

DEFAULT_COUNT = 20
_WHOLE = (Limit(),)
_FIELDS = "vid, layer, rtype, fid, ver, updated, method, body"
_METHODS = {CREATED: "POST", PATCHED: "PATCH", DELETED: "DELETE"}


class _Asked:
    """Parameters of a history request."""

    def __init__(self, call: Call) -> None:
        self.count, self.cursor = DEFAULT_COUNT, ""
        self.since: int | None = None
        self.at: dates.DateRange | None = None
        self.used: list[tuple[str, str]] = []
        for name, value in call.query:
            match name:
                case "_count":
                    if not value.isascii() or not value.isdigit() or len(value) > 9:
                        raise _bad("_count", "a whole number", "عدد صحیح نامنفی")
                    self.count = min(int(value), MAX_COUNT)
                case "_since":
                    self.since = dates.search_range(value, "_since").lo
                case "_at":
                    self.at = dates.search_range(value, "_at")
                case "_cursor":
                    self.cursor = value
                case "_format" | "_pretty":
                    pass
                case _:
                    raise BadRequestError(
                        Text(f"History has no parameter {name!r}.", f"تاریخچه پارامتر «{name}» ندارد."),
                        code="not-supported",
                    )
            if name not in ("_cursor", "_format", "_pretty"):
                self.used.append((name, value))


def _bad(name: str, en: str, fa: str) -> BadRequestError:
    return BadRequestError(Text(f"{name} must be {en}.", f"مقدار {name} باید {fa} باشد."), code="value")


def _types(call: Call) -> list[str]:
    """Types whose history the caller may read."""
    if call.rtype:
        call.access.need(call.rtype, "r")
        return [call.rtype]
    return [t for t in sorted(definitions.RESOURCE_TYPES) if call.access.limits(t, "r")]


async def history(call: Call) -> Response:
    """Newest first, in pages. `rtype` and `fid` of the call narrow it."""
    asked, types = _Asked(call), _types(call)
    store, tenant = call.services.store, call.tenant
    binding = question_of(asked.used, f"{call.rtype}/{call.fid}/_history")
    bind_tenant = f"{tenant.tenant}/{tenant.revision}"
    before = 2**62
    if asked.cursor:
        _, values = call.services.cursors.read(asked.cursor, tenant=bind_tenant, question=binding, now=call.now)
        before = int(values[0])
    numbers = [store.dictionary.types[t] for t in types]
    sql, args = _sql(call, asked, numbers, before)
    rows = [Stored(*row) for row in await store.database.rows(sql, args)]
    if call.fid and not rows and not asked.cursor and not asked.used:
        raise unknown_resource(call.rtype, call.fid)
    page, more = rows[: asked.count], len(rows) > asked.count
    edge = page[-1].vid if page and more else 0
    shown = [row for row in page if await _visible(call, row)]
    if call.fid and page and not shown and not asked.cursor:
        raise unknown_resource(call.rtype, call.fid)
    cursor = call.services.cursors.make([edge], tenant=bind_tenant, question=binding, now=call.now) if edge else ""
    total = len(shown) if not more and not asked.cursor else None
    if total is None and call.fid and call.access.limits(call.rtype, "r") == _WHOLE:
        total = await _count(call)
    return json_response(_bundle(call, shown, asked, cursor, total))


async def _visible(call: Call, row: Stored) -> bool:
    limits = call.access.limits(call.services.store.dictionary.type_names[row.rtype], "r")
    if unbounded(limits, row.body):
        return True
    return await permitted(call, row, limits) or (not row.deleted and await matches(call, row, limits))


async def _count(call: Call) -> int:
    store = call.services.store
    rows = await store.database.rows(
        "SELECT COUNT(*) FROM version WHERE layer IN (?1, ?2) AND rtype=?3 AND fid=?4",
        (call.tenant.layer, call.tenant.base_layer, store.dictionary.types[call.rtype], call.fid),
    )
    return int(rows[0][0])


def _sql(call: Call, asked: _Asked, types: Sequence[int], before: int) -> tuple[str, list[Any]]:
    """Own layer and base merged by version number; a page and one row more."""
    args: list[Any] = [call.tenant.layer, call.tenant.base_layer, before, asked.count + 1]
    conditions = ["v.vid<?3"]
    if call.fid:
        args.append(call.fid)
        conditions.append(f"v.rtype={types[0]} AND v.fid=?{len(args)}")
    elif call.rtype or len(types) < len(definitions.RESOURCE_TYPES):
        conditions.append(f"v.rtype IN ({','.join(map(str, types)) or '-1'})")
    if asked.since is not None:
        args.append(asked.since)
        conditions.append(f"v.updated>=?{len(args)}")
    if asked.at is not None:
        # Versions that were current at some moment of the span: written before its end, not replaced before its start.
        args += [asked.at.hi, asked.at.lo]
        conditions.append(
            f"v.updated<?{len(args) - 1} AND NOT EXISTS (SELECT 1 FROM version n WHERE n.layer IN (?1, ?2) "
            f"AND n.rtype=v.rtype AND n.fid=v.fid AND n.ver=v.ver+1 AND n.updated<=?{len(args)})"
        )
    arms = [
        f"SELECT * FROM (SELECT {_FIELDS} FROM version v WHERE v.layer={layer} AND {' AND '.join(conditions)} "
        f"ORDER BY v.vid DESC LIMIT ?4) a{n}"
        for n, layer in enumerate(("?1", "?2"))
    ]
    return f"SELECT * FROM ({' UNION ALL '.join(arms)}) u ORDER BY vid DESC LIMIT ?4", args


def _bundle(call: Call, rows: list[Stored], asked: _Asked, cursor: str, total: int | None) -> bytes:
    base = call.services.base_url
    path = "/".join(part for part in (base, call.rtype, call.fid, "_history") if part)
    query = urlencode(asked.used)
    links = [{"relation": "self", "url": f"{path}?{query}" if query else path}]
    if cursor:
        links.append({"relation": "next", "url": f"{path}?{query}{'&' if query else ''}_cursor={cursor}"})
    head: dict[str, Any] = {"resourceType": "Bundle", "type": "history"}
    if total is not None:
        head["total"] = total
    head["link"] = links
    if rows:
        head["entry"] = [_entry(call, base, row) for row in rows]
    return orjson.dumps(head)


def _entry(call: Call, base: str, row: Stored) -> dict[str, Any]:
    rtype = call.services.store.dictionary.type_names[row.rtype]
    created = row.method == CREATED
    method = _METHODS.get(row.method, "PUT")
    entry: dict[str, Any] = {"fullUrl": f"{base}/{rtype}/{row.fid}"}
    if row.body:
        entry["resource"] = orjson.Fragment(row.body)
    entry["request"] = {"method": method, "url": rtype if method == "POST" else f"{rtype}/{row.fid}"}
    entry["response"] = {
        "status": "204" if row.method == DELETED else "201" if created else "200",
        "location": f"{base}/{rtype}/{row.fid}/_history/{row.ver}",
        "etag": f'W/"{row.ver}"',
        "lastModified": instant(row.updated),
    }
    return entry
