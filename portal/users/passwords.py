"""Passwords: what may be one, and Argon2id off the event loop with few at once.

Parameters are OWASP's minimum (19 MiB, two passes, one lane; about 25 ms). Each takes memory, so no more than two run at a time:
a burst of sign-ins waits instead of filling the machine.
"""

from __future__ import annotations

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from portal.kernel.errors import Invalid

SHORTEST, LONGEST = 12, 128
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_COMMON = (
    "password",
    "qwertyuiop",
    "12345678",
    "1234567890",
    "111111",
    "iloveyou",
    "letmein",
    "abcdef",
    "gozar",
    "گذرواژه",
)
# Verified when there is no such User, so that the answer takes as long.
_NOBODY = _hasher.hash("nobody has this password")
_at_once: dict[int, anyio.CapacityLimiter] = {}


class UnfitPassword(Invalid):
    code = "unfit-password"
    title = "Choose another password"
    title_fa = "گذرواژهٔ دیگری برگزینید"


def _limiter() -> anyio.CapacityLimiter:
    # A limiter belongs to the loop it was made in; servers have one, tests many.
    token = id(anyio.lowlevel.current_token())
    if token not in _at_once:
        _at_once.clear()
        _at_once[token] = anyio.CapacityLimiter(2)
    return _at_once[token]


def check_password(password: str, *, email: str, name: str, field: str = "password") -> None:
    """Raise UnfitPassword unless `password` is long enough and not easily guessed."""
    if len(password) < SHORTEST:
        raise UnfitPassword(
            f"The password must have at least {SHORTEST} characters",
            fa="گذرواژه باید دست‌کم ۱۲ نویسه داشته باشد",
            field=field,
        )
    if len(password) > LONGEST:
        raise UnfitPassword(
            f"The password must have at most {LONGEST} characters",
            fa="گذرواژه نباید بیش از ۱۲۸ نویسه داشته باشد",
            field=field,
        )
    folded = password.casefold()
    rest = folded
    for word in (*_COMMON, email.split("@")[0].casefold(), *name.casefold().split()):
        if len(word) >= 4:
            rest = rest.replace(word, "")
    if len(rest) < SHORTEST // 2 or len(set(folded)) < 5:
        raise UnfitPassword(
            "The password is too easy to guess: leave out your name, your e-mail and common words",
            fa="این گذرواژه را آسان می‌توان حدس زد؛ نام، نشانی ایمیل و واژه‌های رایج را در آن نیاورید",
            field=field,
        )


async def hash_password(password: str) -> str:
    """Argon2id hash of `password`."""
    return await anyio.to_thread.run_sync(_hasher.hash, password, limiter=_limiter())


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher.verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


async def verify_password(stored: str | None, password: str) -> bool:
    """Whether `password` is the one behind `stored`; takes as long when there is nobody (None)."""
    if len(password) > LONGEST:
        password = password[:LONGEST] + "…"
    right = await anyio.to_thread.run_sync(_verify, stored or _NOBODY, password, limiter=_limiter())
    return right and stored is not None
