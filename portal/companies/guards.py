"""What a member may do in a Company."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from portal.companies.models import Company, MemberRole, Membership
from portal.companies.queries import company_of
from portal.kernel.errors import Forbidden

RANK = {MemberRole.VIEWER: 0, MemberRole.DEVELOPER: 1, MemberRole.OWNER: 2}


class RoleTooLow(Forbidden):
    code = "role-too-low"
    title = "Your role in this Company does not allow this; ask one of its owners"
    title_fa = "نقش شما در این شرکت اجازهٔ این کار را نمی‌دهد؛ از یکی از مالکان شرکت بخواهید"


def may(membership: Membership, at_least: MemberRole) -> bool:
    """Whether a member's role reaches `at_least`."""
    return RANK[MemberRole(membership.role)] >= RANK[at_least]


async def member(
    session: AsyncSession, *, user_id: str, company_id: str, at_least: MemberRole = MemberRole.VIEWER
) -> tuple[Company, Membership]:
    """A Company in which the User has at least this role.

    Somebody else's Company is NotFound, like one that does not exist; a role too low is RoleTooLow.
    """
    company, found = await company_of(session, user_id, company_id)
    if not may(found, at_least):
        raise RoleTooLow
    return company, found
