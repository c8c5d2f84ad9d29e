"""Append to the audit log and verify it.

Each hash is SHA-256 over the canonical JSON of the entry and of the hash before it (first: 64 zeros).
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.models import AuditEntry

GENESIS = "0" * 64


def entry_hash(
    *,
    number: int,
    at: datetime,
    actor: str,
    action: str,
    subject: str,
    company_id: str,
    details: dict[str, Any],
    previous: str,
) -> str:
    """SHA-256 (hex) of one entry chained to `previous`."""
    canonical = orjson.dumps(
        [number, at.isoformat(timespec="microseconds"), actor, action, subject, company_id, details, previous],
        option=orjson.OPT_SORT_KEYS,
    )
    return hashlib.sha256(canonical).hexdigest()


async def record(
    session: AsyncSession,
    *,
    now: datetime,
    actor: str,
    action: str,
    subject: str,
    company_id: str = "",
    details: dict[str, Any] | None = None,
) -> AuditEntry:
    """Append one entry in the caller's transaction, so that a decision and its record stand or fall together.

    Two writers that append at once collide on `number`; the loser's transaction fails whole and is tried again by its caller.
    """
    last = (
        await session.execute(
            select(AuditEntry.number, AuditEntry.hash).order_by(AuditEntry.number.desc()).limit(1).with_for_update()
        )
    ).first()
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    values: dict[str, Any] = {
        "number": number,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": subject,
        "company_id": company_id,
        "details": details or {},
    }
    entry = AuditEntry(**values, previous_hash=previous, hash=entry_hash(**values, previous=previous))
    session.add(entry)
    await session.flush()
    return entry


async def first_broken(session: AsyncSession) -> int | None:
    """Number of the first entry that does not follow from those before it, or None when the chain is whole."""
    previous, expected = GENESIS, 1
    stream = await session.stream_scalars(select(AuditEntry).order_by(AuditEntry.number))
    async for entry in stream:
        same = entry_hash(
            number=entry.number,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            company_id=entry.company_id,
            details=entry.details,
            previous=previous,
        )
        if entry.number != expected or entry.previous_hash != previous or entry.hash != same:
            return expected
        previous, expected = entry.hash, expected + 1
    return None
