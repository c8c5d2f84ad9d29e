"""Page of an App's OAuth profile, one form for each Environment."""

from __future__ import annotations

from typing import Any

from litestar import get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries
from portal.apps.guards import app_for, place_for
from portal.companies.guards import may
from portal.companies.models import MemberRole
from portal.oauth import profiles
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, see
from portal.web.visit import Notice

NAVIGATION = (NavItem("app", "/apps/{id}/oauth", "سخت‌گیری OAuth", "OAuth profile", position=75, icon="shield-check"),)


async def _context(session: AsyncSession, user_id: str, app_id: str) -> dict[str, Any]:
    app, company, membership = await app_for(session, user_id=user_id, app_id=app_id)
    places = await queries.environments_of(session, app.id)
    return {
        "app": app,
        "company": company,
        "is_developer": may(membership, MemberRole.DEVELOPER),
        "chosen": {place.environment: await profiles.of(session, place.client_id) for place in places},
        "form": Form(),
        "about": "",
    }


@get("/apps/{app_id:str}/oauth")
async def show(app_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """The choices of every Environment."""
    return page("oauth/profile.html", **await _context(session, user.id, app_id))


@post("/apps/{app_id:str}/environments/{environment:str}/oauth")
async def choose(
    app_id: FromPath[str],
    environment: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Template | Redirect:
    """Set the choices of one Environment."""
    app, place = await place_for(session, user_id=user.id, app_id=app_id, environment=environment)
    form = await read_form(request)
    try:
        await profiles.choose(
            session,
            app=app,
            place=place,
            profile=form["profile"],
            require_par="par" in form.all("require"),
            require_dpop="dpop" in form.all("require"),
            by=user.id,
            now=now,
        )
    except REFUSALS as error:
        context = await _context(session, user.id, app_id)
        return page("oauth/profile.html", status=422, **{**context, "form": form.refused(error), "about": environment})
    tell(
        Notice(
            "success",
            "نمایهٔ OAuth ذخیره شد و از درخواست بعدی اثر دارد.",
            "The OAuth profile is saved and acts on the next request.",
        )
    )
    return see(f"/apps/{app_id}/oauth")


HANDLERS = (show, choose)
