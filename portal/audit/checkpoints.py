"""Signed checkpoints of the audit log, and its export.

The hash chain alone shows an edit, a deletion in the middle or a re-ordering. Who can rewrite the whole database could also rewrite
the whole chain: a checkpoint, a JWS over number and hash that is kept elsewhere too, shows that, and shows a truncated end. Each names
the checkpoint before it, so that one cannot be taken out of the middle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.models import AuditCheckpoint, AuditEntry, AuditHead
from portal.kernel.signing import PortalSigner

CHECKPOINT_TYPE = "gozar-audit-checkpoint+jws"


async def checkpoint(session: AsyncSession, *, signer: PortalSigner, now: datetime) -> AuditCheckpoint | None:
    """Sign where the chain stands; None when nothing was added since the last checkpoint."""
    head = (await session.execute(select(AuditHead.number, AuditHead.hash).where(AuditHead.id == 1))).one()
    if head.number == 0 or await session.get(AuditCheckpoint, head.number) is not None:
        return None
    before = await latest(session)
    document = {
        "number": head.number,
        "hash": head.hash,
        "at": now.isoformat(),
        "previous": before.number if before else 0,
    }
    made = AuditCheckpoint(number=head.number, hash=head.hash, at=now, jws=signer.sign(document, CHECKPOINT_TYPE))
    session.add(made)
    await session.flush()
    return made


async def latest(session: AsyncSession) -> AuditCheckpoint | None:
    """The newest checkpoint."""
    return (await session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.number.desc()).limit(1))).first()


async def export(session: AsyncSession) -> AsyncIterator[bytes]:
    """The log as JSON lines, oldest first, then every checkpoint: what an auditor takes away."""
    stream = await session.stream_scalars(select(AuditEntry).order_by(AuditEntry.number))
    async for entry in stream:
        yield orjson.dumps(
            {
                "number": entry.number,
                "at": entry.at.isoformat(timespec="microseconds"),
                "actor": entry.actor,
                "action": entry.action,
                "subject": entry.subject,
                "company_id": entry.company_id,
                "details": entry.details,
                "previous_hash": entry.previous_hash,
                "hash": entry.hash,
            },
            option=orjson.OPT_APPEND_NEWLINE,
        )
    for row in await session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.number)):
        yield orjson.dumps({"checkpoint": row.jws}, option=orjson.OPT_APPEND_NEWLINE)
