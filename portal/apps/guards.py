"""Whose Apps a User may see and manage."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries
from portal.apps.models import App, AppEnvironment
from portal.companies.guards import member
from portal.companies.models import Company, MemberRole, Membership
from portal.kernel.errors import NotFound


async def app_for(
    session: AsyncSession, *, user_id: str, app_id: str, at_least: MemberRole = MemberRole.VIEWER
) -> tuple[App, Company, Membership]:
    """An App in whose Company the User has at least this role; somebody else's is NotFound."""
    app = await queries.get_app(session, app_id, user_id)
    company, membership = await member(session, user_id=user_id, company_id=app.company_id, at_least=at_least)
    return app, company, membership


async def place_for(
    session: AsyncSession, *, user_id: str, app_id: str, environment: str, at_least: MemberRole = MemberRole.DEVELOPER
) -> tuple[App, AppEnvironment]:
    """The App's presence in an Environment, for somebody who manages it; raises NotFound."""
    app, _, _ = await app_for(session, user_id=user_id, app_id=app_id, at_least=at_least)
    place = await queries.presence(session, app.id, environment)
    if place is None:
        raise NotFound("The app is not present in this environment", fa="برنامه در این محیط حضور ندارد")
    return app, place
