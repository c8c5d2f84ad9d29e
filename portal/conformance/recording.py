"""From the request log to what checks see: the only reader of `portal.traffic` here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

import orjson
from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.conformance.calls import Call, Event, Recording
from portal.conformance.models import ConformanceRun, RunEvent
from portal.traffic.models import CallRecord, WitnessedCall

MOST_CALLS = 5000


def _json(text: str) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def to_call(row: Witnessed) -> Call:
    """One recorded call as a check sees it; one without its witness has no header fields and no bodies."""
    sent = row.sent or {}
    body = row.request or ""
    is_form = sent.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return Call(
        id=row.id,
        at=row.at,
        method=row.method,
        target=row.target,
        status=row.status,
        code=row.code,
        token=row.token or "",
        sent=sent,
        answered=row.answered or {},
        body=None if is_form else _json(body),
        form=parse_qs(body, keep_blank_values=True) if is_form else {},
        reply=_json(row.response or ""),
        milliseconds=row.duration_us // 1000,
    )


# Columns and not entities: a live page reads a thousand calls every two seconds, and entities cost three times as much.
_COLUMNS = (
    CallRecord.id,
    CallRecord.at,
    CallRecord.method,
    CallRecord.target,
    CallRecord.status,
    CallRecord.code,
    CallRecord.duration_us,
    WitnessedCall.token,
    WitnessedCall.scopes,
    WitnessedCall.sent,
    WitnessedCall.answered,
    WitnessedCall.request,
    WitnessedCall.response,
)
Witnessed = Row[Any]


async def _rows(session: AsyncSession, client_id: str, since: datetime, until: datetime) -> Sequence[Witnessed]:
    rows = await session.execute(
        select(*_COLUMNS)
        .join(WitnessedCall, WitnessedCall.call_id == CallRecord.id)
        .where(CallRecord.client_id == client_id, WitnessedCall.at >= since, WitnessedCall.at <= until)
        .order_by(CallRecord.at, CallRecord.id)
        .limit(MOST_CALLS)
    )
    return rows.all()


async def load(
    session: AsyncSession, run: ConformanceRun, *, until: datetime, digest: bool = True
) -> tuple[Recording, str]:
    """The Recording of a run so far, and the digest of its traffic (SHA-256 over every call in order) when it is wanted."""
    rows = await _rows(session, run.client_id, run.started_at, until)
    events = await session.scalars(select(RunEvent).where(RunEvent.run_id == run.id).order_by(RunEvent.at))
    asked = {scope for row in rows for scope in row.scopes.split()}
    recording = Recording(
        calls=tuple(to_call(row) for row in rows),
        events=tuple(Event(row.kind, row.at, row.data) for row in events),
        scopes=frozenset(asked) or frozenset(run.scopes),
    )
    total = hashlib.sha256()
    for row in rows if digest else ():
        total.update(call_digest(row).encode())
    return recording, total.hexdigest()


async def mark(session: AsyncSession, run: ConformanceRun, *, until: datetime) -> tuple[int, int]:
    """How many calls and events there are: as long as both stay, so does the Recording."""
    calls = await session.scalar(
        select(func.count())
        .select_from(WitnessedCall)
        .join(CallRecord, CallRecord.id == WitnessedCall.call_id)
        .where(CallRecord.client_id == run.client_id, WitnessedCall.at >= run.started_at, WitnessedCall.at <= until)
    )
    events = await session.scalar(select(func.count()).select_from(RunEvent).where(RunEvent.run_id == run.id))
    return calls or 0, events or 0


def call_digest(row: Witnessed) -> str:
    """SHA-256 (hex) over one call as it was recorded."""
    told = [
        row.id,
        row.at.isoformat(timespec="microseconds"),
        row.method,
        row.target,
        row.status,
        row.code,
        row.token,
        row.scopes,
        row.sent,
        row.answered,
        row.request,
        row.response,
    ]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def proof(session: AsyncSession, run: ConformanceRun, call_ids: list[str]) -> list[Call]:
    """The very calls that prove a verdict, for those who may see the run; those already forgotten are left out."""
    rows = await session.execute(
        select(*_COLUMNS)
        .outerjoin(WitnessedCall, WitnessedCall.call_id == CallRecord.id)
        .where(CallRecord.id.in_(call_ids), CallRecord.client_id == run.client_id)
        .order_by(CallRecord.at)
    )
    return [to_call(row) for row in rows]
