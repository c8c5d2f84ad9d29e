"""Reads of Companies. Everything starts from a User's Membership, except what reviewers read to verify."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.companies.models import Company, CompanyStatus, Invitation, MemberRole, Membership
from portal.kernel.errors import NotFound
from portal.users.models import User
from portal.users.tokens import digest


@dataclass(frozen=True, slots=True)
class Member:
    """A person of a Company."""

    user: User
    membership: Membership


async def companies_of(session: AsyncSession, user_id: str) -> Sequence[tuple[Company, Membership]]:
    """Companies that a User belongs to, oldest first, each with the Membership."""
    rows = await session.execute(
        select(Company, Membership)
        .join(Membership, Membership.company_id == Company.id)
        .where(Membership.user_id == user_id)
        .order_by(Company.created_at, Company.id)
    )
    return [(row[0], row[1]) for row in rows]


async def company_of(session: AsyncSession, user_id: str, company_id: str) -> tuple[Company, Membership]:
    """A Company of a User with the Membership; NotFound when it is absent or not theirs."""
    row = (
        await session.execute(
            select(Company, Membership)
            .join(Membership, Membership.company_id == Company.id)
            .where(Membership.user_id == user_id, Company.id == company_id)
        )
    ).first()
    if row is None:
        raise NotFound
    return row[0], row[1]


async def members_of(session: AsyncSession, company_id: str) -> Sequence[Member]:
    """Everybody in a Company, in the order of joining."""
    rows = await session.execute(
        select(User, Membership)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.company_id == company_id)
        .order_by(Membership.created_at, User.id)
    )
    return [Member(row[0], row[1]) for row in rows]


async def membership(session: AsyncSession, company_id: str, user_id: str) -> Membership:
    """One Membership; raises NotFound."""
    found = await session.get(Membership, (company_id, user_id))
    if found is None:
        raise NotFound
    return found


async def owners(session: AsyncSession, company_id: str) -> int:
    """How many owners a Company has."""
    counted = select(func.count()).where(Membership.company_id == company_id, Membership.role == MemberRole.OWNER)
    return await session.scalar(counted) or 0


async def open_invitations(session: AsyncSession, company_id: str, *, now: datetime) -> Sequence[Invitation]:
    """Invitations that wait for an answer."""
    return (
        await session.scalars(
            select(Invitation)
            .where(Invitation.company_id == company_id, Invitation.accepted_at.is_(None), Invitation.expires_at > now)
            .order_by(Invitation.created_at)
        )
    ).all()


async def invitation_of(session: AsyncSession, company_id: str, invitation_id: str) -> Invitation:
    """An Invitation of a Company; raises NotFound."""
    found = await session.get(Invitation, invitation_id)
    if found is None or found.company_id != company_id or found.accepted_at is not None:
        raise NotFound
    return found


async def invitation_by_token(session: AsyncSession, token: str, *, now: datetime) -> tuple[Invitation, Company] | None:
    """The live Invitation of a mailed link, and its Company."""
    row = (
        await session.execute(
            select(Invitation, Company)
            .join(Company, Company.id == Invitation.company_id)
            .where(
                Invitation.token_hash == digest(token), Invitation.accepted_at.is_(None), Invitation.expires_at > now
            )
        )
    ).first()
    return (row[0], row[1]) if row else None


async def unverified(session: AsyncSession) -> Sequence[Company]:
    """For reviewers: Companies that wait for verification, oldest first."""
    return (
        await session.scalars(
            select(Company).where(Company.status == CompanyStatus.UNVERIFIED).order_by(Company.created_at, Company.id)
        )
    ).all()


async def any_company(session: AsyncSession, company_id: str) -> Company:
    """For reviewers: a Company by id; raises NotFound."""
    found = await session.get(Company, company_id)
    if found is None:
        raise NotFound
    return found
