"""Reads of Apps. Those a User asks for start from what the User's Companies own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment, Credential, RedirectUri
from portal.companies.models import Membership
from portal.kernel.errors import NotFound


def visible(user_id: str) -> Select[App]:
    """Apps of the Companies that the User belongs to."""
    return select(App).join(Membership, Membership.company_id == App.company_id).where(Membership.user_id == user_id)


async def apps_of(session: AsyncSession, user_id: str, company_id: str = "") -> Sequence[App]:
    """Apps the User may see, newest first."""
    query = visible(user_id).order_by(App.created_at.desc(), App.id)
    if company_id:
        query = query.where(App.company_id == company_id)
    return (await session.scalars(query)).all()


async def get_app(session: AsyncSession, app_id: str, user_id: str) -> App:
    """One App; NotFound when absent or not the User's to see."""
    found = (await session.scalars(visible(user_id).where(App.id == app_id))).first()
    if found is None:
        raise NotFound(f"There is no app {app_id!r}", fa="چنین برنامه‌ای نیست")
    return found


async def environments_of(session: AsyncSession, app_id: str) -> Sequence[AppEnvironment]:
    """The App's presences, sandbox before production."""
    query = select(AppEnvironment).where(AppEnvironment.app_id == app_id).order_by(AppEnvironment.environment.desc())
    return (await session.scalars(query)).all()


async def presence(session: AsyncSession, app_id: str, environment: str) -> AppEnvironment | None:
    """The App in one Environment, or None when it has no presence there."""
    query = select(AppEnvironment).where(AppEnvironment.app_id == app_id, AppEnvironment.environment == environment)
    return (await session.scalars(query)).first()


async def credentials_of(session: AsyncSession, client_id: str) -> Sequence[Credential]:
    """Every Credential of a presence, newest first."""
    query = (
        select(Credential)
        .where(Credential.client_id == client_id)
        .order_by(Credential.created_at.desc(), Credential.id)
    )
    return (await session.scalars(query)).all()


async def active_credentials(session: AsyncSession, client_id: str, now: datetime) -> Sequence[Credential]:
    """Credentials that neither are revoked nor have expired."""
    query = select(Credential).where(
        Credential.client_id == client_id,
        Credential.revoked_at.is_(None),
        or_(Credential.expires_at.is_(None), Credential.expires_at > now),
    )
    return (await session.scalars(query.order_by(Credential.created_at.desc(), Credential.id))).all()


async def redirect_uris(session: AsyncSession, client_id: str) -> Sequence[str]:
    """Registered redirect URIs of a presence."""
    query = select(RedirectUri.uri).where(RedirectUri.client_id == client_id).order_by(RedirectUri.uri)
    return (await session.scalars(query)).all()
