"""Tables of companies and of who belongs to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class CompanyStatus(StrEnum):
    """Where the ministry's verification of a Company stands."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    REJECTED = "rejected"
    SUSPENDED = "suspended"


class MemberRole(StrEnum):
    """What a member may do: owners also manage members, developers manage Apps, viewers read."""

    OWNER = "owner"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Company(Base):
    """A business that owns Apps. `national_id` is its 11-digit legal-entity ID (شناسهٔ ملی)."""

    __tablename__ = "companies"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(160))
    national_id: Mapped[str] = mapped_column(String(11), unique=True)
    certificate_number: Mapped[str] = mapped_column(String(32), default="")
    status: Mapped[CompanyStatus] = mapped_column(String(16), default=CompanyStatus.UNVERIFIED)
    created_at: Mapped[datetime]


class Membership(Base):
    """A User's role in a Company."""

    __tablename__ = "memberships"

    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True, index=True)
    role: Mapped[MemberRole] = mapped_column(String(16))
    created_at: Mapped[datetime]


class Invitation(Base):
    """An offer of a Membership to an e-mail address; its token is mailed and only its SHA-256 stored."""

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("company_id", "email"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"))
    email: Mapped[str] = mapped_column(String(254), index=True)
    role: Mapped[MemberRole] = mapped_column(String(16))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    invited_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    accepted_at: Mapped[datetime | None]
