"""What handlers of this room share: an App's Tenant at hand, for somebody who may see or manage it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries
from portal.apps.guards import app_for, place_for
from portal.apps.models import AppEnvironment
from portal.companies.models import MemberRole
from portal.kernel.errors import Invalid, NotFound
from portal.tenants.controls import Controls
from portal.tenants.service import Desk


async def desk_of(session: AsyncSession, *, user_id: str, app_id: str, controls: Controls, now: datetime) -> Desk:
    """The controls of an App's Tenant, for its developers and owners; NotFound without a sandbox."""
    app, place = await place_for(session, user_id=user_id, app_id=app_id, environment="sandbox")
    if not place.tenant:
        raise NotFound
    return Desk(session, app, place, controls=controls, by=user_id, now=now)


async def tenant_of(session: AsyncSession, *, user_id: str, app_id: str) -> str:
    """The Tenant of an App, for anybody of its Company; NotFound without a sandbox."""
    _, place = await place_for(
        session, user_id=user_id, app_id=app_id, environment="sandbox", at_least=MemberRole.VIEWER
    )
    if not place.tenant:
        raise NotFound
    return place.tenant


async def sibling(session: AsyncSession, *, user_id: str, app_id: str, into: str) -> AppEnvironment:
    """The sandbox of another App of the same Company that the User manages. Raises `Invalid` at `into`."""
    wrong = Invalid(
        "There is no such app of this company with a sandbox",
        fa="شرکت برنامهٔ دیگری با این شناسه و محیط آزمایشی ندارد",
        field="into",
    )
    app, _, _ = await app_for(session, user_id=user_id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    try:
        other, _, _ = await app_for(session, user_id=user_id, app_id=into, at_least=MemberRole.DEVELOPER)
    except NotFound:
        raise wrong from None
    place = await queries.presence(session, other.id, "sandbox")
    if other.company_id != app.company_id or place is None or not place.tenant:
        raise wrong
    return place
