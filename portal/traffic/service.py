"""Writing and forgetting the request log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter

from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from portal.traffic.entries import Entry
from portal.traffic.models import CallBody, CallRecord, WitnessedCall
from portal.traffic.redaction import body, redact, whole

KEPT_RECORDS = {"sandbox": timedelta(days=30), "production": timedelta(days=90)}
KEPT_BODIES = timedelta(days=7)
# As long as the records of the sandbox: until then the proof of a run can be looked at; its digests stay for ever.
KEPT_WITNESSED = timedelta(days=30)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bodies:
    """Request and answer of one sandbox call as they passed, cut to a bound."""

    __slots__ = ("answer", "answer_type", "request", "request_type")

    def __init__(self, request: bytes, request_type: str, answer: bytes, answer_type: str) -> None:
        self.request, self.request_type = request, request_type
        self.answer, self.answer_type = answer, answer_type


def instant(at_us: int) -> datetime:
    """Unix microseconds as an aware datetime."""
    return _EPOCH + timedelta(microseconds=at_us)


COLUMNS = tuple(name for name in Entry.__struct_fields__ if name not in ("at_us", "charged"))
_INSERT = f"INSERT INTO call_records (at, {', '.join(COLUMNS)}) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"  # noqa: S608
CHUNK = 250
"""Rows written between two turns of the event loop, so that a flush never holds up a call for long."""


@lru_cache(maxsize=4096)
def _target(target: str) -> str:
    """A redacted path and query; Apps ask for the same ones again and again."""
    return redact(target)[:2000]


def trim(entry: Entry) -> Entry:
    """Fit an entry into its columns: production keeps no path and no query, the sandbox a redacted one."""
    entry.method = entry.method[:16]
    entry.template = entry.template[:200]
    entry.detail = entry.detail[:400]
    entry.limits = entry.limits[:400]
    if entry.target:
        entry.target = _target(entry.target) if entry.environment == "sandbox" else ""
    return entry


@lru_cache(maxsize=16)
def _second(at: int) -> str:
    """Unix seconds as SQLAlchemy writes instants into SQLite, up to the fraction."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}"


_values = attrgetter(*COLUMNS)


async def _insert(session: AsyncSession, entries: Sequence[Entry]) -> None:
    """Past mapper and compiler: thousands of rows a second come this way, and nobody holds them as objects."""
    connection = await session.connection()
    sqlite = connection.dialect.name == "sqlite"
    for start in range(0, len(entries), CHUNK):
        chunk = [trim(entry) for entry in entries[start : start + CHUNK]]
        if sqlite:
            rows = [(f"{_second(e.at_us // 1_000_000)}.{e.at_us % 1_000_000:06}", *_values(e)) for e in chunk]
            await connection.exec_driver_sql(_INSERT, rows)
        else:
            named = [{"at": instant(e.at_us), **dict(zip(COLUMNS, _values(e), strict=True))} for e in chunk]
            await connection.execute(insert(CallRecord), named)


async def write(
    session: AsyncSession, entries: Sequence[Entry], bodies: Iterable[tuple[str, int, Bodies]] = ()
) -> None:
    """Insert one batch of records, and the bodies kept for some of them as (call id, Unix microseconds, Bodies)."""
    if entries:
        await _insert(session, entries)
    kept = [
        {
            "call_id": call_id,
            "at": instant(at_us),
            "request_type": seen.request_type[:100],
            "request": body(seen.request, seen.request_type),
            "response": body(seen.answer, seen.answer_type),
        }
        for call_id, at_us, seen in bodies
    ]
    if kept:
        await session.execute(insert(CallBody), kept)


@dataclass(frozen=True, slots=True)
class Witnessed:
    """A sandbox call noted whole for a conformance run: token id, header fields of interest, bodies."""

    token: str
    scopes: str
    sent: dict[str, str]
    answered: dict[str, str]
    bodies: Bodies


async def witness(session: AsyncSession, calls: Sequence[tuple[str, int, Witnessed]]) -> None:
    """Keep calls of a conformance run as (call id, Unix microseconds, Witnessed); redacted like everything else, but not cut."""
    rows = [
        {
            "call_id": call_id,
            "at": instant(at_us),
            "token": seen.token,
            "scopes": seen.scopes,
            "sent": seen.sent,
            "answered": seen.answered,
            "request": whole(seen.bodies.request),
            "response": whole(seen.bodies.answer),
        }
        for call_id, at_us, seen in calls
    ]
    if rows:
        await session.execute(insert(WitnessedCall), rows)


async def forget(session: AsyncSession, *, now: datetime) -> None:
    """Delete what has been kept long enough; run it about once an hour."""
    await session.execute(delete(CallBody).where(CallBody.at < now - KEPT_BODIES))
    await session.execute(delete(WitnessedCall).where(WitnessedCall.at < now - KEPT_WITNESSED))
    for environment, kept in KEPT_RECORDS.items():
        await session.execute(
            delete(CallRecord).where(CallRecord.environment == environment, CallRecord.at < now - kept)
        )
