"""Browser sessions. The cookie is 256 random bits of ours: an id that a client brings is looked up, never adopted."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.users.models import SignIn, User
from portal.users.tokens import digest, random_token, seal, unseal
from portal.web.visit import Notice

IDLE, ABSOLUTE, CODE_WINDOW = timedelta(minutes=30), timedelta(hours=12), timedelta(minutes=10)
# `seen_at` is written at most this often, so that reading pages does not write to the database.
SEEN_EVERY = timedelta(minutes=1)


async def open_sign_in(
    session: AsyncSession, *, user: User, now: datetime, user_agent: str = "", awaiting_code: bool = False
) -> str:
    """Make a session for `user`; returns the cookie's value, which nobody can read again."""
    await forget_expired(session, now=now)
    token = random_token()
    lasts = CODE_WINDOW if awaiting_code else ABSOLUTE
    session.add(
        SignIn(
            id_hash=digest(token),
            user_id=user.id,
            created_at=now,
            seen_at=now,
            expires_at=now + lasts,
            awaiting_code=awaiting_code,
            user_agent=user_agent[:200],
        )
    )
    await session.flush()
    if not awaiting_code:
        await record(session, now=now, actor=user.id, action="user.signed-in", subject=user.id)
    return token


async def find_sign_in(session: AsyncSession, token: str, *, now: datetime) -> tuple[SignIn, User] | None:
    """The live session of a cookie and its User, or None: unknown, expired, idle for too long, or the User disabled."""
    row = (
        await session.execute(
            select(SignIn, User)
            .join(User, User.id == SignIn.user_id)
            .where(
                SignIn.id_hash == digest(token),
                SignIn.expires_at > now,
                SignIn.seen_at > now - IDLE,
                User.disabled_at.is_(None),
            )
        )
    ).first()
    return (row[0], row[1]) if row else None


async def close_sign_in(session: AsyncSession, token: str) -> None:
    """End the session of a cookie."""
    await session.execute(delete(SignIn).where(SignIn.id_hash == digest(token)))


async def close_all(session: AsyncSession, *, user_id: str, but: str = "") -> None:
    """End every session of a User, except that of the cookie `but`."""
    kept = digest(but) if but else ""
    await session.execute(delete(SignIn).where(SignIn.user_id == user_id, SignIn.id_hash != kept))


async def forget_expired(session: AsyncSession, *, now: datetime) -> None:
    """Delete sessions that have ended."""
    await session.execute(delete(SignIn).where((SignIn.expires_at <= now) | (SignIn.seen_at <= now - ABSOLUTE)))


def _key(token: str) -> bytes:
    return hashlib.sha256(b"notices:" + token.encode()).digest()


def add_notice(sign_in: SignIn, token: str, notice: Notice) -> None:
    """Keep `notice` for the next page of this session."""
    kept = [*read_notices(sign_in, token), notice]
    sign_in.notices = seal(_key(token), msgspec.json.encode([asdict(item) for item in kept]))


def read_notices(sign_in: SignIn, token: str) -> list[Notice]:
    """The notices that wait."""
    if not sign_in.notices:
        return []
    plain = unseal(_key(token), sign_in.notices)
    return msgspec.json.decode(plain, type=list[Notice]) if plain else []
