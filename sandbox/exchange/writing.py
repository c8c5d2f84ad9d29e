"""create, update, patch, delete and their conditional forms: prepared outside the transaction, decided inside it.

What a write depends on (the target of a condition, the version that a patch was applied to) is looked up first and checked
again under the write lock; when it moved, the write is prepared anew.
http://hl7.org/fhir/R4/http.html#create
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from sandbox.exchange.binaries import body_of
from sandbox.exchange.calls import Call, json_response, location, version_headers
from sandbox.exchange.checking import Key, check_all_but_references, missing, refuse_missing
from sandbox.exchange.committing import out_of_reach, settle
from sandbox.exchange.intents import Intent, Result, condition_of, target_of
from sandbox.exchange.negotiation import version_of
from sandbox.exchange.reading import must_reach, visible
from sandbox.fhir.entries import IndexEntries
from sandbox.fhir.outcomes import (
    ALL_OK,
    BadRequestError,
    NotFoundError,
    Text,
    deleted_resource,
    outcome_bytes,
    unknown_resource,
)
from sandbox.kernel.http import Response
from sandbox.kernel.ids import is_fhir_id, new_id
from sandbox.storage.rows import IndexRows


async def draft(
    call: Call, resource: dict[str, Any], fid: str, known: Collection[str] = ()
) -> tuple[dict[str, Any], IndexRows]:
    """A checked resource with its id, and its index rows. `known`: what the same transaction brings into being."""
    whole, rows, needed = await draft_but_references(call, resource, fid, known)
    refuse_missing(call, whole, await missing(call, needed))
    return whole, rows


async def draft_but_references(
    call: Call, resource: dict[str, Any], fid: str, known: Collection[str] = ()
) -> tuple[dict[str, Any], IndexRows, list[Key]]:
    """As `draft`, with the references that are still to be looked for."""
    whole = {"resourceType": resource["resourceType"], "id": fid}
    whole |= {k: v for k, v in resource.items() if k not in whole}
    indexer = call.services.store.indexer
    entries = indexer.entries(whole)
    _stay_inside(call, whole["resourceType"], entries)
    needed = await check_all_but_references(call, whole, entries, {*known, f"{whole['resourceType']}/{fid}"})
    return whole, await indexer.numbered(whole["resourceType"], entries), needed


def _stay_inside(call: Call, rtype: str, entries: IndexEntries) -> None:
    """Refuses what lies outside the caller's compartments before anything is said about what it refers to."""
    ways = {*call.access.limits(rtype, "c"), *call.access.limits(rtype, "u")}
    if rtype != "Binary" and ways and all(w.compartment and w.compartment not in entries.compartments for w in ways):
        raise out_of_reach(rtype)


async def create(call: Call) -> Response:
    resource = await body_of(call)
    call.access.need(call.rtype, "c")
    condition = _create_condition(call)

    async def prepare() -> Intent:
        fid = new_id()
        question, met = None, ""
        if condition is not None:
            question = await condition_of(call, call.rtype, condition.decode("latin-1"))
            met = await target_of(call, call.rtype, question)
        whole, rows, needed = await draft_but_references(call, resource, fid)
        return Intent("create", call.rtype, fid, whole, rows, question, met, needed=needed)

    return answer(call, await settle(call, prepare))


def _create_condition(call: Call) -> bytes | None:
    """`If-None-Exist`, or the search that several clients put into the URL instead: unread, it would make duplicates."""
    condition = call.header(b"if-none-exist")
    if condition is None and any(name not in ("_format", "_pretty") for name, _ in call.query):
        return call.request.query
    return condition


def id_in_body(resource: dict[str, Any], fid: str, rtype: str) -> None:
    """http://hl7.org/fhir/R4/http.html#update: the body's id must be there and agree with the URL."""
    named = resource.get("id")
    if named != fid:
        raise BadRequestError(
            Text(
                f"The body's id is {named!r}, the URL's is {fid!r}; they must agree."
                if named
                else f"The body must carry the id {fid!r}.",
                f"شناسهٔ بدنه «{named}» با شناسهٔ نشانی «{fid}» یکی نیست."
                if named
                else f"بدنه باید شناسهٔ «{fid}» را داشته باشد.",
            ),
            code="invalid",
            expression=(f"{rtype}.id",),
        )


def legal_id(fid: str) -> None:
    if not is_fhir_id(fid):
        raise BadRequestError(
            Text(f"{fid!r} is not a legal id.", f"«{fid}» شناسهٔ مجازی نیست."),
            code="value",
            hint=Text(
                "Use 1 to 64 letters, digits, '-' and '.'.", "از ۱ تا ۶۴ حرف لاتین، رقم، «-» و «.» استفاده کنید."
            ),
        )


async def update(call: Call) -> Response:
    resource = await body_of(call)
    legal_id(call.fid)
    id_in_body(resource, call.fid, call.rtype)
    call.access.need(call.rtype, "u")
    await must_reach(call, call.rtype, call.fid, "u")
    if_match, must_be_new = preconditions(call)

    async def prepare() -> Intent:
        whole, rows = await draft(call, resource, call.fid)
        return Intent("update", call.rtype, call.fid, whole, rows, if_match=if_match, must_be_new=must_be_new)

    return answer(call, await settle(call, prepare))


def preconditions(call: Call) -> tuple[str, bool]:
    """(version of If-Match, whether If-None-Match: * was sent)."""
    match, none_match = call.header(b"if-match"), call.header(b"if-none-match")
    wanted = version_of(match, "If-Match") if match is not None and match.strip() != b"*" else ""
    return wanted, none_match is not None and none_match.strip() == b"*"


async def update_by_condition(call: Call) -> Response:
    """PUT [type]?condition (http://hl7.org/fhir/R4/http.html#cond-update)"""
    resource = await body_of(call)
    call.access.need(call.rtype, "u")
    if_match, _ = preconditions(call)

    async def prepare() -> Intent:
        question = await condition_of(call, call.rtype, call.request.query.decode("latin-1"))
        met = await target_of(call, call.rtype, question)
        named = str(resource.get("id") or "")
        if met and named and named != met:
            raise BadRequestError(
                Text(
                    f"The condition finds {met!r}, the body says {named!r}.",
                    f"شرط «{met}» را می‌یابد ولی بدنه «{named}» است.",
                )
            )
        fid = met or named or new_id()
        legal_id(fid)
        whole, rows = await draft(call, resource, fid)
        return Intent("update", call.rtype, fid, whole, rows, question, met, if_match=if_match)

    return answer(call, await settle(call, prepare))


async def delete(call: Call) -> Response:
    """http://hl7.org/fhir/R4/http.html#delete"""
    call.access.need(call.rtype, "d")
    found = await visible(call, "d")
    if found is None:
        return Response(204)
    if_match, _ = preconditions(call)

    async def prepare() -> Intent:
        return Intent("delete", call.rtype, call.fid, if_match=if_match)

    return answer(call, await settle(call, prepare))


async def delete_by_condition(call: Call) -> Response:
    call.access.need(call.rtype, "d")

    async def prepare() -> Intent:
        question = await condition_of(call, call.rtype, call.request.query.decode("latin-1"))
        met = await target_of(call, call.rtype, question)
        return Intent("delete", call.rtype, met or "-", None, None, question, met)

    return answer(call, await settle(call, prepare))


# --- answering --------------------------------------------------------------------------------------------------------


def answer(call: Call, result: Result) -> Response:
    """Status, version headers and, as `Prefer: return` wishes, the resource. http://hl7.org/fhir/R4/http.html#ops"""
    written = result.written
    if written is None:
        return Response(204)
    call.subjects.append(f"{written.rtype}/{written.fid}")
    if result.status == 204:
        return Response(204, b"", [(b"etag", b'W/"%d"' % written.ver)])
    headers = version_headers(written.ver, written.updated)
    headers.append((b"location", location(call.services.base_url, written)))
    if call.prefer.returning == "minimal":
        return Response(result.status, b"", headers[1:])
    body = (
        outcome_bytes(call.remarks or (ALL_OK,), call.language)
        if call.prefer.returning == "OperationOutcome"
        else written.body
    )
    return Response(result.status, body, headers)


async def patch(call: Call) -> Response:
    """PATCH [type]/[id] (http://hl7.org/fhir/R4/http.html#patch)"""
    from sandbox.exchange.patching import patcher

    apply = await patcher(call)
    call.access.need(call.rtype, "u")
    found = await visible(call, "u")
    if found is None:
        raise unknown_resource(call.rtype, call.fid)
    if_match, _ = preconditions(call)

    async def prepare() -> Intent:
        current = await visible(call, "u")
        if current is None or current.deleted:
            raise deleted_resource(call.rtype, call.fid, str(found.ver))
        whole, rows = await draft(call, apply(current.body), call.fid)
        return Intent("patch", call.rtype, call.fid, whole, rows, if_match=if_match, prepared_on=current.ver)

    return answer(call, await settle(call, prepare))


async def patch_by_condition(call: Call) -> Response:
    """PATCH [type]?condition: of exactly one resource (http://hl7.org/fhir/R4/http.html#patch)"""
    from sandbox.exchange.patching import patcher

    apply = await patcher(call)
    call.access.need(call.rtype, "u")
    if_match, _ = preconditions(call)

    async def prepare() -> Intent:
        question = await condition_of(call, call.rtype, call.request.query.decode("latin-1"))
        met = await target_of(call, call.rtype, question)
        if not met:
            raise NotFoundError(
                Text(f"The condition matches no {call.rtype}.", f"شرط با هیچ {call.rtype} سازگار نیست.")
            )
        current = await visible(replace(call, fid=met), "u")
        if current is None or current.deleted:
            raise unknown_resource(call.rtype, met)
        whole, rows = await draft(call, apply(current.body), met)
        return Intent("patch", call.rtype, met, whole, rows, question, met, if_match, prepared_on=current.ver)

    return answer(call, await settle(call, prepare))


def ok_outcome(call: Call) -> Response:
    return json_response(outcome_bytes((ALL_OK,), call.language))
