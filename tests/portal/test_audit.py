"""The audit log: robust under concurrent writers, refused any change by the database, and no way to change it unseen."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from sqlalchemy import delete, insert, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.checkpoints import checkpoint, export
from portal.audit.models import AuditCheckpoint, AuditEntry, AuditHead
from portal.audit.service import GENESIS, entry_hash, record
from portal.audit.verification import findings
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.signing import PortalSigner

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SIGNER = PortalSigner(b"t" * 32)
FORGER = PortalSigner(b"f" * 32)


@pytest.fixture
def maker(both_makers: SessionMaker) -> SessionMaker:
    return both_makers


async def write(maker: SessionMaker, subject: str) -> None:
    async with transaction(maker) as session:
        await record(session, now=NOW, actor="cli", action="test", subject=subject, details={"ح": 1, "a": [1.5, None]})


async def unguard(session: AsyncSession) -> None:
    """What somebody who owns the database can do: take the triggers away."""
    if session.get_bind().dialect.name == "sqlite":
        names = await session.scalars(
            text("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit%'")
        )
        for name in names:
            await session.execute(text(f"DROP TRIGGER {name}"))
    else:
        for table in ("audit_entries", "audit_checkpoints", "audit_head"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))


async def test_concurrent_writers_lose_nothing(maker: SessionMaker) -> None:
    await asyncio.gather(*(write(maker, f"s{number}") for number in range(40)))
    async with maker() as session:
        assert await findings(session) == []
        assert await session.scalar(text("SELECT COUNT(*) FROM audit_entries")) == 40


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_entries SET actor = 'nobody' WHERE number = 3",
        "DELETE FROM audit_entries WHERE number = 3",
        "DELETE FROM audit_entries",
        "UPDATE audit_checkpoints SET jws = 'x'",
        "DELETE FROM audit_checkpoints",
        "UPDATE audit_head SET number = 2",
        "DELETE FROM audit_head",
    ],
)
async def test_the_database_refuses_every_change_of_the_past(maker: SessionMaker, change: str) -> None:
    await filled(maker)
    with pytest.raises(DBAPIError, match=r"append-only|moves forward"):
        async with transaction(maker) as session:
            await session.execute(text(change))
    assert await kinds(maker) == []


async def test_a_rolled_back_decision_leaves_no_gap(maker: SessionMaker) -> None:
    await write(maker, "first")
    with pytest.raises(RuntimeError):
        async with transaction(maker) as session:
            await record(session, now=NOW, actor="cli", action="test", subject="never")
            raise RuntimeError("the decision fails")
    await write(maker, "second")
    async with maker() as session:
        assert await findings(session) == []


async def filled(maker: SessionMaker, count: int = 6) -> None:
    for number in range(count):
        await write(maker, f"s{number}")
    async with transaction(maker) as session:
        made = await checkpoint(session, signer=SIGNER, now=NOW)
        assert made is not None
        assert await checkpoint(session, signer=SIGNER, now=NOW) is None, "nothing was added since"


async def kinds(maker: SessionMaker) -> list[tuple[int, str]]:
    async with maker() as session:
        return [(row.number, row.kind) for row in await findings(session, jwks=SIGNER.jwks())]


async def test_an_untouched_log_is_whole(maker: SessionMaker) -> None:
    await filled(maker)
    assert await kinds(maker) == []


async def test_an_edit_names_its_entry(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await session.execute(update(AuditEntry).where(AuditEntry.number == 3).values(details={"a": 2}))
    assert await kinds(maker) == [(3, "edited")]


async def test_a_deletion_names_its_place(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await session.execute(delete(AuditEntry).where(AuditEntry.number == 3))
    assert (3, "missing") in await kinds(maker)


async def test_a_re_ordering_shows(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        for before, after in ((2, 100), (3, 2), (100, 3)):
            await session.execute(update(AuditEntry).where(AuditEntry.number == before).values(number=after))
    found = await kinds(maker)
    assert found
    assert found[0][0] == 2


async def test_a_cut_off_end_shows_even_when_the_head_was_set_back(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await session.execute(delete(AuditEntry).where(AuditEntry.number > 4))
    assert (5, "truncated") in await kinds(maker)
    async with transaction(maker) as session:
        await unguard(session)
        last = await session.get_one(AuditEntry, 4)
        await session.execute(update(AuditHead).values(number=4, hash=last.hash))
    assert await kinds(maker) == [(5, "truncated")], "the signed checkpoint remembers entry 6"


async def rewritten(session: AsyncSession) -> None:
    """An attacker who can write everything but cannot sign: edits entry 2 and makes the chain anew."""
    previous = GENESIS
    for number in range(1, 7):
        entry = await session.get_one(AuditEntry, number)
        if number == 2:
            entry.actor = "somebody else"
        entry.previous_hash = previous
        entry.hash = previous = entry_hash(
            number=number,
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            company_id=entry.company_id,
            details=entry.details,
            previous=previous,
        )
    await session.execute(update(AuditHead).values(hash=previous))


async def test_a_chain_made_anew_is_caught_by_the_signed_checkpoint(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await rewritten(session)
    assert await kinds(maker) == [(6, "checkpoint")]


async def test_a_checkpoint_kept_elsewhere_still_tells(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        kept = (await session.get_one(AuditCheckpoint, 6)).jws
        await session.execute(delete(AuditCheckpoint))
        await rewritten(session)
    assert await kinds(maker) == []
    async with maker() as session:
        found = await findings(session, jwks=SIGNER.jwks(), kept=[kept])
    assert [(row.number, row.kind) for row in found] == [(6, "checkpoint")]


async def test_a_forged_checkpoint_is_no_checkpoint(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await session.execute(update(AuditCheckpoint).values(jws="e30.e30.AAAA"))
    assert await kinds(maker) == [(6, "checkpoint")]


async def test_the_export_holds_every_entry_and_checkpoint(maker: SessionMaker) -> None:
    await filled(maker)
    async with maker() as session:
        lines = [orjson.loads(line) async for line in export(session)]
    assert [line["number"] for line in lines[:-1]] == [1, 2, 3, 4, 5, 6]
    assert lines[-1]["checkpoint"].count(".") == 2


async def test_a_row_made_unreadable_is_an_edit_and_no_crash(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        sqlite = session.get_bind().dialect.name == "sqlite"
        # PostgreSQL itself refuses what is no JSON, so there the shape is wrong.
        change = "UPDATE audit_entries SET details = 'no json' WHERE number = 3"
        await session.execute(text(change if sqlite else change.replace("'no json'", "'[1]'")))
    assert (3, "edited") in await kinds(maker)


async def test_an_inserted_entry_shows_at_either_end(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        last = await session.get_one(AuditEntry, 6)
        for number, previous in ((0, GENESIS), (7, last.hash)):
            values = {
                "number": number,
                "at": NOW,
                "actor": "cli",
                "action": "forged",
                "subject": "s",
                "company_id": "",
                "details": {},
            }
            digest = entry_hash(**values, previous=previous)
            await session.execute(insert(AuditEntry).values(**values, previous_hash=previous, hash=digest))
    assert await kinds(maker) == [(0, "inserted"), (7, "inserted")]


async def test_a_missing_head_is_a_finding(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await session.execute(delete(AuditHead))
    assert await kinds(maker) == [(7, "truncated")]


async def test_a_checkpoint_taken_out_of_the_middle_is_missed_by_the_next(maker: SessionMaker) -> None:
    await filled(maker)
    await write(maker, "later")
    async with transaction(maker) as session:
        await checkpoint(session, signer=SIGNER, now=NOW + timedelta(hours=1))
        await unguard(session)
        await session.execute(delete(AuditCheckpoint).where(AuditCheckpoint.number == 6))
    assert await kinds(maker) == [(6, "checkpoint")]


async def test_a_checkpoint_signed_by_another_key_is_a_finding(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await rewritten(session)
        entry = await session.get_one(AuditEntry, 6)
        forged = FORGER.sign(
            {"number": 6, "hash": entry.hash, "at": NOW.isoformat(), "previous": 0}, "gozar-audit-checkpoint+jws"
        )
        await session.execute(update(AuditCheckpoint).values(jws=forged, hash=entry.hash))
    assert await kinds(maker) == [(6, "checkpoint")]


async def test_a_checkpoint_of_another_entry_does_not_serve_for_this_one(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await unguard(session)
        await session.execute(update(AuditCheckpoint).values(number=5))
    assert (5, "checkpoint") in await kinds(maker)
