"""From the request log to what checks see: the only reader of `portal.traffic` here."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.conformance.calls import Call, Event, Recording
from portal.conformance.models import ConformanceRun, RunEvent
from portal.traffic.models import CallRecord, WitnessedCall

MOST_CALLS = 5000


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def to_call(record: CallRecord, witness: WitnessedCall | None) -> Call:
    """One record as a check sees it; without its witness it has no header fields and no bodies."""
    sent = witness.sent if witness else {}
    body = witness.request if witness else ""
    is_form = sent.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return Call(
        id=record.id,
        at=record.at,
        method=record.method,
        target=record.target,
        status=record.status,
        code=record.code,
        token=witness.token if witness else "",
        sent=sent,
        answered=witness.answered if witness else {},
        body=None if is_form else _json(body),
        form=parse_qs(body, keep_blank_values=True) if is_form else {},
        reply=_json(witness.response) if witness else None,
        milliseconds=record.duration_us // 1000,
    )


async def _rows(
    session: AsyncSession, client_id: str, since: datetime, until: datetime
) -> list[tuple[CallRecord, WitnessedCall]]:
    rows = await session.execute(
        select(CallRecord, WitnessedCall)
        .join(WitnessedCall, WitnessedCall.call_id == CallRecord.id)
        .where(CallRecord.client_id == client_id, WitnessedCall.at >= since, WitnessedCall.at <= until)
        .order_by(CallRecord.at, CallRecord.id)
        .limit(MOST_CALLS)
    )
    return [(record, witness) for record, witness in rows]


async def load(session: AsyncSession, run: ConformanceRun, *, until: datetime) -> tuple[Recording, str]:
    """The Recording of a run so far, and the digest of its traffic (SHA-256 over every call in order)."""
    rows = await _rows(session, run.client_id, run.started_at, until)
    events = await session.scalars(select(RunEvent).where(RunEvent.run_id == run.id).order_by(RunEvent.at))
    asked = {scope for _, witness in rows for scope in witness.scopes.split()}
    recording = Recording(
        calls=tuple(to_call(record, witness) for record, witness in rows),
        events=tuple(Event(row.kind, row.at, row.data) for row in events),
        scopes=frozenset(asked) or frozenset(run.scopes),
    )
    total = hashlib.sha256()
    for record, witness in rows:
        total.update(call_digest(record, witness).encode())
    return recording, total.hexdigest()


def call_digest(record: CallRecord, witness: WitnessedCall) -> str:
    """SHA-256 (hex) over one call as it was recorded."""
    told = [
        record.id,
        record.at.isoformat(timespec="microseconds"),
        record.method,
        record.target,
        record.status,
        record.code,
        witness.token,
        witness.scopes,
        witness.sent,
        witness.answered,
        witness.request,
        witness.response,
    ]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def proof(session: AsyncSession, run: ConformanceRun, call_ids: list[str]) -> list[Call]:
    """The very calls that prove a verdict, for those who may see the run; those already forgotten are left out."""
    rows = await session.execute(
        select(CallRecord, WitnessedCall)
        .outerjoin(WitnessedCall, WitnessedCall.call_id == CallRecord.id)
        .where(CallRecord.id.in_(call_ids), CallRecord.client_id == run.client_id)
        .order_by(CallRecord.at)
    )
    return [to_call(record, witness) for record, witness in rows]
