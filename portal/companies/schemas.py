"""Wire shapes of Companies. Unknown fields are refused."""

from __future__ import annotations

from datetime import datetime

import msgspec

from portal.companies.models import Company, Invitation, Membership
from portal.companies.queries import Member


class NewCompany(msgspec.Struct, forbid_unknown_fields=True):
    """A legal entity to register. `national_id` is its 11-digit شناسهٔ ملی; `certificate_number` that of a knowledge-based company."""

    name: str
    national_id: str
    certificate_number: str = ""
    website: str = ""


class CompanyChange(msgspec.Struct, forbid_unknown_fields=True):
    """What to change; absent fields stay."""

    name: str | None = None
    certificate_number: str | None = None
    website: str | None = None


class CompanyInfo(msgspec.Struct):
    """A Company as its members see it; `role` is that of the caller."""

    id: str
    name: str
    national_id: str
    certificate_number: str
    website: str
    status: str
    status_reason: str
    role: str
    created_at: datetime

    @classmethod
    def of(cls, company: Company, membership: Membership | None) -> CompanyInfo:
        return cls(
            company.id,
            company.name,
            company.national_id,
            company.certificate_number,
            company.website,
            company.status,
            company.status_reason,
            membership.role if membership else "",
            company.created_at,
        )


class MemberInfo(msgspec.Struct):
    """A person of a Company."""

    user_id: str
    name: str
    email: str
    role: str
    joined_at: datetime

    @classmethod
    def of(cls, member: Member) -> MemberInfo:
        user, membership = member.user, member.membership
        return cls(user.id, user.name, user.email, membership.role, membership.created_at)


class RoleChange(msgspec.Struct, forbid_unknown_fields=True):
    """owner, developer or viewer."""

    role: str


class NewInvitation(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to invite, and as what."""

    email: str
    role: str = "developer"


class InvitationInfo(msgspec.Struct):
    """An invitation that waits for an answer."""

    id: str
    email: str
    role: str
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, invitation: Invitation) -> InvitationInfo:
        return cls(invitation.id, invitation.email, invitation.role, invitation.created_at, invitation.expires_at)


class AcceptInvitation(msgspec.Struct, forbid_unknown_fields=True):
    """The token of the mailed link."""

    token: str


class Verification(msgspec.Struct, forbid_unknown_fields=True):
    """The ministry's word: `verified`, or `rejected` with a reason. Suspending is a kill switch of its own."""

    status: str
    reason: str = ""
