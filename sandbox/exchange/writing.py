"""create, update, delete and their conditional forms: prepared outside the transaction, decided inside it.

What a write depends on (the target of a condition, the version that a patch was applied to) is looked up first and checked
again under the write lock; when it moved, the write is prepared anew.
http://hl7.org/fhir/R4/http.html#create
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.exchange.calls import Call, json_response, location, version_headers
from sandbox.exchange.checking import check
from sandbox.exchange.negotiation import version_of
from sandbox.exchange.reading import permitted, visible
from sandbox.fhir.outcomes import (
    ALL_OK,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    PreconditionError,
    Text,
    deleted_resource,
    outcome_bytes,
    unknown_resource,
    version_conflict,
)
from sandbox.kernel.database import Database, Transaction
from sandbox.kernel.http import Response
from sandbox.kernel.ids import is_fhir_id, new_id
from sandbox.search.request import pairs, understand
from sandbox.search.service import Question, compile_question
from sandbox.search.sql import page_sql
from sandbox.security.access import Letter, Limit
from sandbox.storage import repository
from sandbox.storage.dictionary import FreshSystemsError
from sandbox.storage.encoding import same_content
from sandbox.storage.repository import CREATED, PATCHED, UPDATED, Batch, Stored, Written
from sandbox.storage.rows import IndexRows
from sandbox.tenants.service import Tenant

_RETRIES = 4
_WHOLE = (Limit(),)
Kind = Literal["create", "update", "patch", "delete"]


class StaleError(Exception):
    """What the write was prepared on has moved."""


@dataclass(slots=True)
class Intent:
    """One write, ready for its transaction."""

    kind: Kind
    rtype: str
    fid: str
    resource: dict[str, Any] | None = None
    rows: IndexRows | None = None
    condition: Question | None = None
    expected: str = ""
    """Whom the condition met when the write was prepared; "" for nobody."""
    if_match: str = ""
    must_be_new: bool = False
    prepared_on: int | None = None
    """Version that a patch was applied to."""

    @property
    def content(self) -> tuple[dict[str, Any], IndexRows]:
        """The resource and its rows; every kind but a deletion has them."""
        if self.resource is None or self.rows is None:
            raise ValueError(f"a {self.kind} needs a resource")
        return self.resource, self.rows


@dataclass(slots=True)
class Result:
    """HTTP status and what is now stored; `written` is None when nothing was there to delete."""

    status: int
    written: Written | None


async def meet(source: Database | Transaction, tenant: Tenant, question: Question) -> list[str]:
    """Ids of at most two resources that meet a condition."""
    sql = page_sql(question.query, source.dialect)
    rows = await source.rows(sql, [tenant.layer, tenant.base_layer, 2, *question.args])
    return [row[2] for row in rows]


async def condition_of(call: Call, rtype: str, query: str) -> Question:
    """A search that picks the target of a conditional interaction. Raises `PreconditionError` when it asks nothing."""
    request = understand((rtype,), pairs(query.lstrip("?")))
    if not request.criteria:
        raise PreconditionError(
            Text(
                "A conditional interaction needs at least one search parameter.",
                "تعامل شرطی دست‌کم یک پارامتر جست‌وجو لازم دارد.",
            )
        )
    return await compiled(call, request.types, query)


async def compiled(call: Call, types: tuple[str, ...], query: str) -> Question:
    request = understand(types, pairs(query.lstrip("?")))
    for _ in range(2):
        compiler = call.services.compiler(call.access, call.now, letter="r")
        question = compile_question(compiler, request, "condition")
        if not compiler.unknown:
            break
        # A system without a number yet may get one before the condition is checked again: it must match then.
        await call.services.store.dictionary.number_systems(compiler.unknown)
    return question


def several(rtype: str) -> PreconditionError:
    return PreconditionError(
        Text(f"The condition matches more than one {rtype}.", f"شرط با بیش از یک {rtype} سازگار است."),
        code="multiple-matches",
    )


async def target_of(call: Call, rtype: str, question: Question) -> str:
    """Whom a condition meets, "" for nobody. Raises `PreconditionError` for several."""
    found = await meet(call.services.store.database, call.tenant, question)
    if len(found) > 1:
        raise several(rtype)
    return found[0] if found else ""


# --- inside the transaction -------------------------------------------------------------------------------------------


async def perform(call: Call, tx: Transaction, batch: Batch, intent: Intent) -> Result:
    """Decide and note one write in `batch`. Raises `StaleError` or the `FhirError` that applies."""
    if intent.condition is not None:
        found = await meet(tx, batch.tenant, intent.condition)
        if len(found) > 1:
            raise several(intent.rtype)
        if (found[0] if found else "") != intent.expected:
            raise StaleError
        if intent.kind == "create" and intent.expected:
            return await _existing(call, tx, batch, intent)
    if intent.kind == "create":
        return Result(201, batch.save(*intent.content, fid=intent.fid, replaced=None))
    rtype = call.services.store.dictionary.types[intent.rtype]
    current = await repository.read(tx, batch.tenant, rtype, intent.fid)
    _check_versions(intent, current)
    if intent.kind == "delete":
        if current is None or current.deleted:
            return Result(204, None)
        return Result(204, batch.delete(current))
    return _update(intent, batch, current)


async def _existing(call: Call, tx: Transaction, batch: Batch, intent: Intent) -> Result:
    """Conditional create that found its resource: nothing is written."""
    rtype = call.services.store.dictionary.types[intent.rtype]
    current = await repository.read(tx, batch.tenant, rtype, intent.expected)
    if current is None:
        raise StaleError
    return Result(200, _as_written(intent.rtype, current))


def _as_written(rtype: str, current: Stored) -> Written:
    return Written(rtype, current.fid, current.ver, current.updated, current.body, created=False, changed=False)


def _check_versions(intent: Intent, current: Stored | None) -> None:
    if intent.must_be_new and current is not None and not current.deleted:
        raise PreconditionError(
            Text(f"{intent.rtype}/{intent.fid} exists already.", f"{intent.rtype}/{intent.fid} از پیش وجود دارد.")
        )
    if intent.if_match:
        if current is None:
            raise version_conflict(intent.rtype, intent.fid, intent.if_match, "0")
        if str(current.ver) != intent.if_match:
            raise version_conflict(intent.rtype, intent.fid, intent.if_match, str(current.ver))
    if intent.prepared_on is not None and (current is None or current.ver != intent.prepared_on):
        raise StaleError


def _update(intent: Intent, batch: Batch, current: Stored | None) -> Result:
    resource, rows = intent.content
    if current is not None and not current.deleted and same_content(current.body, resource):
        return Result(200, _as_written(intent.rtype, current))
    method: repository.Method = PATCHED if intent.kind == "patch" else UPDATED
    if current is None or current.deleted:
        method = CREATED if current is None else UPDATED
    written = batch.save(resource, rows, fid=intent.fid, replaced=current, method=method)
    return Result(201 if written.created else 200, written)


async def commit(call: Call, intents: list[Intent]) -> list[Result]:
    """All intents in one transaction. Raises `StaleError` when the preparation no longer holds."""
    store = call.services.store

    async def job(tx: Transaction) -> list[Result]:
        batch = await repository.begin(store, tx, call.tenant.tenant, call.services.now())
        watcher = call.services.watcher
        watch = None if watcher is None else watcher(call, tx, batch, intents)
        results = []
        for intent in intents:
            if watch is not None:
                await watch.before(intent)
            results.append(await perform(call, tx, batch, intent))
        await batch.flush()
        await check_limits(call, tx, batch, intents)
        return results if watch is None else await watch.after(intents, results)

    try:
        return await store.database.write(job, lock=call.tenant.lock, weight=12 * len(intents))
    except FreshSystemsError as fresh:
        await store.dictionary.number_systems(fresh.systems)
        raise StaleError from fresh


async def check_limits(call: Call, tx: Transaction, batch: Batch, intents: list[Intent]) -> None:
    """What was written must lie within the caller's limits, or all of it is taken back."""
    if all(call.access.limits(i.rtype, _LETTERS[i.kind]) == _WHOLE for i in intents):
        return
    types = call.services.store.dictionary.type_names
    for vid, draft in zip(batch.vids, batch.drafts, strict=True):
        if draft.rows is None:
            continue
        letter: Letter = "c" if draft.ver == 1 else "u"
        limits = call.access.limits(types[draft.rtype], letter)
        written = Stored(
            vid, batch.tenant.layer, draft.rtype, draft.fid, draft.ver, batch.stamp, draft.method, draft.body
        )
        if limits != _WHOLE and not await permitted(call, written, limits, source=tx):
            raise ForbiddenError(
                Text(
                    f"The access token does not reach this {types[draft.rtype]}: it lies outside its compartment.",
                    f"توکن دسترسی به این {types[draft.rtype]} نمی‌رسد؛ بیرون از محدودهٔ آن است.",
                )
            )


_LETTERS: dict[Kind, Literal["c", "u", "d"]] = {"create": "c", "update": "u", "patch": "u", "delete": "d"}


async def settle(call: Call, prepare: Callable[[], Awaitable[Intent]]) -> Result:
    """Prepare and commit one write, again when another writer came between."""
    for _ in range(_RETRIES):
        intent = await prepare()
        try:
            return (await commit(call, [intent]))[0]
        except StaleError:
            continue
    raise ConflictError(
        Text("Other writers keep changing this resource; try again.", "منبع هم‌زمان تغییر می‌کند؛ دوباره تلاش کنید."),
        code="transient",
    )


# --- preparing --------------------------------------------------------------------------------------------------------


async def draft(
    call: Call, resource: dict[str, Any], fid: str, known: Collection[str] = ()
) -> tuple[dict[str, Any], IndexRows]:
    """A checked resource with its id, and its index rows. `known`: what the same transaction brings into being."""
    whole = {"resourceType": resource["resourceType"], "id": fid}
    whole |= {k: v for k, v in resource.items() if k not in whole}
    indexer = call.services.store.indexer
    entries = indexer.entries(whole)
    await check(call, whole, entries, {*known, f"{whole['resourceType']}/{fid}"})
    return whole, await indexer.numbered(whole["resourceType"], entries)


async def create(call: Call) -> Response:
    resource = await call.resource_body()
    call.access.need(call.rtype, "c")
    condition = call.header(b"if-none-exist")

    async def prepare() -> Intent:
        fid = new_id()
        question, met = None, ""
        if condition is not None:
            question = await condition_of(call, call.rtype, condition.decode("latin-1"))
            met = await target_of(call, call.rtype, question)
        whole, rows = await draft(call, resource, fid)
        return Intent("create", call.rtype, fid, whole, rows, question, met)

    return answer(call, await settle(call, prepare))


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
    resource = await call.resource_body()
    legal_id(call.fid)
    id_in_body(resource, call.fid, call.rtype)
    call.access.need(call.rtype, "u")
    await _reachable(call)
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


async def _reachable(call: Call) -> None:
    """A write on what exists needs it to be within the caller's limits; hidden and absent look the same."""
    if call.access.limits(call.rtype, "u") == _WHOLE:
        return
    store = call.services.store
    found = await repository.read(store.database, call.tenant, store.dictionary.types[call.rtype], call.fid)
    if found is not None and not await permitted(call, found, call.access.limits(call.rtype, "u")):
        raise unknown_resource(call.rtype, call.fid)


async def update_by_condition(call: Call) -> Response:
    """PUT [type]?condition (http://hl7.org/fhir/R4/http.html#cond-update)"""
    resource = await call.resource_body()
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


def ok_outcome(call: Call) -> Response:
    return json_response(outcome_bytes((ALL_OK,), call.language))
