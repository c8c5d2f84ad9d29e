"""Finding what was done to the audit log behind its back: edits, deletions, insertions, re-ordering, a cut-off end, forgeries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.checkpoints import CHECKPOINT_TYPE
from portal.audit.models import AuditCheckpoint, AuditEntry, AuditHead
from portal.audit.service import GENESIS, entry_hash
from portal.kernel.signing import BadSignature, verify

BATCH = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong, and at which entry. `kind`: edited, missing, inserted, re-ordered, truncated, checkpoint."""

    number: int
    kind: str
    detail: str


async def findings(
    session: AsyncSession, *, jwks: dict[str, Any] | None = None, kept: list[str] | None = None
) -> list[Finding]:
    """Everything wrong with the log; empty when it is whole. `kept`: checkpoints (JWS) from elsewhere to hold it to.

    Without `jwks` signatures cannot be judged, and checkpoints are left aside.
    """
    found: list[Finding] = []
    wanted = await _checkpoints(session, jwks, kept or [], found) if jwks is not None else {}
    hashes: dict[int, str] = {0: GENESIS}
    previous, expected = GENESIS, 1
    async for number, entry in _entries(session):
        if number < expected:
            found.append(Finding(number, "inserted", "the log starts at entry 1"))
            continue
        if number > expected:
            found.append(Finding(expected, "missing", f"entries {expected} to {number - 1} are missing"))
        elif entry is not None and entry.previous_hash != previous:
            found.append(Finding(number, "re-ordered", "it does not follow from the entry before it"))
        if entry is None or _own_hash(entry) != entry.hash:
            found.append(Finding(number, "edited", "its content does not match its hash"))
        if number in wanted and entry is not None:
            hashes[number] = entry.hash
        previous, expected = entry.hash if entry is not None else "", number + 1
    found += await _end(session, previous, expected)
    for number, digest in sorted(wanted.items()):
        if number >= expected:
            found.append(Finding(expected, "truncated", f"a signed checkpoint names entry {number}"))
        elif hashes.get(number) != digest:
            found.append(Finding(number, "checkpoint", "a signed checkpoint names another hash for this entry"))
    return sorted(found, key=lambda row: row.number)


def _own_hash(entry: AuditEntry) -> str:
    return entry_hash(
        number=entry.number,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        company_id=entry.company_id,
        details=entry.details,
        previous=entry.previous_hash,
    )


async def _entries(session: AsyncSession) -> AsyncIterator[tuple[int, AuditEntry | None]]:
    """Number and entry, in order; None for a row that an edit has made unreadable (its details are no JSON, its time is none)."""
    after: int | None = None
    while True:
        numbers = select(AuditEntry.number).order_by(AuditEntry.number).limit(BATCH)
        if after is not None:
            numbers = numbers.where(AuditEntry.number > after)
        batch = list(await session.scalars(numbers))
        if not batch:
            return
        try:
            rows = {row.number: row for row in await _load(session, batch[0], batch[-1])}
        except (ValueError, TypeError):
            rows = {}
            for number in batch:
                rows |= await _one(session, number)
        for number in batch:
            yield number, rows.get(number)
        after = batch[-1]


async def _load(session: AsyncSession, first: int, last: int) -> list[AuditEntry]:
    return list(await session.scalars(select(AuditEntry).where(AuditEntry.number.between(first, last))))


async def _one(session: AsyncSession, number: int) -> dict[int, AuditEntry]:
    try:
        return {row.number: row for row in await _load(session, number, number)}
    except (ValueError, TypeError):
        return {}


async def _end(session: AsyncSession, previous: str, expected: int) -> list[Finding]:
    """Whether the log ends where its head says."""
    head = (await session.execute(select(AuditHead.number, AuditHead.hash).where(AuditHead.id == 1))).one_or_none()
    if head is None:
        return [Finding(expected, "truncated", "the head of the log is missing")]
    if head.number >= expected:
        return [Finding(expected, "truncated", f"the log ends at {expected - 1}, its head says {head.number}")]
    if head.number < expected - 1:
        return [Finding(head.number + 1, "inserted", f"the head of the log stands at {head.number}")]
    if head.hash != previous:
        return [Finding(head.number, "edited", "the head does not match the last entry")]
    return []


async def _checkpoints(
    session: AsyncSession, jwks: dict[str, Any], kept: list[str], found: list[Finding]
) -> dict[int, str]:
    """Number -> hash of every checkpoint that holds; those that do not, and gaps between them, become findings."""
    columns = select(AuditCheckpoint.number, AuditCheckpoint.hash, AuditCheckpoint.jws)
    rows = [(row.number, row.hash, row.jws) for row in await session.execute(columns.order_by(AuditCheckpoint.number))]
    stored = {number for number, _, _ in rows}
    wanted: dict[int, str] = {}
    for number, digest, text in [*rows, *((None, None, text) for text in kept)]:
        try:
            document = verify(text, jwks, CHECKPOINT_TYPE)
        except BadSignature as error:
            found.append(Finding(number or 0, "checkpoint", f"the checkpoint is not ours: {error}"))
            continue
        signed = int(document["number"])
        if number is not None and (number, digest) != (signed, document["hash"]):
            found.append(Finding(number, "checkpoint", f"its row does not say what was signed for entry {signed}"))
        before = int(document.get("previous", 0))
        if number is not None and before and before not in stored:
            found.append(Finding(before, "checkpoint", "this checkpoint was taken out"))
        if wanted.setdefault(signed, str(document["hash"])) != document["hash"]:
            found.append(Finding(signed, "checkpoint", "two signed checkpoints name different hashes for this entry"))
    return wanted
