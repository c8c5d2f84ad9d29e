"""The companies' room over the users' room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portal.companies import api, pages
from portal.users import api as users_api
from portal.users import pages as users_pages
from tests.factories.portal_app import Portal, portal_app


@pytest.fixture
async def portal(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Portal]:
    routes = [*users_api.routes, *users_pages.routes, *api.routes, *pages.routes]
    async with portal_app(migrated_portal, tmp_path, routes, navigation=pages.navigation) as made:
        yield made
