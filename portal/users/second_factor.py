"""Time-based one-time codes (RFC 6238) as an optional second factor. A code works once."""

from __future__ import annotations

from datetime import datetime

import pyotp
from sqlalchemy.ext.asyncio import AsyncSession

from portal.audit.service import record
from portal.kernel.errors import Conflict, Invalid
from portal.kernel.keys import Keyring
from portal.kernel.text import fold
from portal.users.models import User
from portal.users.sign_ins import close_all
from portal.users.tokens import seal, unseal

STEP = 30


class WrongCode(Invalid):
    code = "wrong-code"
    title = "The code is not right, or was used already; wait for the next one"
    title_fa = "کد درست نیست یا پیش‌تر به کار رفته است؛ کد بعدی را وارد کنید"

    def __init__(self) -> None:
        super().__init__(field="code")


class SecondFactorExists(Conflict):
    code = "second-factor-exists"
    title = "A second factor is already set up; remove it first"
    title_fa = "ورود دومرحله‌ای از پیش فعال است؛ نخست آن را غیرفعال کنید"


def _key(keyring: Keyring) -> bytes:
    return keyring.derive("second-factor")


def begin(user: User, *, keyring: Keyring) -> str:
    """Give `user` a new, unconfirmed secret; returns it in base32 for the authenticator."""
    if user.totp_confirmed_at is not None:
        raise SecondFactorExists
    secret = pyotp.random_base32()
    user.totp_secret = seal(_key(keyring), secret.encode())
    return secret


def pending_secret(user: User, *, keyring: Keyring) -> str | None:
    """The secret that waits for its first code, so that the page can show it again."""
    if user.totp_secret is None or user.totp_confirmed_at is not None:
        return None
    plain = unseal(_key(keyring), user.totp_secret)
    return plain.decode() if plain else None


def provisioning_uri(secret: str, *, email: str) -> str:
    """The `otpauth:` URI that authenticators read."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name="Gozar")


def verify(user: User, code: str, *, now: datetime, keyring: Keyring) -> None:
    """Accept the code of this step or its neighbours, once; raises WrongCode."""
    plain = unseal(_key(keyring), user.totp_secret) if user.totp_secret else None
    given = fold(code).replace(" ", "")
    if plain is None or len(given) != 6 or not given.isdecimal():
        raise WrongCode
    totp = pyotp.TOTP(plain.decode())
    current = int(now.timestamp()) // STEP
    for step in (current - 1, current, current + 1):
        if step > user.totp_step and pyotp.utils.strings_equal(totp.generate_otp(step), given):
            user.totp_step = step
            return
    raise WrongCode


async def confirm(
    session: AsyncSession, *, user: User, code: str, now: datetime, keyring: Keyring, keep_session: str = ""
) -> None:
    """Turn the second factor on with its first code; sessions that did not need it end, but for the cookie `keep_session`."""
    if user.totp_confirmed_at is not None:
        raise SecondFactorExists
    verify(user, code, now=now, keyring=keyring)
    user.totp_confirmed_at = now
    await close_all(session, user_id=user.id, but=keep_session)
    await record(session, now=now, actor=user.id, action="user.second_factor.added", subject=user.id)


async def remove(session: AsyncSession, *, user: User, code: str, now: datetime, keyring: Keyring) -> None:
    """Turn it off, with a code."""
    verify(user, code, now=now, keyring=keyring)
    user.totp_secret, user.totp_confirmed_at = None, None
    await record(session, now=now, actor=user.id, action="user.second_factor.removed", subject=user.id)
