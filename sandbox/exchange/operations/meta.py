"""$meta, $meta-add, $meta-delete. http://hl7.org/fhir/R4/resource-operation-meta.html"""

from __future__ import annotations

from typing import Any

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.committing import settle
from sandbox.exchange.intents import Intent
from sandbox.exchange.operations import inputs
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.exchange.writing import draft
from sandbox.fhir import definitions
from sandbox.fhir.outcomes import BadRequestError, MethodNotAllowedError, Text, deleted_resource, unknown_resource
from sandbox.kernel.http import Response
from sandbox.security.access import Letter, Limit
from sandbox.storage.encoding import dump, load
from sandbox.storage.repository import Stored

_LISTS = ("profile", "security", "tag")
_MANY = 500
_WHOLE = (Limit(),)


def _answer(meta: dict[str, Any]) -> Response:
    return json_response(dump({"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}))


async def _current(call: Call, letter: Letter = "r") -> Stored:
    call.access.need(call.rtype, letter)
    found = await visible(call, letter)
    if found is None:
        raise unknown_resource(call.rtype, call.fid)
    if found.deleted:
        raise deleted_resource(call.rtype, call.fid, str(found.ver))
    return found


async def meta(call: Call) -> Response:
    """The meta of one resource, or what a type or the whole Tenant uses of tags, labels and profiles."""
    if call.fid:
        return _answer(load((await _current(call)).body)["meta"])
    types = [call.rtype] if call.rtype else sorted(definitions.RESOURCE_TYPES)
    if call.rtype:
        call.access.need(call.rtype, "s")
    return _answer(await _used(call, [t for t in types if call.access.limits(t, "s")]))


async def _used(call: Call, types: list[str]) -> dict[str, Any]:
    """Labels in use; only of types the caller sees whole, as a label may tell of what lies beyond a limit."""
    store, tenant = call.services.store, call.tenant
    names = {number: uri for uri, number in store.dictionary.systems.items()}
    whole = [t for t in types if call.access.limits(t, "s") == _WHOLE and t != "Binary"]
    found: dict[str, Any] = {}
    for name in ("security", "tag"):
        params = ",".join(str(store.dictionary.params[f"{t}._{name}"]) for t in whole) or "-1"
        rows = await store.database.rows(
            f"SELECT DISTINCT system, code FROM idx_token WHERE layer IN (?1, ?2) AND param IN ({params}) LIMIT {_MANY}",
            (tenant.layer, tenant.base_layer),
        )
        if rows:
            codings = [{"system": names.get(system, ""), "code": code} for system, code in sorted(rows)]
            found[name] = [{k: v for k, v in coding.items() if v} for coding in codings]
    params = ",".join(str(store.dictionary.params[f"{t}._profile"]) for t in whole) or "-1"
    rows = await store.database.rows(
        f"SELECT DISTINCT value FROM idx_uri WHERE layer IN (?1, ?2) AND param IN ({params}) LIMIT {_MANY}",
        (tenant.layer, tenant.base_layer),
    )
    if rows:
        found["profile"] = sorted(row[0] for row in rows)
    return found


async def add(call: Call) -> Response:
    return await _change(call, remove=False)


async def delete(call: Call) -> Response:
    return await _change(call, remove=True)


async def _change(call: Call, *, remove: bool) -> Response:
    if call.request.method != "POST":
        raise MethodNotAllowedError(
            Text("Send this with POST.", "این عملیات را با POST بفرستید."), headers={"Allow": "POST"}
        )
    given = (await inputs.read(call)).parts.get("meta")
    if not isinstance(given, dict):
        raise BadRequestError(
            Text("The parameter meta (valueMeta) is needed.", "پارامتر meta لازم است."), code="required"
        )

    async def prepare() -> Intent:
        current = await _current(call, "u")
        resource = load(current.body)
        merged = dict(resource.get("meta") or {})
        for name in _LISTS:
            kept = _merged(merged.get(name) or [], given.get(name) or [], remove=remove)
            merged.pop(name, None)
            if kept:
                merged[name] = kept
        whole, rows = await draft(call, resource | {"meta": merged}, call.fid)
        return Intent("update", call.rtype, call.fid, whole, rows, prepared_on=current.ver)

    result = await settle(call, prepare)
    if result.written is None:
        raise unknown_resource(call.rtype, call.fid)
    return _answer(load(result.written.body)["meta"])


def _merged(own: list[Any], given: list[Any], *, remove: bool) -> list[Any]:
    keys = {_key(item) for item in given}
    kept = [item for item in own if _key(item) not in keys]
    return kept if remove else [*kept, *given]


def _key(item: Any) -> object:
    return (item.get("system"), item.get("code")) if isinstance(item, dict) else item


OPERATIONS: dict[OperationKey, Handler] = {
    ("", "system", "meta"): meta,
    ("", "type", "meta"): meta,
    ("", "instance", "meta"): meta,
    ("", "instance", "meta-add"): add,
    ("", "instance", "meta-delete"): delete,
}
