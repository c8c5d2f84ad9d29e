"""Writes decided inside one transaction, all or none, and again when another writer came between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from sandbox.exchange.calls import Call
from sandbox.exchange.checking import looked_for_plainly, missing, refuse_missing
from sandbox.exchange.intents import Intent, Kind, Result, StaleError, meet, several
from sandbox.exchange.reading import permitted, unbounded
from sandbox.fhir.outcomes import (
    ConflictError,
    ForbiddenError,
    PreconditionError,
    Text,
    unknown_resource,
    version_conflict,
)
from sandbox.kernel.database import Transaction
from sandbox.security.access import Letter, Limit
from sandbox.storage import repository
from sandbox.storage.appending import AbsentError, Fresh
from sandbox.storage.dictionary import FreshSystemsError
from sandbox.storage.encoding import same_content
from sandbox.storage.repository import CREATED, PATCHED, UPDATED, Batch, Stored, Written

_RETRIES = 4
_WHOLE = (Limit(),)


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
    if current is not None and not await _reached(call, tx, intent, current):
        if intent.kind == "delete":
            return Result(204, None)
        raise unknown_resource(intent.rtype, intent.fid)
    _check_versions(intent, current)
    if intent.kind == "delete":
        if current is None or current.deleted:
            return Result(204, None)
        return Result(204, batch.delete(current))
    return _update(intent, batch, current)


async def _reached(call: Call, tx: Transaction, intent: Intent, current: Stored) -> bool:
    """Whether the caller may change what is there; what must not be seen is not overwritten either.

    What was deleted has been looked at when the write was prepared.
    """
    if current.deleted:
        return True
    limits = call.access.limits(intent.rtype, _LETTERS[intent.kind])
    return unbounded(limits, current.body) or await permitted(call, current, limits, source=tx)


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
    if _merely_adds(call, intents):
        return await _add(call, intents)
    for intent in intents:
        refuse_missing(call, intent.resource or {}, await missing(call, intent.needed))

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


def _merely_adds(call: Call, intents: list[Intent]) -> bool:
    """Whether nothing has to be looked up or judged inside the transaction."""
    return all(
        i.kind == "create"
        and i.condition is None
        and i.rtype not in call.services.watched
        and call.access.limits(i.rtype, "c") == _WHOLE
        and (not i.needed or call.tenant.validation == "strict")
        and all(looked_for_plainly(call, kind) for kind, _ in i.needed)
        for i in intents
    )


async def _add(call: Call, intents: list[Intent]) -> list[Result]:
    """What is merely added goes with what others add at the same time."""
    types = call.services.store.dictionary.types
    fresh = [
        Fresh(*intent.content, intent.fid, [(types[kind], fid) for kind, fid in intent.needed]) for intent in intents
    ]
    try:
        added = await call.services.appender.add(call.tenant.tenant, fresh)
    except AbsentError as absent:
        for intent in intents:
            gone = [key for key in intent.needed if (types[key[0]], key[1]) in absent.keys]
            refuse_missing(call, intent.resource or {}, gone)
        raise
    return [Result(201, written) for written in added]


async def check_limits(call: Call, tx: Transaction, batch: Batch, intents: list[Intent]) -> None:
    """What was written must lie within the caller's limits, or all of it is taken back."""
    if all(i.rtype != "Binary" and call.access.limits(i.rtype, _LETTERS[i.kind]) == _WHOLE for i in intents):
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
        if not unbounded(limits, written.body) and not await permitted(call, written, limits, source=tx):
            raise out_of_reach(types[draft.rtype])


def out_of_reach(rtype: str) -> ForbiddenError:
    return ForbiddenError(
        Text(
            f"The access token does not reach this {rtype}: it lies outside its compartment.",
            f"توکن دسترسی به این {rtype} نمی‌رسد؛ بیرون از محدودهٔ آن است.",
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
