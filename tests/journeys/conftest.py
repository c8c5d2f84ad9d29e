"""Whole installations for journeys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.factories.installation import Installation, installation


@pytest.fixture
async def whole(seeded_installation: Path, tmp_path: Path) -> AsyncIterator[Installation]:
    """A running installation: portal, gateway and both exchanges."""
    async with installation(seeded_installation, tmp_path / "data") as made:
        yield made
