"""An AuditEvent for every access, refused ones too, at the price of a row appended in batches.

Accesses go to `access_log` in transactions of their own; they become AuditEvent resources of the Tenant when someone looks for
AuditEvents. http://hl7.org/fhir/R4/auditevent.html
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

import orjson

from sandbox.exchange.calls import Call
from sandbox.kernel.clock import instant
from sandbox.kernel.database import Layout, Transaction
from sandbox.kernel.errors import BusyError
from sandbox.kernel.ids import is_fhir_id, new_id
from sandbox.storage import repository
from sandbox.storage.repository import Store

log = logging.getLogger("gozar.exchange")
FLUSH_SECONDS = 0.25
MAX_WAITING = 20_000
_BLOCKS_AT_ONCE = 4
_LOCK = -5
_BLOCK = 250
"""Accesses of one Tenant that share a row."""
_LOG = Layout("access_log", ("number", "layer", "at", "entry"), ("bigint", "integer", "bigint", "bytea"))
Entry = tuple[Any, ...]
_ACTIONS = {"create": "C", "update": "U", "patch": "U", "delete": "D", "read": "R", "vread": "R", "history": "R"}
_TYPE = {
    "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
    "code": "rest",
    "display": "RESTful Operation",
}
_INTERACTION = "http://hl7.org/fhir/restful-interaction"


class AuditLog:
    """Accesses waiting to be written, and the task that writes them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[tuple[int, Entry]] = []
        self._task: asyncio.Task[None] | None = None
        self._lost = 0
        self._stopping = asyncio.Event()

    def note(self, call: Call, status: int) -> None:
        """Remember one access; a few microseconds."""
        if len(self._waiting) >= MAX_WAITING:
            self._lost += 1
            return
        access, request = call.access, call.request
        entry = (
            call.now, access.client, access.user or access.subject, call.interaction, call.rtype, call.fid, status,
            request.query, request.headers.get(b"x-request-id", b""), tuple(call.subjects[:50]),
        )  # fmt: skip
        self._waiting.append((call.tenant.layer, entry))

    def start(self) -> None:
        self._task = asyncio.create_task(self._flush_forever())

    async def stop(self) -> None:
        if self._task is not None:
            self._stopping.set()
            await self._task
        await self.flush()

    async def _flush_forever(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), FLUSH_SECONDS)
            try:
                await self.flush()
            except BusyError as busy:
                log.warning("the access log waits: %s", busy)
            except Exception:
                log.exception("writing the access log failed; it will be tried again")

    async def flush(self) -> None:
        """Write what waits, durable when this returns."""
        if not self._waiting:
            return
        taken, self._waiting = self._waiting, []
        blocks = _blocks(taken)

        async def job(tx: Transaction) -> None:
            first = await tx.take_numbers(len(blocks))
            await tx.append({_LOG: [(first + n, *block) for n, block in enumerate(blocks)]})

        try:
            await self._store.database.write(job, lock=_LOCK, weight=len(blocks))
        except Exception:
            self._waiting = taken + self._waiting
            raise
        if self._lost:
            log.error("%d accesses were not recorded: the access log was full", self._lost)
            self._lost = 0

    async def make_events(self, call: Call) -> None:
        """Turn the Tenant's recorded accesses into AuditEvents, oldest first."""
        await self.flush()
        while await self._make_some(call):
            pass

    async def _make_some(self, call: Call) -> bool:
        layer = call.tenant.layer
        rows = await self._store.database.rows(
            "SELECT number, entry FROM access_log WHERE layer=?1 ORDER BY number LIMIT ?2", (layer, _BLOCKS_AT_ONCE)
        )
        if not rows:
            return False
        events = [(at, _event(at, entry)) for _, block in rows for at, *entry in orjson.loads(block)]
        made = [(at, event, await self._store.indexer.extract(event)) for at, event in events]

        async def job(tx: Transaction) -> None:
            numbers = [(row[0],) for row in rows]
            await tx.many("DELETE FROM access_log WHERE number=?1", numbers)
            batch = await repository.begin(self._store, tx, call.tenant.tenant, call.services.now())
            if batch.tenant.layer != layer:
                return
            left = await tx.rows(
                "SELECT 1 FROM version WHERE layer=?1 AND rtype=?2 AND fid=?3", _key(self._store, layer, made)
            )
            if left:
                return  # another worker made them
            batch.tenant = replace(batch.tenant, max_resources=2**40, max_bytes=2**50)
            for _, event, index_rows in made:
                batch.save(event, index_rows, fid=event["id"], replaced=None)
            await batch.flush(counted=False)

        await self._store.database.write(job, lock=call.tenant.lock, weight=15 * len(events))
        return len(rows) == _BLOCKS_AT_ONCE


def _blocks(taken: Sequence[tuple[int, Entry]]) -> list[tuple[int, int, bytes]]:
    """Rows (layer, time, entries as JSON), each with up to `_BLOCK` accesses of one layer in order."""
    by_layer: dict[int, list[Entry]] = {}
    for layer, entry in taken:
        by_layer.setdefault(layer, []).append(entry)
    return [
        (layer, entries[n][0], orjson.dumps(entries[n : n + _BLOCK], default=_text))
        for layer, entries in by_layer.items()
        for n in range(0, len(entries), _BLOCK)
    ]


def _key(store: Store, layer: int, made: Sequence[tuple[int, dict[str, Any], object]]) -> tuple[int, int, str]:
    return layer, store.dictionary.types["AuditEvent"], made[0][1]["id"]


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    raise TypeError(type(value).__name__)


def wanted(call: Call) -> bool:
    """Whether a call asks for AuditEvents; what asks for everything is not given them unless it names them."""
    return "AuditEvent" in (call.rtype, call.tail) or b"AuditEvent" in call.request.query


def _event(at: int, entry: list[Any]) -> dict[str, Any]:
    client, user, interaction, rtype, fid, status, query, request_id, subjects = entry
    stem = f"{at}{client}{interaction}{rtype}{fid}{request_id}".encode()
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"{new_id()[:23]}-{crc32(stem):08x}",
        "type": _TYPE,
        "action": _ACTIONS.get(interaction, "E"),
        "recorded": instant(at),
        "outcome": "0" if status < 400 else "4" if status < 500 else "8",
        "outcomeDesc": f"HTTP {status}",
        "agent": [{"who": _who(client, user), "requestor": True}],
        "source": {"observer": {"display": "Gozar exchange"}},
    }
    if interaction:
        event["subtype"] = [{"system": _INTERACTION, "code": interaction}]
    entities: list[dict[str, Any]] = [{"what": {"reference": reference}} for reference in subjects]
    if rtype and fid and f"{rtype}/{fid}" not in subjects:
        # What was asked for may be no id at all; a reference to it would be none either.
        entities.append({"what": {"reference" if is_fhir_id(fid) else "display": f"{rtype}/{fid}"}})
    if query:
        entities.append({"query": base64.b64encode(query.encode("latin-1")).decode(), "description": rtype or "system"})
    if request_id:
        entities.append({"what": {"identifier": {"system": "urn:gozar:request-id", "value": request_id}}})
    if entities:
        event["entity"] = entities
    return event


def _who(client: str, user: str) -> dict[str, Any]:
    who: dict[str, Any] = {"identifier": {"system": "urn:gozar:client-id", "value": client}}
    if "/" in user:
        who["reference"] = "/".join(user.rsplit("/", 2)[-2:])
    return who
