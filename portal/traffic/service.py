"""Writing and forgetting the request log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

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


def row(entry: Entry) -> dict[str, Any]:
    """The CallRecord of an entry: production keeps no path and no query, the sandbox a redacted one."""
    return {
        "id": entry.id,
        "request_id": entry.request_id,
        "at": instant(entry.at_us),
        "environment": entry.environment,
        "company_id": entry.company_id,
        "app_id": entry.app_id,
        "client_id": entry.client_id,
        "product_id": entry.product_id,
        "subscription_id": entry.subscription_id,
        "method": entry.method[:16],
        "template": entry.template[:200],
        "interaction": entry.interaction,
        "target": redact(entry.target)[:2000] if entry.target and entry.environment == "sandbox" else "",
        "status": entry.status,
        "code": entry.code,
        "detail": entry.detail[:400],
        "violated": entry.violated,
        "shadowed": entry.shadowed,
        "limits": entry.limits[:400],
        "gateway_us": entry.gateway_us,
        "upstream_us": entry.upstream_us,
        "duration_us": entry.duration_us,
        "bytes_in": entry.bytes_in,
        "bytes_out": entry.bytes_out,
    }


async def write(
    session: AsyncSession, entries: Sequence[Entry], bodies: Iterable[tuple[str, int, Bodies]] = ()
) -> None:
    """Insert one batch of records, and the bodies kept for some of them as (call id, Unix microseconds, Bodies)."""
    if entries:
        await session.execute(insert(CallRecord), [row(entry) for entry in entries])
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
