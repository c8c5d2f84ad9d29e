"""Tables of people who sign in to the portal."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Boolean, ForeignKey, Integer, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class Role(StrEnum):
    """What a User is to the programme; a developer's rights come from Memberships."""

    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    ADMIN = "admin"


class User(Base):
    """A person who signs in to the portal. `email` is stored lower-cased; `password_hash` is Argon2id.

    `totp_secret` is sealed; the second factor counts once `totp_confirmed_at` is set. A time step is used at most once: `totp_step`.
    """

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(String(16), default=Role.DEVELOPER)
    language: Mapped[str] = mapped_column(String(2), default="fa")
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    totp_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_confirmed_at: Mapped[datetime | None]
    totp_step: Mapped[int] = mapped_column(Integer, default=0)
    email_confirmed_at: Mapped[datetime | None]


class SignIn(Base):
    """A browser session. Only the SHA-256 of its cookie is stored; a new one is made at every sign-in.

    While `awaiting_code` it has proved the password only. `notices` are messages to show once, sealed with the cookie itself, so
    that a secret waiting for the next page cannot be read from the database.
    """

    __tablename__ = "sign_ins"

    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    awaiting_code: Mapped[bool] = mapped_column(Boolean, default=False)
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    notices: Mapped[bytes | None] = mapped_column(LargeBinary)


class PersonalToken(Base):
    """A bearer token of a User for scripts. Only its SHA-256 is stored; `hint` is what may be shown again."""

    __tablename__ = "personal_tokens"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(24))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class EmailConfirmation(Base):
    """A link that proves an address to be its User's, mailed there; works once, until `expires_at`. Only its SHA-256 is stored."""

    __tablename__ = "email_confirmations"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class PasswordReset(Base):
    """A link to choose a new password, mailed to its User; works once, until `expires_at`. Only its SHA-256 is stored."""

    __tablename__ = "password_resets"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
