"""Proving that an e-mail address is one's own: a mailed link, good for three days, that works once."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.kernel.errors import Conflict, NotFound
from portal.kernel.mail import Mailer
from portal.users import mails
from portal.users.models import EmailConfirmation, User
from portal.users.tokens import digest, random_token

LASTS = timedelta(days=3)


class LinkExpired(NotFound):
    code = "link-expired"
    title = "This link has expired or was used already"
    title_fa = "این پیوند دیگر معتبر نیست یا پیش‌تر به کار رفته است"


class EmailUnconfirmed(Conflict):
    code = "email-unconfirmed"
    title = "Confirm your e-mail address first: the link was mailed to you, and your profile page mails another"
    title_fa = "نخست نشانی ایمیل خود را تأیید کنید؛ پیوند آن برایتان فرستاده شده و از صفحهٔ نمایه دوباره فرستاده می‌شود"


async def link_for(session: AsyncSession, user: User, *, confirm_url: str, now: datetime) -> str:
    """A fresh link for `user`; an earlier one works no more. `confirm_url` ends before the token."""
    token = random_token()
    await session.execute(delete(EmailConfirmation).where(EmailConfirmation.user_id == user.id))
    session.add(EmailConfirmation(token_hash=digest(token), user_id=user.id, created_at=now, expires_at=now + LASTS))
    await session.flush()
    return f"{confirm_url}{token}"


async def mail_again(session: AsyncSession, user: User, *, confirm_url: str, mailer: Mailer, now: datetime) -> None:
    """Mail another link; nothing for an address that is confirmed."""
    if user.email_confirmed_at is None:
        link = await link_for(session, user, confirm_url=confirm_url, now=now)
        await mailer.send(mails.confirmation(user, link=link))


async def confirm(session: AsyncSession, *, token: str, now: datetime) -> User:
    """Take a link; raises LinkExpired for one that is unknown, used or too old."""
    found = await session.get(EmailConfirmation, digest(token))
    user = await session.get(User, found.user_id) if found and found.expires_at > now else None
    if user is None or user.disabled_at is not None:
        raise LinkExpired
    user.email_confirmed_at = user.email_confirmed_at or now
    await session.execute(delete(EmailConfirmation).where(EmailConfirmation.user_id == user.id))
    await record(session, now=now, actor=user.id, action="user.email.confirmed", subject=user.id)
    return user


def must_be_confirmed(user: User, *, demanded: bool) -> None:
    """Raise EmailUnconfirmed where the deployment demands a confirmed address (it does when it sends real mail)."""
    if demanded and user.email_confirmed_at is None:
        raise EmailUnconfirmed
