"""The users' room alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portal.users import api, pages
from tests.factories.portal_app import Portal, portal_app


@pytest.fixture
async def portal(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Portal]:
    async with portal_app(migrated_portal, tmp_path, [*api.routes, *pages.routes], navigation=pages.navigation) as made:
        yield made
