"""Plain REST writes under the state machines: judged before they are stored, followed up after, in their own transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sandbox.exchange.calls import Call
from sandbox.exchange.intents import Intent, Result
from sandbox.exchange.seams import Watcher
from sandbox.kernel.database import Transaction
from sandbox.storage.encoding import load, plain
from sandbox.storage.repository import Batch
from sandbox.workflows.codes import Resource
from sandbox.workflows.engine import Engine
from sandbox.workflows.records import complete, copy
from sandbox.workflows.registry import GUARDS, guards_of
from sandbox.workflows.task_machine import Actor


class WorkflowWatch:
    """The Watch of one transaction."""

    def __init__(self, engine: Engine, tx: Transaction, batch: Batch) -> None:
        self._engine = engine
        self.records = engine.records(tx, batch.tenant, batch.stamp, Actor.APP)
        self._before: dict[int, Resource | None] = {}

    async def before(self, intent: Intent) -> None:
        if intent.rtype not in GUARDS or (intent.kind == "create" and intent.expected):
            return
        known = await self.records.find_one(intent.rtype, intent.fid)
        self._before[id(intent)] = known
        if intent.kind == "delete":
            for guard in guards_of(intent.rtype, known, None):
                if guard.deletes is not None and known is not None:
                    with complete(f"{intent.rtype}/{intent.fid}"):
                        await guard.deletes(self.records, known)
            return
        if intent.resource is None:
            return
        new = plain(intent.resource)
        asked = copy(new)
        for guard in guards_of(intent.rtype, known, new):
            with complete(f"{intent.rtype}/{intent.fid}"):
                await guard.judge(self.records, known, new)
        if new != asked:
            intent.resource = new
            intent.rows = await self.records.rows_of(new)

    async def after(self, intents: Sequence[Intent], results: list[Result]) -> list[Result]:
        if any(intent.rtype == "Consent" for intent in intents):
            await self.records.consents_changed()
        for intent, result in zip(intents, results, strict=True):
            written = result.written
            if id(intent) not in self._before or written is None or not written.changed or not written.body:
                continue
            known, saved = self._before[id(intent)], plain(load(written.body))
            for guard in guards_of(intent.rtype, known, saved):
                if guard.follows is not None:
                    with complete(f"{intent.rtype}/{intent.fid}"):
                        await guard.follows(self.records, known, saved)
        await self._engine.settle(self.records)
        return [self._told(result) for result in results]

    def _told(self, result: Result) -> Result:
        """The last version of what the caller wrote, when following it up moved it on."""
        written = result.written
        last = self.records.written.get((written.rtype, written.fid)) if written is not None else None
        if written is None or last is None or last.ver <= written.ver:
            return result
        return Result(result.status, replace(last, created=written.created))


def watcher(engine: Engine) -> Watcher:
    """The exchange's seam for writes: looks only at the types that a Workflow governs."""

    def watch(_call: Call, tx: Transaction, batch: Batch, intents: Sequence[Intent]) -> WorkflowWatch | None:
        return WorkflowWatch(engine, tx, batch) if any(i.rtype in GUARDS for i in intents) else None

    return watch
