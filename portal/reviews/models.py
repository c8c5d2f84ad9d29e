"""Tables of promotion up to the decision; what follows an approval is in `production.py`."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, Integer, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from portal.kernel.database import Base


class RequestStatus(StrEnum):
    """Where a ReviewRequest stands. Only DRAFT and CHANGES_REQUESTED may be edited by the Company."""

    DRAFT = "draft"
    SUBMITTED = "submitted"
    IN_REVIEW = "in_review"
    AWAITING_SECOND = "awaiting_second"
    CHANGES_REQUESTED = "changes_requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


EDITABLE = (RequestStatus.DRAFT, RequestStatus.CHANGES_REQUESTED)
QUEUED = (RequestStatus.SUBMITTED, RequestStatus.IN_REVIEW, RequestStatus.AWAITING_SECOND)
OPEN = (*EDITABLE, *QUEUED)


UNFINISHED = text("status NOT IN ('approved', 'rejected', 'withdrawn')")
UNDECIDED = text("effective_at IS NULL AND declined_by IS NULL")


class RequestKind(StrEnum):
    """`production` is the first passage of an App, `change` asks for other scopes or renews, `appeal` contests a rejection."""

    PRODUCTION = "production"
    CHANGE = "change"
    APPEAL = "appeal"


class ScopeDecision(StrEnum):
    PENDING = "pending"
    APPROVED = "approved"
    REFUSED = "refused"


class Outcome(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES_REQUESTED = "changes_requested"


class ReviewRequest(Base):
    """An App's request for production.

    The service clock runs while the ministry holds it: `due_at` is set then; while it waits on the Company, `days_left` keeps what
    remains of the target in working days. `snapshot` freezes what was submitted (scopes, redirects, keys, answers, evidence).
    """

    __tablename__ = "review_requests"
    __table_args__ = (
        Index("ix_review_requests_queue", "status", "due_at"),
        Index("ix_review_requests_order", "status", "submitted_at"),
        # Only what waits in the queue has a due date, so this alone orders the whole queue.
        Index("ix_review_requests_due", "due_at", "id"),
        Index("ix_review_requests_load", "assigned_to", "status"),
        # One open request for an App, also when two colleagues press the button at once.
        Index("uq_review_requests_open", "app_id", unique=True, sqlite_where=UNFINISHED, postgresql_where=UNFINISHED),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    reference: Mapped[str] = mapped_column(String(16), unique=True)
    app_id: Mapped[str] = mapped_column(ForeignKey("apps.id"), index=True)
    company_id: Mapped[str] = mapped_column(ForeignKey("companies.id"), index=True)
    kind: Mapped[RequestKind] = mapped_column(String(16), default=RequestKind.PRODUCTION)
    status: Mapped[RequestStatus] = mapped_column(String(20), default=RequestStatus.DRAFT)
    appeal_of: Mapped[str | None] = mapped_column(ForeignKey("review_requests.id"))
    app_version: Mapped[str] = mapped_column(String(40), default="1.0.0")
    answers: Mapped[dict[str, Any]]
    snapshot: Mapped[dict[str, Any]]
    checklist: Mapped[dict[str, Any]]
    evidence_id: Mapped[str] = mapped_column(String(32), default="")
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    submitted_at: Mapped[datetime | None]
    assigned_to: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    assigned_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    days_left: Mapped[int] = mapped_column(Integer, default=0)
    decided_at: Mapped[datetime | None]


class ReviewScope(Base):
    """One scope asked for in a ReviewRequest, why, and what was decided about it. `sensitive` is the catalogue's word at submission."""

    __tablename__ = "review_scopes"

    request_id: Mapped[str] = mapped_column(ForeignKey("review_requests.id"), primary_key=True)
    scope: Mapped[str] = mapped_column(String(200), primary_key=True)
    product_id: Mapped[str] = mapped_column(ForeignKey("products.id"))
    sensitive: Mapped[bool] = mapped_column(Boolean, default=False)
    justification: Mapped[str] = mapped_column(Text, default="")
    decision: Mapped[ScopeDecision] = mapped_column(String(16), default=ScopeDecision.PENDING)
    reason_code: Mapped[str] = mapped_column(String(40), default="")
    reason: Mapped[str] = mapped_column(Text, default="")


class Decision(Base):
    """What one reviewer proposed and, where two are needed, another confirmed. Once `effective_at` is set a row never changes.

    The database itself refuses: a confirmer who proposed, an effective approval of a sensitive scope without a confirmer, and a
    reviewer who belongs to the Company (constraints here, triggers in the migration).
    """

    __tablename__ = "decisions"
    __table_args__ = (
        CheckConstraint("confirmed_by IS NULL OR confirmed_by <> proposed_by", name="two_persons"),
        CheckConstraint("effective_at IS NULL OR NOT needs_second OR confirmed_by IS NOT NULL", name="second_person"),
        Index("uq_decisions_waiting", "request_id", unique=True, sqlite_where=UNDECIDED, postgresql_where=UNDECIDED),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("review_requests.id"), index=True)
    outcome: Mapped[Outcome] = mapped_column(String(20))
    scopes: Mapped[dict[str, Any]]
    plans: Mapped[dict[str, Any]]
    ramp: Mapped[str] = mapped_column(String(16), default="standard")
    conditions: Mapped[list[str]]
    expires_at: Mapped[datetime | None]
    reason_code: Mapped[str] = mapped_column(String(40), default="")
    reason: Mapped[str] = mapped_column(Text, default="")
    evidence_exception: Mapped[str] = mapped_column(Text, default="")
    policy_version: Mapped[str] = mapped_column(String(16))
    snapshot_hash: Mapped[str] = mapped_column(String(64))
    needs_second: Mapped[bool] = mapped_column(Boolean, default=False)
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[datetime]
    confirmed_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    confirmed_at: Mapped[datetime | None]
    declined_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    effective_at: Mapped[datetime | None]


class Comment(Base):
    """A remark on a ReviewRequest. `internal` ones never leave the ministry; `pin` names a scope, question or Requirement."""

    __tablename__ = "review_comments"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("review_requests.id"), index=True)
    author_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    at: Mapped[datetime]
    body: Mapped[str] = mapped_column(Text)
    internal: Mapped[bool] = mapped_column(Boolean, default=False)
    pin: Mapped[str] = mapped_column(String(200), default="")


class Attachment(Base):
    """A document of a ReviewRequest. Its bytes lie in the blob store under their SHA-256, never under the web root."""

    __tablename__ = "review_attachments"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    request_id: Mapped[str] = mapped_column(ForeignKey("review_requests.id"), index=True)
    question: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(160))
    size: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    uploaded_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    uploaded_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


from portal.reviews import production as production  # noqa: E402 -- one import of `models` loads every table of the room
