"""Wire shapes of promotion. Times are ISO 8601 in UTC; identifiers of scopes are SMART scopes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from portal.audit.models import AuditEntry
from portal.reviews.models import Attachment, Comment, Decision, ReviewRequest, ReviewScope
from portal.reviews.production import Suspension
from portal.reviews.queries import QueueRow


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    """A body that names only what it knows."""


class ScopeInfo(msgspec.Struct):
    """A scope asked for. `decision` is pending, approved or refused."""

    scope: str
    product: str
    sensitive: bool
    justification: str
    decision: str
    reason_code: str
    reason: str

    @classmethod
    def of(cls, row: ReviewScope) -> ScopeInfo:
        return cls(
            row.scope, row.product_id, row.sensitive, row.justification, row.decision, row.reason_code, row.reason
        )


class CommentInfo(msgspec.Struct):
    id: str
    author: str
    at: datetime
    body: str
    internal: bool
    pin: str

    @classmethod
    def of(cls, row: Comment) -> CommentInfo:
        return cls(row.id, row.author_id, row.at, row.body, row.internal, row.pin)


class DecisionInfo(msgspec.Struct):
    """What was decided. `effective_at` is absent while a second reviewer is awaited."""

    id: str
    outcome: str
    scopes: dict[str, Any]
    plans: dict[str, Any]
    ramp: str
    conditions: list[str]
    expires_at: datetime | None
    reason_code: str
    reason: str
    policy_version: str
    needs_second: bool
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str | None
    effective_at: datetime | None

    @classmethod
    def of(cls, row: Decision) -> DecisionInfo:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class ReviewInfo(msgspec.Struct):
    """A ReviewRequest. `position` is its place in the queue (0: not waiting), `days_left` working days to the due date."""

    id: str
    reference: str
    app: str
    company: str
    kind: str
    status: str
    app_version: str
    evidence: str
    answers: dict[str, Any]
    scopes: list[ScopeInfo]
    created_at: datetime
    submitted_at: datetime | None
    due_at: datetime | None
    decided_at: datetime | None
    assigned_to: str | None
    position: int
    days_left: int
    next_step: str
    appeal_of: str | None
    decisions: list[DecisionInfo] = []
    comments: list[CommentInfo] = []


class ReviewLine(msgspec.Struct):
    """A ReviewRequest in a list."""

    id: str
    reference: str
    app: str
    kind: str
    status: str
    submitted_at: datetime | None
    due_at: datetime | None

    @classmethod
    def of(cls, row: ReviewRequest) -> ReviewLine:
        return cls(row.id, row.reference, row.app_id, row.kind, row.status, row.submitted_at, row.due_at)


class QueueLine(msgspec.Struct):
    id: str
    reference: str
    kind: str
    status: str
    app_name: str
    company_name: str
    assigned_to: str | None
    submitted_at: datetime | None
    due_at: datetime | None

    @classmethod
    def of(cls, row: QueueRow) -> QueueLine:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class Queue(msgspec.Struct):
    """A page of the queue; `next` is the value of `after` for the next page, absent on the last."""

    items: list[QueueLine]
    counts: dict[str, int]
    next: str = ""


class Missing(msgspec.Struct):
    """What submission would refuse."""

    field: str
    message: str
    message_fa: str


class Draft(Strict):
    """What to change in a draft; whatever is left out stays. `scopes` replaces the whole list (scope -> justification)."""

    answers: dict[str, str | int] | None = None
    scopes: dict[str, str] | None = None
    app_version: str | None = None
    evidence: str | None = None


class Grounds(Strict):
    grounds: str


class NewComment(Strict):
    body: str
    internal: bool = False
    pin: str = ""


class Assignment(Strict):
    """`reviewer`: a User id, `me`, or null to give the request back."""

    reviewer: str | None


class Verdict(Strict):
    """What is decided about one scope."""

    approved: bool
    reason_code: str = ""
    reason: str = ""


class Approve(Strict):
    """An approval with a verdict for each scope asked for."""

    scopes: dict[str, Verdict]
    plans: dict[str, str] = {}
    ramp: str = "standard"
    conditions: list[str] = []
    expires_at: datetime | None = None
    evidence_exception: str = ""
    reason: str = ""


class Refusal(Strict):
    """A rejection or a request for changes."""

    reason_code: str
    reason: str = ""


class Tick(Strict):
    item: str
    done: bool = True


class Because(Strict):
    reason: str = ""


class Change(msgspec.Struct):
    """One difference to the last approval."""

    area: str
    key: str
    change: str
    before: str
    after: str


class LoadLine(msgspec.Struct):
    reviewer: str
    name: str
    in_hand: int


class NewSuspension(Strict):
    """`target` is app, company, scope or product; `grade` is limited, voluntary or involuntary."""

    target: str
    id: str
    grade: str
    reason_code: str
    reason: str = ""


class SuspensionInfo(msgspec.Struct):
    id: str
    target: str
    target_id: str
    grade: str
    reason_code: str
    reason: str
    imposed_at: datetime
    lift_proposed_at: datetime | None
    lifted_at: datetime | None

    @classmethod
    def of(cls, row: Suspension) -> SuspensionInfo:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class NoteInfo(msgspec.Struct):
    """An incident note; `audience` is internal, company or public."""

    at: datetime
    audience: str
    body: str


class SuspensionCase(msgspec.Struct):
    """A suspension with the notes that its reader may see, oldest first."""

    suspension: SuspensionInfo
    notes: list[NoteInfo]


class NewNote(Strict):
    body: str
    audience: str = "internal"


class CaseEntry(msgspec.Struct):
    """One entry of the audit log on one's own case, with the hash that proves its place in the chain."""

    number: int
    at: datetime
    actor: str
    action: str
    details: dict[str, Any]
    previous_hash: str
    hash: str

    @classmethod
    def of(cls, row: AuditEntry) -> CaseEntry:
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class AttachmentInfo(msgspec.Struct):
    """A document of a request; `size` in bytes, `sha256` in hex of its content."""

    id: str
    question: str
    name: str
    size: int
    sha256: str
    uploaded_at: datetime

    @classmethod
    def of(cls, row: Attachment) -> AttachmentInfo:
        return cls(row.id, row.question, row.name, row.size, row.sha256, row.uploaded_at)
