"""DataAccessGrants: a citizen's standing permission for an App, which the citizen can see and withdraw."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from portal.apps.models import App, AppEnvironment
from portal.audit.service import record
from portal.companies.models import Company
from portal.kernel.errors import NotFound
from portal.oauth.feed import publish_sync
from portal.oauth.models import CitizenSignIn, DataAccessGrant


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A grant as its citizen sees it."""

    grant: DataAccessGrant
    app_name: str
    company_name: str


def revoke_sync(session: Session, grant_id: str, *, why: str, now: datetime) -> bool:
    """End a grant with everything issued under it, on every worker; False if it had ended already."""
    ended = session.execute(
        update(DataAccessGrant)
        .where(DataAccessGrant.id == grant_id, DataAccessGrant.revoked_at.is_(None))
        .values(revoked_at=now, revoked_why=why)
        .returning(DataAccessGrant.id)
    ).scalar_one_or_none()
    if ended is None:
        return False
    publish_sync(session, "grant", grant_id, 1)
    return True


async def revoke(
    session: AsyncSession, *, grant_id: str, environment: str, tenant: str, subject: str, now: datetime
) -> None:
    """Withdraw `subject`'s own grant; raises `NotFound` for anybody else's, and for one that has ended."""
    grant = await session.get(DataAccessGrant, grant_id)
    if grant is None or (grant.environment, grant.tenant, grant.subject) != (environment, tenant, subject):
        raise NotFound("there is no such permission")
    if not await session.run_sync(lambda inner: revoke_sync(inner, grant_id, why="citizen", now=now)):
        raise NotFound("this permission has already ended")
    await record(session, now=now, actor="citizen", action="data-access-grant.withdrawn", subject=grant_id)


async def of_citizen(session: AsyncSession, *, environment: str, tenant: str, subject: str) -> Sequence[ListedGrant]:
    """All grants of a person, newest first, ended ones last."""
    rows = await session.execute(
        select(DataAccessGrant, App.name, Company.name)
        .join(AppEnvironment, AppEnvironment.client_id == DataAccessGrant.client_id)
        .join(App, App.id == AppEnvironment.app_id)
        .join(Company, Company.id == App.company_id)
        .where(
            DataAccessGrant.environment == environment,
            DataAccessGrant.tenant == tenant,
            DataAccessGrant.subject == subject,
        )
        .order_by(DataAccessGrant.revoked_at.is_not(None), DataAccessGrant.created_at.desc())
        .limit(200)
    )
    return [ListedGrant(*row) for row in rows]


def standing(session: Session, grant_id: str, now: datetime) -> DataAccessGrant | None:
    """The grant if it still stands: not withdrawn and, for `online_access`, its person still signed in."""
    grant = session.get(DataAccessGrant, grant_id)
    if grant is None or grant.revoked_at is not None:
        return None
    if "offline_access" not in grant.scopes and grant.sign_in_id is not None:
        sign_in = session.get(CitizenSignIn, grant.sign_in_id)
        if sign_in is None or sign_in.ended_at is not None or sign_in.expires_at <= now:
            return None
    return grant
