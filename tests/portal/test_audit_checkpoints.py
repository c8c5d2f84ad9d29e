"""The audit log: robust under concurrent writers, and no way to change it unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlalchemy import delete, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.checkpoints import checkpoint, export, findings
from portal.audit.models import AuditCheckpoint, AuditEntry, AuditHead
from portal.audit.service import first_broken, record
from portal.kernel.database import SessionMaker, create_engine, session_maker, transaction
from portal.kernel.migrations import upgrade
from portal.kernel.signing import PortalSigner
from tests.factories import postgres

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
SIGNER = PortalSigner(b"t" * 32)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    if postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres.server() as url:
        yield url


async def write(maker: SessionMaker, subject: str) -> None:
    async with transaction(maker) as session:
        await record(session, now=NOW, actor="cli", action="test", subject=subject, details={"ح": 1, "a": [1.5, None]})


@pytest.fixture
async def maker(tmp_path: Path) -> AsyncIterator[SessionMaker]:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'p.sqlite3'}")
    await upgrade(engine)
    yield session_maker(engine)
    await engine.dispose()


async def test_concurrent_writers_on_sqlite_lose_nothing(maker: SessionMaker) -> None:
    await asyncio.gather(*(write(maker, f"s{number}") for number in range(40)))
    async with maker() as session:
        assert await first_broken(session) is None
        assert await session.scalar(text("SELECT COUNT(*) FROM audit_entries")) == 40


@pytest.mark.postgres
async def test_concurrent_writers_on_postgresql_lose_nothing(server: str) -> None:
    engine = create_engine(server)
    try:
        await upgrade(engine)
        maker = session_maker(engine)
        await asyncio.gather(*(write(maker, f"s{number}") for number in range(40)))
        async with maker() as session:
            assert await findings(session) == []
            assert await session.scalar(text("SELECT COUNT(*) FROM audit_entries")) == 40
    finally:
        await engine.dispose()


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
        await session.execute(update(AuditEntry).where(AuditEntry.number == 3).values(details={"a": 2}))
    assert await kinds(maker) == [(3, "edited")]


async def test_a_deletion_names_its_place(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await session.execute(delete(AuditEntry).where(AuditEntry.number == 3))
    assert (3, "missing") in await kinds(maker)


async def test_a_re_ordering_shows(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        for before, after in ((2, 100), (3, 2), (100, 3)):
            await session.execute(update(AuditEntry).where(AuditEntry.number == before).values(number=after))
    found = await kinds(maker)
    assert found
    assert found[0][0] == 2


async def test_a_cut_off_end_shows_even_when_the_head_was_set_back(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
        await session.execute(delete(AuditEntry).where(AuditEntry.number > 4))
    assert (5, "truncated") in await kinds(maker)
    async with transaction(maker) as session:
        last = await session.get_one(AuditEntry, 4)
        await session.execute(update(AuditHead).values(number=4, hash=last.hash))
    assert await kinds(maker) == [(5, "truncated")], "the signed checkpoint remembers entry 6"


async def rewritten(session: AsyncSession) -> None:
    """An attacker who can write everything but cannot sign: edits entry 2 and makes the chain anew."""
    from portal.audit.service import GENESIS, entry_hash

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
        await rewritten(session)
    assert await kinds(maker) == [(6, "checkpoint")]


async def test_a_checkpoint_kept_elsewhere_still_tells(maker: SessionMaker) -> None:
    await filled(maker)
    async with transaction(maker) as session:
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
        await session.execute(update(AuditCheckpoint).values(jws="e30.e30.AAAA"))
    assert await kinds(maker) == [(6, "checkpoint")]


async def test_the_export_holds_every_entry_and_checkpoint(maker: SessionMaker) -> None:
    await filled(maker)
    async with maker() as session:
        lines = [orjson.loads(line) async for line in export(session)]
    assert [line["number"] for line in lines[:-1]] == [1, 2, 3, 4, 5, 6]
    assert lines[-1]["checkpoint"].count(".") == 2
