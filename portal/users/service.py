"""Verbs on Users: signing up and in, profile, password. Answers never tell whether an e-mail address is registered."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.kernel.errors import Conflict, Invalid, Unauthenticated
from portal.kernel.ids import new_id
from portal.kernel.mail import Mailer
from portal.kernel.text import clean_text, fold, gather
from portal.users import confirmation, mails
from portal.users.confirmation import LinkExpired as LinkExpired
from portal.users.models import PasswordReset, PersonalToken, Role, User
from portal.users.passwords import check_password, hash_password, verify_password
from portal.users.queries import user_by_email
from portal.users.sign_ins import close_all
from portal.users.tokens import digest, hint, personal_token, random_token

RESET_LASTS = timedelta(hours=1)
SESSION_TOKEN_LASTS = timedelta(hours=12)
LONGEST_TOKEN = 365
EMAIL = re.compile(r"[^@\s\"<>()\[\],;:\\]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.[a-z0-9-]{2,}")


class InvalidEmail(Invalid):
    code = "invalid-email"
    title = "This is not an e-mail address; write it like name@example.ir"
    title_fa = "نشانی ایمیل درست نیست؛ نمونهٔ درست: name@example.ir"

    def __init__(self, field: str = "email") -> None:
        super().__init__(field=field)


class EmailTaken(Conflict):
    code = "email-taken"
    title = "Somebody is registered with this e-mail address"
    title_fa = "این نشانی ایمیل پیش‌تر ثبت شده است"


class WrongCredentials(Unauthenticated):
    code = "wrong-credentials"
    title = "E-mail address or password is not right"
    title_fa = "نشانی ایمیل یا گذرواژه درست نیست"


def clean_email(email: str, *, field: str = "email") -> str:
    """Lower-cased address; raises InvalidEmail."""
    folded = fold(email).lower()
    if len(folded) > 254 or not EMAIL.fullmatch(folded) or ".." in folded:
        raise InvalidEmail(field)
    return folded


def clean_name(name: str) -> str:
    """A person's name."""
    return clean_text(name, field="name", fa="نام و نام خانوادگی", en="your name", longest=120, shortest=2)


async def create_user(
    session: AsyncSession,
    *,
    email: str,
    name: str,
    password: str,
    now: datetime,
    role: Role = Role.DEVELOPER,
    language: str = "fa",
    actor: str = "",
) -> User:
    """A new User; raises EmailTaken, InvalidEmail, UnfitPassword. For the command line and demo data."""
    name_, email_, _ = gather(
        lambda: clean_name(name), lambda: clean_email(email), lambda: check_password(password, email=email, name=name)
    )
    if await user_by_email(session, email_) is not None:
        raise EmailTaken(field="email")
    user = User(
        id=new_id("usr"),
        email=email_,
        name=name_,
        password_hash=await hash_password(password),
        role=role,
        language=language if language in ("fa", "en") else "fa",
        created_at=now,
        totp_step=0,
    )
    session.add(user)
    await session.flush()
    await record(
        session, now=now, actor=actor or user.id, action="user.created", subject=user.id, details={"role": str(role)}
    )
    return user


async def sign_up(
    session: AsyncSession,
    *,
    email: str,
    name: str,
    password: str,
    language: str,
    now: datetime,
    mailer: Mailer,
    sign_in_url: str,
    confirm_url: str,
) -> None:
    """Register a person, and mail the link that confirms the address (`confirm_url` ends before its token).

    A taken address gets the same answer after the same work; its owner is told by mail.
    """
    try:
        user = await create_user(session, email=email, name=name, password=password, now=now, language=language)
    except EmailTaken:
        await hash_password(password)
        owner = await user_by_email(session, clean_email(email))
        if owner is not None:
            await mailer.send(mails.already_registered(owner, sign_in_url=sign_in_url))
    except IntegrityError:
        # Two sign-ups with one address raced: to this one's sender it looks like any other.
        await session.rollback()
    else:
        link = await confirmation.link_for(session, user, confirm_url=confirm_url, now=now)
        await mailer.send(mails.welcome(user, sign_in_url=sign_in_url, link=link))


async def authenticate(session: AsyncSession, *, email: str, password: str) -> User:
    """The User with this password; raises WrongCredentials, alike and after the same time whatever was wrong."""
    user = await user_by_email(session, fold(email).lower()[:254])
    right = await verify_password(user.password_hash if user else None, password)
    if user is None or not right or user.disabled_at is not None:
        raise WrongCredentials
    return user


async def update_profile(
    session: AsyncSession, *, user: User, name: str | None, language: str | None, now: datetime
) -> None:
    """Change name or language; None leaves it."""
    if language is not None and language not in ("fa", "en"):
        raise Invalid("Language is fa or en", fa="زبان باید فارسی یا انگلیسی باشد", field="language")
    if name is not None:
        user.name = clean_name(name)
    if language is not None:
        user.language = language
    await record(session, now=now, actor=user.id, action="user.profile.changed", subject=user.id)


async def change_password(
    session: AsyncSession, *, user: User, current: str, password: str, now: datetime, keep_session: str = ""
) -> None:
    """Replace the password; every other session and every personal token of the User ends."""
    if not await verify_password(user.password_hash, current):
        raise Invalid("This is not your current password", fa="گذرواژهٔ کنونی درست نیست", field="current")
    check_password(password, email=user.email, name=user.name)
    user.password_hash = await hash_password(password)
    await _end_access(session, user, keep_session=keep_session)
    await record(session, now=now, actor=user.id, action="user.password.changed", subject=user.id)


async def _end_access(session: AsyncSession, user: User, *, keep_session: str = "") -> None:
    await close_all(session, user_id=user.id, but=keep_session)
    await session.execute(delete(PersonalToken).where(PersonalToken.user_id == user.id))
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))


async def ask_password_reset(
    session: AsyncSession, *, email: str, now: datetime, mailer: Mailer, reset_url: str
) -> None:
    """Mail a link if there is such a User; nothing tells which. `reset_url` ends before the token."""
    user = await user_by_email(session, clean_email(email))
    if user is None or user.disabled_at is not None:
        return
    token = random_token()
    await session.execute(delete(PasswordReset).where(PasswordReset.user_id == user.id))
    session.add(PasswordReset(token_hash=digest(token), user_id=user.id, created_at=now, expires_at=now + RESET_LASTS))
    await record(session, now=now, actor="gozar", action="user.password.reset_asked", subject=user.id)
    await mailer.send(mails.password_reset(user, link=f"{reset_url}{token}"))


async def find_reset(session: AsyncSession, *, token: str, now: datetime) -> User:
    """The User of a live link; raises LinkExpired."""
    reset = await session.get(PasswordReset, digest(token))
    user = await session.get(User, reset.user_id) if reset and reset.expires_at > now else None
    if user is None or user.disabled_at is not None:
        raise LinkExpired
    return user


async def reset_password(session: AsyncSession, *, token: str, password: str, now: datetime) -> User:
    """Set a new password through a mailed link, which then works no more; ends every session and token."""
    user = await find_reset(session, token=token, now=now)
    check_password(password, email=user.email, name=user.name)
    user.password_hash = await hash_password(password)
    # The link came by mail: the address is theirs.
    user.email_confirmed_at = user.email_confirmed_at or now
    await _end_access(session, user)
    await record(session, now=now, actor=user.id, action="user.password.reset", subject=user.id)
    return user


async def make_personal_token(
    session: AsyncSession, *, user: User, name: str, now: datetime, lasts: timedelta
) -> tuple[PersonalToken, str]:
    """A bearer token for scripts and its plain value, shown once; raises Invalid."""
    label = clean_text(name, field="name", fa="نام توکن", en="a name for the token", longest=80)
    if not timedelta(minutes=1) <= lasts <= timedelta(days=LONGEST_TOKEN):
        raise Invalid("A token lasts between 1 and 365 days", fa="اعتبار توکن بین ۱ تا ۳۶۵ روز است", field="days")
    plain = personal_token()
    made = PersonalToken(
        id=new_id("pat"),
        user_id=user.id,
        name=label,
        token_hash=digest(plain),
        hint=hint(plain),
        created_at=now,
        expires_at=now + lasts,
    )
    session.add(made)
    await session.flush()
    await record(session, now=now, actor=user.id, action="user.token.created", subject=made.id)
    return made, plain


async def revoke_personal_token(session: AsyncSession, *, token: PersonalToken, now: datetime) -> None:
    """End a personal token."""
    await session.delete(token)
    await record(session, now=now, actor=token.user_id, action="user.token.revoked", subject=token.id)
