"""Reads of conformance: members see their Company's runs, reviewers all of them."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App
from portal.companies.models import MemberRole, Membership
from portal.conformance.models import ConformanceRun, Evidence
from portal.kernel.errors import Forbidden, NotFound
from portal.users.models import Role, User


class ReadOnlyMember(Forbidden):
    code = "read-only-member"
    title = "Your role in this company only reads"
    title_fa = "نقش شما در این شرکت فقط خواندن است"


async def member(session: AsyncSession, user: User, company_id: str) -> Membership | None:
    """The User's Membership in a Company, or None."""
    return await session.get(Membership, (company_id, user.id))


def is_reviewer(user: User) -> bool:
    return user.role in (Role.REVIEWER, Role.ADMIN)


async def own_app(session: AsyncSession, app_id: str, user: User, *, change: bool = False) -> App:
    """An App of one of the User's Companies; with `change`, only for owners and developers. Raises NotFound."""
    app = await session.get(App, app_id)
    found = await member(session, user, app.company_id) if app else None
    if app is None or (found is None and (change or not is_reviewer(user))):
        raise NotFound
    if change and found is not None and found.role == MemberRole.VIEWER:
        raise ReadOnlyMember
    return app


async def run(session: AsyncSession, run_id: str, user: User, *, change: bool = False) -> ConformanceRun:
    """A run the User may see (or, with `change`, drive); raises NotFound."""
    found = await session.get(ConformanceRun, run_id)
    if found is None:
        raise NotFound
    await own_app(session, found.app_id, user, change=change)
    return found


async def runs(session: AsyncSession, app_id: str) -> list[ConformanceRun]:
    """Runs of an App, newest first, at most fifty."""
    found = await session.scalars(
        select(ConformanceRun)
        .where(ConformanceRun.app_id == app_id)
        .order_by(ConformanceRun.started_at.desc())
        .limit(50)
    )
    return list(found)


async def evidence(session: AsyncSession, evidence_id: str, user: User) -> Evidence:
    """Signed Evidence that the User may read; raises NotFound."""
    found = await session.get(Evidence, evidence_id)
    if found is None:
        raise NotFound
    await own_app(session, found.app_id, user)
    return found


async def evidence_of(session: AsyncSession, run_id: str) -> Evidence | None:
    """The Evidence that came of a run."""
    return (await session.scalars(select(Evidence).where(Evidence.run_id == run_id))).first()
