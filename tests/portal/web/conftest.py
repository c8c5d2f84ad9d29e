"""All rooms over a migrated database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.factories.portal_app import Portal
from tests.factories.rooms import rooms


@pytest.fixture
async def portal(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Portal]:
    async with rooms(migrated_portal, tmp_path) as made:
        yield made
