"""Nobody's calls stop by surprise: the end of a Credential is announced, each stage once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import expiry
from portal.apps.models import Credential, CredentialKind
from portal.kernel.database import SessionMaker
from portal.kernel.mail import MemoryMailer
from tests.portal.reviews.world import build

END = datetime(2026, 12, 31, 12, 0, tzinfo=UTC)


async def credential(session: AsyncSession, **changes: object) -> Credential:
    world = await build(session)
    made = Credential(
        id="cred_1",
        client_id="cli_sandbox",
        kind=CredentialKind.SECRET,
        secret_hash="0" * 64,
        secret_hint="gzs_…abcd",
        created_by=world.owner.id,
        created_at=END - timedelta(days=90),
        expires_at=END,
        **changes,
    )
    session.add(made)
    await session.flush()
    return made


async def test_each_stage_is_told_once_to_those_who_can_act(sqlite_maker: SessionMaker, tmp_path: Path) -> None:
    mailer = MemoryMailer()
    async with sqlite_maker() as session:
        await credential(session)
        hours = [
            n
            for n in range(40 * 24, 0, -1)
            if await expiry.notify(session, mailer=mailer, now=END - timedelta(hours=n))
        ]
        assert hours == [30 * 24, 15 * 24 - 1, 8 * 24 - 1, 2 * 24 - 1]
    assert {mail.to for mail in mailer.sent} == {"owner@example.org"}, "viewers cannot make a new one"
    assert "gzs_…abcd" in mailer.sent[0].text


async def test_what_is_revoked_ended_or_without_end_is_not_spoken_of(sqlite_maker: SessionMaker) -> None:
    mailer = MemoryMailer()
    async with sqlite_maker() as session:
        made = await credential(session)
        for revoked, expires in ((END, END), (None, END - timedelta(days=11)), (None, None)):
            made.revoked_at, made.expires_at = revoked, expires
            await session.flush()
            assert await expiry.notify(session, mailer=mailer, now=END - timedelta(days=10)) == 0
    assert mailer.sent == []
