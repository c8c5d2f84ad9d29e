"""Tables of people who sign in to the portal."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class Role(StrEnum):
    """What a User is to the programme; a developer's rights come from Memberships."""

    DEVELOPER = "developer"
    REVIEWER = "reviewer"
    ADMIN = "admin"


class User(Base):
    """A person who signs in to the portal. `email` is stored lower-cased; `password_hash` is Argon2id."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    password_hash: Mapped[str] = mapped_column(String(255))
    role: Mapped[Role] = mapped_column(String(16), default=Role.DEVELOPER)
    language: Mapped[str] = mapped_column(String(2), default="fa")
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class SignIn(Base):
    """A browser session. Only the SHA-256 of its cookie is stored; a new one is made at every sign-in."""

    __tablename__ = "sign_ins"

    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
