"""Tables of what follows an approval: its state, its ramp, suspensions and their notes."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class Approval(Base):
    """An App's standing permission for production. `snapshot` is what drift is measured against; `ramp_step` counts from 0."""

    __tablename__ = "approvals"
    __table_args__ = (Index("ix_approvals_due", "revoked_at", "next_check_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("app_environments.client_id"), index=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("review_requests.id"))
    decision_id: Mapped[str] = mapped_column(ForeignKey("decisions.id"), unique=True)
    scopes: Mapped[list[str]]
    conditions: Mapped[list[str]]
    snapshot: Mapped[dict[str, Any]]
    findings: Mapped[dict[str, Any]]
    approved_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    notice_days: Mapped[int] = mapped_column(Integer, default=0)
    ramp: Mapped[str] = mapped_column(String(16), default="standard")
    ramp_step: Mapped[int] = mapped_column(Integer, default=0)
    ramp_at: Mapped[datetime]
    next_check_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str] = mapped_column(String(40), default="")


class RampChange(Base):
    """One step of an App's production limits up or down, with the measures that moved it and the words for the developer."""

    __tablename__ = "ramp_changes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    approval_id: Mapped[str] = mapped_column(ForeignKey("approvals.id"), index=True)
    at: Mapped[datetime]
    from_step: Mapped[int] = mapped_column(Integer)
    to_step: Mapped[int] = mapped_column(Integer)
    reason: Mapped[str] = mapped_column(String(40))
    explanation_fa: Mapped[str] = mapped_column(Text)
    explanation_en: Mapped[str] = mapped_column(Text)
    measures: Mapped[dict[str, Any]]


class Target(StrEnum):
    """What a kill switch may cut."""

    APP = "app"
    COMPANY = "company"
    SCOPE = "scope"
    PRODUCT = "product"


class Grade(StrEnum):
    """`limited`: reads only, at a lower rate. `voluntary`: asked for by the Company, lifted by it. `involuntary`: by the ministry."""

    LIMITED = "limited"
    VOLUNTARY = "voluntary"
    INVOLUNTARY = "involuntary"


class Suspension(Base):
    """A cut of access. Lifting one that the ministry imposed takes two reviewers: the database refuses one alone.

    `held` keeps what was taken away (statuses, scopes, subscriptions), so that lifting gives back exactly that.
    """

    __tablename__ = "suspensions"
    __table_args__ = (
        CheckConstraint(
            "lifted_by IS NULL OR grade = 'voluntary' OR (lift_proposed_by IS NOT NULL AND lift_proposed_by <> lifted_by)",
            name="lift_two_persons",
        ),
        Index("ix_suspensions_target", "target", "target_id", "lifted_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    target: Mapped[Target] = mapped_column(String(16))
    target_id: Mapped[str] = mapped_column(String(200))
    environment: Mapped[str] = mapped_column(String(16), default="")
    grade: Mapped[Grade] = mapped_column(String(16))
    reason_code: Mapped[str] = mapped_column(String(40))
    reason: Mapped[str] = mapped_column(Text, default="")
    held: Mapped[dict[str, Any]]
    policy_version: Mapped[str] = mapped_column(String(16))
    imposed_by: Mapped[str] = mapped_column(String(64))
    imposed_at: Mapped[datetime]
    lift_proposed_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    lift_proposed_at: Mapped[datetime | None]
    lift_reason: Mapped[str] = mapped_column(Text, default="")
    lifted_by: Mapped[str | None] = mapped_column(String(64))
    lifted_at: Mapped[datetime | None]


class IncidentNote(Base):
    """A note on a Suspension; `audience` is `internal`, `company` or `public`."""

    __tablename__ = "incident_notes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    suspension_id: Mapped[str] = mapped_column(ForeignKey("suspensions.id"), index=True)
    author_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime]
    audience: Mapped[str] = mapped_column(String(16), default="internal")
    body: Mapped[str] = mapped_column(Text)
