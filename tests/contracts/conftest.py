"""One served installation for all external clients of a test process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories.clients import Live, served


@pytest.fixture(scope="session")
def live(seeded_installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A served installation with three Apps, each with a Tenant of its own."""
    with served(seeded_installation, tmp_path_factory.mktemp("live") / "data") as made:
        yield made
