"""Wire shapes of Users. Unknown fields are refused; times are RFC 3339 in UTC."""

from __future__ import annotations

from datetime import datetime

import msgspec

from portal.users.models import PersonalToken, User


class SignUp(msgspec.Struct, forbid_unknown_fields=True):
    """A person to register."""

    email: str
    name: str
    password: str
    language: str = "fa"


class SignedUp(msgspec.Struct):
    """Taken. The same answer whether or not the address was free: its owner learns by mail."""

    email: str
    status: str = "accepted"


class ConfirmationToken(msgspec.Struct, forbid_unknown_fields=True):
    """What ends the mailed link."""

    token: str


class NewSession(msgspec.Struct, forbid_unknown_fields=True):
    """Proof of who you are; `code` when the account has a second factor."""

    email: str
    password: str
    code: str = ""


class SessionToken(msgspec.Struct):
    """A bearer token for the API; shown once."""

    token: str
    expires_at: datetime
    token_type: str = "Bearer"  # noqa: S105 -- the name of a scheme


class Me(msgspec.Struct):
    """The signed-in User."""

    id: str
    email: str
    name: str
    role: str
    language: str
    second_factor: bool
    created_at: datetime
    email_confirmed: bool

    @classmethod
    def of(cls, user: User) -> Me:
        return cls(
            user.id,
            user.email,
            user.name,
            user.role,
            user.language,
            user.totp_confirmed_at is not None,
            user.created_at,
            user.email_confirmed_at is not None,
        )


class ProfileChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; absent fields stay."""

    name: str | None = None
    language: str | None = None


class PasswordChange(msgspec.Struct, forbid_unknown_fields=True):
    """The current password and the new one."""

    current: str
    password: str


class ResetRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Whose password to reset."""

    email: str


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The token of a mailed link and the new password."""

    token: str
    password: str


class Code(msgspec.Struct, forbid_unknown_fields=True):
    """A six-digit code of the authenticator."""

    code: str


class SecondFactorSecret(msgspec.Struct):
    """What the authenticator needs; confirm with a code to turn it on."""

    secret: str
    uri: str


class NewToken(msgspec.Struct, forbid_unknown_fields=True):
    """A personal token to make; it lasts `days` (1 to 365)."""

    name: str
    days: int = 90


class TokenInfo(msgspec.Struct):
    """A personal token, without its value."""

    id: str
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: PersonalToken) -> TokenInfo:
        return cls(token.id, token.name, token.hint, token.created_at, token.expires_at, token.last_used_at)


class MadeToken(msgspec.Struct):
    """A new personal token; `token` is shown this once."""

    token: str
    info: TokenInfo
