"""Signed checkpoints, export and full verification of the audit log.

The hash chain alone shows an edit, a deletion in the middle or a re-ordering. Who can rewrite the whole database could also rewrite
the whole chain: a checkpoint, a JWS over number and hash that is kept elsewhere too, shows that, and shows a truncated end.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.models import AuditCheckpoint, AuditEntry, AuditHead
from portal.audit.service import GENESIS, entry_hash
from portal.kernel.signing import BadSignature, PortalSigner, verify

CHECKPOINT_TYPE = "gozar-audit-checkpoint+jws"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and at which entry. `kind`: edited, missing, re-ordered, truncated, checkpoint."""

    number: int
    kind: str
    detail: str


async def checkpoint(session: AsyncSession, *, signer: PortalSigner, now: datetime) -> AuditCheckpoint | None:
    """Sign where the chain stands; None when nothing was added since the last checkpoint."""
    head = (await session.execute(select(AuditHead.number, AuditHead.hash).where(AuditHead.id == 1))).one()
    if head.number == 0 or await session.get(AuditCheckpoint, head.number) is not None:
        return None
    document = {"number": head.number, "hash": head.hash, "at": now.isoformat()}
    made = AuditCheckpoint(number=head.number, hash=head.hash, at=now, jws=signer.sign(document, CHECKPOINT_TYPE))
    session.add(made)
    await session.flush()
    return made


async def latest(session: AsyncSession) -> AuditCheckpoint | None:
    """The newest checkpoint."""
    return (await session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.number.desc()).limit(1))).first()


async def findings(
    session: AsyncSession, *, jwks: dict[str, Any] | None = None, kept: list[str] | None = None
) -> list[Finding]:
    """Everything wrong with the log; empty when it is whole. `kept`: checkpoints (JWS) from elsewhere to hold it to."""
    found: list[Finding] = []
    hashes: dict[int, str] = {0: GENESIS}
    wanted = await _checkpoints(session, jwks, kept or [], found)
    previous, expected = GENESIS, 1
    stream = await session.stream_scalars(select(AuditEntry).order_by(AuditEntry.number))
    async for entry in stream:
        if entry.number != expected:
            found.append(Finding(expected, "missing", f"entries {expected} to {entry.number - 1} are missing"))
        elif entry.previous_hash != previous:
            found.append(Finding(entry.number, "re-ordered", "it does not follow from the entry before it"))
        own = entry_hash(
            number=entry.number,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            company_id=entry.company_id,
            details=entry.details,
            previous=entry.previous_hash,
        )
        if own != entry.hash:
            found.append(Finding(entry.number, "edited", "its content does not match its hash"))
        if entry.number in wanted:
            hashes[entry.number] = entry.hash
        previous, expected = entry.hash, entry.number + 1
    head = (await session.execute(select(AuditHead.number, AuditHead.hash).where(AuditHead.id == 1))).one()
    if head.number >= expected:
        found.append(Finding(expected, "truncated", f"the log ends at {expected - 1}, its head says {head.number}"))
    elif head.number != expected - 1 or head.hash != previous:
        found.append(Finding(head.number, "edited", "the head does not match the last entry"))
    for number, digest in sorted(wanted.items()):
        if number >= expected:
            found.append(Finding(expected, "truncated", f"a signed checkpoint names entry {number}"))
        elif hashes.get(number) != digest:
            found.append(Finding(number, "checkpoint", "a signed checkpoint names another hash for this entry"))
    return sorted(found, key=lambda row: row.number)


async def _checkpoints(
    session: AsyncSession, jwks: dict[str, Any] | None, kept: list[str], found: list[Finding]
) -> dict[int, str]:
    """Number -> hash of every checkpoint that holds; those that do not become findings."""
    rows = await session.scalars(select(AuditCheckpoint).order_by(AuditCheckpoint.number))
    texts = [(row.number, row.jws) for row in rows] + [(0, text) for text in kept]
    wanted: dict[int, str] = {}
    for number, text in texts:
        if jwks is None:
            continue
        try:
            document = verify(text, jwks, CHECKPOINT_TYPE)
        except BadSignature as error:
            found.append(Finding(number, "checkpoint", f"the checkpoint is not ours: {error}"))
            continue
        wanted[int(document["number"])] = str(document["hash"])
    return wanted


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
