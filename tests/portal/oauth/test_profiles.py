"""Choosing how strictly an App speaks OAuth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from portal.audit.models import AuditEntry
from portal.companies.models import MemberRole, Membership
from portal.kernel.database import transaction
from portal.oauth import pages, profile_api
from portal.oauth.people import NoPeople
from portal.users import api as users_api
from portal.users import pages as users_pages
from portal.users.models import User
from tests.factories.oauth import NOW, MadeApp, authorization_form, new_key
from tests.factories.portal_app import Portal, portal_app

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
async def portal(world: Any, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Portal]:
    handlers = [*users_api.routes, *users_pages.routes, *profile_api.routes, *pages.routes(world.oauth, NoPeople())]
    folder = tmp_path / "site"
    folder.mkdir()
    async with portal_app(migrated_file, folder, handlers, navigation=pages.navigation, sessions=world.maker) as made:
        yield made


async def _join(world: Any, app: MadeApp, email: str, role: MemberRole = MemberRole.DEVELOPER) -> None:
    async with transaction(world.maker) as session:
        user = (await session.scalars(select(User).where(User.email == email))).one()
        session.add(Membership(company_id=app.company_id, user_id=user.id, role=role, created_at=NOW))


def _path(app: MadeApp, environment: str = "sandbox") -> str:
    return f"/api/v1/apps/{app.app_id}/environments/{environment}/oauth-profile"


async def test_choice_acts_on_the_next_request_and_is_recorded(world: Any, portal: Portal) -> None:
    app = await world.app(key=new_key("ES256"))
    script = await portal.signed_in_script("dev@example.ir")
    await _join(world, app, "dev@example.ir")
    assert (await script.get(_path(app))).json() == {"profile": "smart", "require_par": False, "require_dpop": False}
    assert (await world.authorize(authorization_form(app.client_id))).status_code == 303
    chosen = await script.put(_path(app), json={"profile": "fapi2"})
    assert chosen.status_code == 200, chosen.text
    assert (await world.authorize(authorization_form(app.client_id))).status_code == 400
    async with world.maker() as session:
        actions = (await session.scalars(select(AuditEntry.action))).all()
    assert "app.oauth-profile-chosen" in actions


@pytest.mark.parametrize(
    ("public", "body", "status"),
    [
        (False, {"profile": "none"}, 422),
        (True, {"profile": "fapi2"}, 422),
        (True, {"require_par": True}, 422),
        (True, {"require_dpop": True}, 200),
        (False, {"profile": 5}, 400),
        (False, {"secret_in_production": True}, 400),
    ],
)
async def test_choice_that_cannot_be_is_refused(
    world: Any, portal: Portal, public: bool, body: dict[str, Any], status: int
) -> None:
    app = await world.app(public=public)
    script = await portal.signed_in_script("dev@example.ir")
    await _join(world, app, "dev@example.ir")
    assert (await script.put(_path(app), json=body)).status_code == status


async def test_only_developers_of_the_company_choose(world: Any, portal: Portal) -> None:
    app = await world.app()
    viewer = await portal.signed_in_script("viewer@example.ir")
    stranger = await portal.signed_in_script("stranger@example.ir")
    await _join(world, app, "viewer@example.ir", MemberRole.VIEWER)
    assert (await viewer.get(_path(app))).status_code == 200
    assert (await viewer.put(_path(app), json={})).status_code == 403
    assert (await stranger.get(_path(app))).status_code == 404
    assert (await stranger.put(_path(app), json={})).status_code == 404
    async with portal.script() as nobody:
        assert (await nobody.get(_path(app))).status_code == 401
    assert (await viewer.get(_path(app, "production"))).status_code == 404


async def test_page_saves_the_choice_and_shows_it(world: Any, portal: Portal) -> None:
    app = await world.app(key=new_key("ES256"))
    browser = await portal.signed_in_browser("dev@example.ir")
    await _join(world, app, "dev@example.ir")
    page, action = f"/apps/{app.app_id}/oauth", f"/apps/{app.app_id}/environments/sandbox/oauth"
    sent = await browser.submit(action, on=page, profile="smart", require=["dpop"])
    assert sent.status_code == 303
    shown = await browser.get(page)
    assert 'value="dpop" checked' in shown.text
    assert 'value="par" checked' not in shown.text
    refused = await browser.submit(action, on=page, profile="nonsense")
    assert refused.status_code == 422
    assert "نمایه باید smart یا fapi2 باشد" in refused.text
