"""Tables of companies and of who belongs to them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, Text, UniqueConstraint
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
    website: Mapped[str] = mapped_column(String(255), default="")
    status: Mapped[CompanyStatus] = mapped_column(String(16), default=CompanyStatus.UNVERIFIED)
    status_reason: Mapped[str] = mapped_column(Text, default="")
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


class ProofKind(StrEnum):
    """What a Company proves about itself. The first three are judged by a reviewer, the rest by Gozar."""

    IDENTITY = "identity"
    CERTIFICATE = "certificate"
    OFFICER = "officer"
    DOMAIN = "domain"
    KEY = "key"


class ProofStatus(StrEnum):
    """`pending` waits for a reviewer or for the proof to appear."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    EXPIRED = "expired"


class CompanyProof(Base):
    """One proof of a Company. `subject` is the domain, certificate number, officer's name or key thumbprint it is about."""

    __tablename__ = "company_proofs"
    __table_args__ = (UniqueConstraint("company_id", "kind", "subject"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    kind: Mapped[ProofKind] = mapped_column(String(16))
    subject: Mapped[str] = mapped_column(String(255))
    status: Mapped[ProofStatus] = mapped_column(String(16), default=ProofStatus.PENDING)
    details: Mapped[dict[str, Any]]
    challenge: Mapped[str] = mapped_column(String(64), default="")
    submitted_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    submitted_at: Mapped[datetime]
    decided_by: Mapped[str] = mapped_column(String(64), default="")
    decided_at: Mapped[datetime | None]
    reason: Mapped[str] = mapped_column(String(500), default="")
    expires_at: Mapped[datetime | None]
