"""Append to the audit log and verify it.

Each hash is SHA-256 over the canonical JSON of the entry and of the hash before it (first: 64 zeros).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.models import AuditEntry, AuditHead

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
        [
            number,
            at.astimezone(UTC).isoformat(timespec="microseconds"),
            actor,
            action,
            subject,
            company_id,
            details,
            previous,
        ],
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

    Writers take turns: the first statement updates the one row of `audit_head`, which holds PostgreSQL's row lock or SQLite's write
    lock until the caller's transaction ends, so two appends never meet on one number.
    """
    head = (
        await session.execute(
            update(AuditHead)
            .where(AuditHead.id == 1)
            .values(number=AuditHead.number + 1)
            .returning(AuditHead.number, AuditHead.hash)
            .execution_options(synchronize_session=False)
        )
    ).one()
    values: dict[str, Any] = {
        "number": head.number,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": subject,
        "company_id": company_id,
        "details": orjson.loads(orjson.dumps(details or {})),
    }
    entry = AuditEntry(**values, previous_hash=head.hash, hash=entry_hash(**values, previous=head.hash))
    session.add(entry)
    await session.execute(
        update(AuditHead).where(AuditHead.id == 1).values(hash=entry.hash).execution_options(synchronize_session=False)
    )
    await session.flush()
    return entry
