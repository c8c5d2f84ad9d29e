"""The audit chain."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, update

from portal.audit.models import AuditEntry
from portal.audit.service import first_broken, record
from portal.kernel.database import create_engine, session_maker, transaction
from portal.kernel.migrations import upgrade

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


async def test_an_edit_or_a_deletion_is_found(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite+aiosqlite:///{tmp_path / 'p.sqlite3'}")
    await upgrade(engine)
    maker = session_maker(engine)
    async with transaction(maker) as session:
        for number in range(5):
            await record(session, now=NOW + timedelta(seconds=number), actor="cli", action="test", subject=f"s{number}")
    async with maker() as session:
        assert await first_broken(session) is None
    async with transaction(maker) as session:
        await session.execute(update(AuditEntry).where(AuditEntry.number == 3).values(actor="somebody else"))
    async with maker() as session:
        assert await first_broken(session) == 3
    async with transaction(maker) as session:
        await session.execute(update(AuditEntry).where(AuditEntry.number == 3).values(actor="cli"))
        await session.execute(delete(AuditEntry).where(AuditEntry.number == 2))
    async with maker() as session:
        assert await first_broken(session) == 2
    await engine.dispose()
