"""Who may act on a ReviewRequest. Hidden and absent look the same: a stranger gets NotFound."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.companies.models import MemberRole, Membership
from portal.companies.service import OwnCompany as OwnCompany
from portal.conformance.queries import ReadOnlyMember as ReadOnlyMember
from portal.kernel.errors import NotFound
from portal.users.models import Role, User

REVIEWERS = (Role.REVIEWER, Role.ADMIN)


async def company_role(session: AsyncSession, user: User, company_id: str) -> MemberRole | None:
    """The role of `user` in the Company, or None for a stranger."""
    found = await session.get(Membership, (company_id, user.id))
    return MemberRole(found.role) if found else None


async def may_read(session: AsyncSession, user: User, company_id: str) -> None:
    """Raise NotFound unless `user` belongs to the Company."""
    if await company_role(session, user, company_id) is None:
        raise NotFound


async def may_edit(session: AsyncSession, user: User, company_id: str) -> None:
    """Raise unless `user` is an owner or developer of the Company."""
    role = await company_role(session, user, company_id)
    if role is None:
        raise NotFound
    if role == MemberRole.VIEWER:
        raise ReadOnlyMember


def is_reviewer(user: User) -> bool:
    """Whether `user` works for the ministry's review desk."""
    return user.role in REVIEWERS and user.disabled_at is None


def must_review(user: User) -> None:
    """Raise NotFound unless `user` is a reviewer: the desk does not show itself to others."""
    if not is_reviewer(user):
        raise NotFound


async def may_decide(session: AsyncSession, user: User, company_id: str) -> None:
    """Raise unless `user` is a reviewer who does not belong to the Company."""
    must_review(user)
    member = await session.scalar(
        select(Membership.user_id).where(Membership.company_id == company_id, Membership.user_id == user.id)
    )
    if member is not None:
        raise OwnCompany
