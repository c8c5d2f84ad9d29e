"""Reads of Users; a person's own things start from their id."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import NotFound
from portal.users.models import PersonalToken, SignIn, User
from portal.users.tokens import digest


async def user_by_email(session: AsyncSession, email: str) -> User | None:
    """The User with a lower-cased address."""
    return (await session.scalars(select(User).where(User.email == email))).one_or_none()


async def users_by_id(session: AsyncSession, ids: set[str]) -> dict[str, User]:
    """Users by id, for showing who did something."""
    return {user.id: user for user in await session.scalars(select(User).where(User.id.in_(ids)))} if ids else {}


async def personal_tokens_of(session: AsyncSession, user_id: str, *, now: datetime) -> Sequence[PersonalToken]:
    """Live personal tokens of a User, newest first."""
    return (
        await session.scalars(
            select(PersonalToken)
            .where(PersonalToken.user_id == user_id, PersonalToken.expires_at > now)
            .order_by(PersonalToken.created_at.desc())
        )
    ).all()


async def personal_token_of(session: AsyncSession, user_id: str, token_id: str) -> PersonalToken:
    """One token of a User; raises NotFound."""
    token = await session.get(PersonalToken, token_id)
    if token is None or token.user_id != user_id:
        raise NotFound
    return token


async def find_personal_token(session: AsyncSession, plain: str, *, now: datetime) -> tuple[PersonalToken, User] | None:
    """The live token with this value and its User."""
    row = (
        await session.execute(
            select(PersonalToken, User)
            .join(User, User.id == PersonalToken.user_id)
            .where(
                PersonalToken.token_hash == digest(plain), PersonalToken.expires_at > now, User.disabled_at.is_(None)
            )
        )
    ).first()
    return (row[0], row[1]) if row else None


async def sign_ins_of(session: AsyncSession, user_id: str, *, now: datetime) -> Sequence[SignIn]:
    """Live browser sessions of a User, last used first."""
    return (
        await session.scalars(
            select(SignIn)
            .where(
                SignIn.user_id == user_id,
                SignIn.expires_at > now,
                SignIn.seen_at > now - timedelta(minutes=30),
                SignIn.awaiting_code.is_(False),
            )
            .order_by(SignIn.seen_at.desc())
        )
    ).all()
