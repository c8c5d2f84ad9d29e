"""How strictly an App speaks OAuth: per-App choices, and what they presuppose."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.audit.service import record
from portal.kernel.errors import Invalid
from portal.oauth.models import ClientProfile

PROFILES = ("smart", "fapi2")


async def of(session: AsyncSession, client_id: str) -> ClientProfile:
    """The App's choices in one Environment; the defaults where it has made none (not stored by reading)."""
    found = await session.get(ClientProfile, client_id)
    return found or ClientProfile(
        client_id=client_id, profile="smart", require_par=False, require_dpop=False, secret_in_production=False
    )


async def choose(
    session: AsyncSession,
    *,
    app: App,
    place: AppEnvironment,
    profile: str,
    require_par: bool,
    require_dpop: bool,
    by: str,
    now: datetime,
) -> ClientProfile:
    """Set them; they act on the next request on every worker. Raises `Invalid`."""
    if profile not in PROFILES:
        raise Invalid("profile is smart or fapi2", fa="نمایه باید smart یا fapi2 باشد", field="profile")
    if profile == "fapi2" and app.public:
        raise Invalid(
            "FAPI 2.0 is for Apps that hold a key: this one is public",
            fa="نمایهٔ FAPI 2.0 برای برنامه‌هایی است که کلید دارند؛ این برنامه عمومی است",
            field="profile",
        )
    if require_par and app.public:
        raise Invalid(
            "Only Apps that prove themselves can be made to push their requests",
            fa="تنها برنامه‌ای که هویتش را اثبات می‌کند می‌تواند درخواست را از پیش بفرستد",
            field="require_par",
        )
    found = await session.get(ClientProfile, place.client_id)
    if found is None:
        found = ClientProfile(client_id=place.client_id, secret_in_production=False)
        session.add(found)
    found.profile, found.require_par, found.require_dpop = profile, require_par, require_dpop
    await session.flush()
    await record(
        session,
        now=now,
        actor=by,
        action="app.oauth-profile-chosen",
        subject=place.client_id,
        company_id=app.company_id,
        details={"profile": profile, "require_par": require_par, "require_dpop": require_dpop},
    )
    return found
