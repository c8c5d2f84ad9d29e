"""One Tenant's records inside a write transaction of the exchange: what every verb works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from sandbox.fhir.terminology import Terminology
from sandbox.kernel.clock import micros, moment_of
from sandbox.kernel.database import Transaction
from sandbox.kernel.ids import new_id
from sandbox.search.compile import Compiler
from sandbox.search.request import pairs, understand
from sandbox.search.service import compile_question
from sandbox.search.sql import page_sql
from sandbox.security.access import Limit
from sandbox.storage import repository
from sandbox.storage.dictionary import FreshSystemsError
from sandbox.storage.encoding import load, plain, same_content
from sandbox.storage.repository import CREATED, UPDATED, Batch, Method, Store, Written
from sandbox.storage.rows import IndexRows
from sandbox.tenants.service import Tenant
from sandbox.workflows.codes import Resource
from sandbox.workflows.records import Event
from sandbox.workflows.task_machine import Actor

MAX_FOUND: Final = 1_000
_WHOLE: Final = (Limit(),)
_ADD_TIMER: Final = (
    "INSERT INTO workflow_timer (number, layer, due, verb, kind, rid, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
)


class ExchangeRecords:
    """`Records` over the exchange's store; each save is visible to what follows in the same transaction."""

    def __init__(self, store: Store, tx: Transaction, tenant: Tenant, stamp: int, actor: Actor, base_url: str) -> None:
        self._store, self.tx, self.tenant, self.stamp = store, tx, tenant, stamp
        self.base_url = base_url
        self.actor = actor
        self.events: list[Event] = []
        self.written: dict[tuple[str, str], Written] = {}
        """The last version written of each resource, for whoever answers with it."""

    @property
    def now(self) -> datetime:
        return moment_of(self.stamp)

    async def find_one(self, kind: str, rid: str) -> Resource | None:
        number = self._store.dictionary.types.get(kind)
        if number is None or not rid:
            return None
        found = await repository.read(self.tx, self.tenant, number, rid)
        return None if found is None or found.deleted else plain(load(found.body))

    async def search(self, kind: str, **criteria: str) -> list[Resource]:
        parameters = [(name.replace("_", "-"), value) for name, value in criteria.items() if value]
        if len(parameters) != len(criteria):
            return []  # nothing was named, so nothing can match
        return await self._query(kind, parameters)

    async def matches(self, kind: str, rid: str, query: str) -> bool:
        """Whether a stored resource meets a search query (`status=booked&patient=Patient/1`)."""
        return bool(await self._query(kind, [*pairs(query), ("_id", rid)]))

    async def _query(self, kind: str, parameters: list[tuple[str, str]]) -> list[Resource]:
        request = understand((kind,), parameters)
        compiler = Compiler(
            self._store.dictionary, lambda _: _WHOLE, Terminology(), self.base_url, self.stamp, lenient=False
        )
        question = compile_question(compiler, request, "workflow")
        sql = page_sql(question.query, self.tx.dialect)
        rows = await self.tx.rows(sql, [self.tenant.layer, self.tenant.base_layer, MAX_FOUND, *question.args])
        return [plain(load(row[3])) for row in rows]

    async def save(self, resource: Resource) -> Resource:
        kind = resource["resourceType"]
        rid = str(resource.get("id") or new_id())
        number = self._store.dictionary.types[kind]
        before = await repository.read(self.tx, self.tenant, number, rid)
        body = {"resourceType": kind, "id": rid} | resource
        if before is not None and not before.deleted and same_content(before.body, body):
            kept: Resource = plain(load(before.body))
            return kept
        batch = Batch(self._store, self.tx, self.tenant, self.stamp)
        method: Method = CREATED if before is None else UPDATED
        rows = await self.rows_of(body)
        written = batch.save(body, rows, fid=rid, replaced=before, method=method)
        await batch.flush()
        self.written[(kind, rid)] = written
        if kind == "Consent":
            await self.consents_changed()
        stored: Resource = plain(load(written.body))
        return stored

    async def consents_changed(self) -> None:
        """Make every process look at the Tenant's Consents anew at its next call."""
        await self.tx.run("UPDATE tenant SET consents=consents+1 WHERE tenant=?1", (self.tenant.tenant,))

    async def create_all(self, resources: Sequence[Resource]) -> None:
        """Create many new resources that carry their ids, in one go; deleted ones of the same id are left alone."""
        batch = Batch(self._store, self.tx, self.tenant, self.stamp)
        for resource in resources:
            number = self._store.dictionary.types[resource["resourceType"]]
            if await repository.read(self.tx, self.tenant, number, resource["id"]) is None:
                batch.save(resource, await self.rows_of(resource), fid=resource["id"], replaced=None)
        await batch.flush()

    async def rows_of(self, resource: Resource) -> IndexRows:
        """Index rows of a resource. Raises `FreshSystemsError`."""
        indexer = self._store.indexer
        entries = indexer.entries(resource)
        if indexer.fresh_systems(entries):
            await self._store.dictionary.refresh(self.tx)
            if fresh := indexer.fresh_systems(entries):
                raise FreshSystemsError(fresh)
        return indexer.rows(resource["resourceType"], entries)

    async def later(self, due: datetime, verb: str, subject: str, data: Mapping[str, Any]) -> None:
        kind, _, rid = subject.partition("/")
        number = await self.tx.take_numbers(1)
        row = (number, self.tenant.layer, micros(due), verb, kind, rid, orjson.dumps(dict(data)))
        await self.tx.run(_ADD_TIMER, row)

    def tell(self, topic: str, subject: Resource, data: Mapping[str, Any]) -> None:
        happened = Event(topic, subject["resourceType"], subject["id"], self.now, self.actor, dict(data))
        self.events.append(happened)
