"""Verbs on the data of an App's Tenant: start anew, keep a state, bring it back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.apps.tenants import Tenants
from portal.audit import service as audit
from portal.kernel.text import fold


async def reset_data(
    session: AsyncSession, app: App, place: AppEnvironment, *, tenants: Tenants, by: str, now: datetime
) -> None:
    """Throw away everything written in the App's Tenant; raises TenantsUnavailable."""
    await tenants.reset(place.tenant)
    await note(session, app, now, by, "tenant.reset", {"tenant": place.tenant})


async def take_snapshot(
    session: AsyncSession, app: App, place: AppEnvironment, *, name: str, tenants: Tenants, by: str, now: datetime
) -> dict[str, Any]:
    """Keep the present state of the App's Tenant; returns what the exchange says of it."""
    made = await tenants.snapshot(place.tenant, fold(name)[:80])
    await note(session, app, now, by, "tenant.snapshot-taken", {"tenant": place.tenant})
    return made


async def restore_data(
    session: AsyncSession, app: App, place: AppEnvironment, *, snapshot: str, tenants: Tenants, by: str, now: datetime
) -> None:
    """Bring the App's Tenant back to a snapshot; raises NotFound when there is none."""
    await tenants.restore(place.tenant, snapshot)
    await note(session, app, now, by, "tenant.restored", {"tenant": place.tenant, "snapshot": snapshot})


async def note(session: AsyncSession, app: App, now: datetime, by: str, action: str, details: dict[str, Any]) -> None:
    """An audit entry about the App's Tenant."""
    await audit.record(
        session, now=now, actor=by, action=action, subject=app.id, company_id=app.company_id, details=details
    )
