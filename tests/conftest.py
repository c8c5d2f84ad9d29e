"""Shared fixtures. The only file that may patch anything."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from portal.kernel.database import create_engine
from portal.kernel.migrations import upgrade

# A deadline measures the machine's neighbours, not the code; slowness is the benchmarks' business.
hypothesis_settings.register_profile("gozar", deadline=None)
hypothesis_settings.load_profile("gozar")


@pytest.fixture(scope="session")
def migrated_portal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file of the portal, to copy from."""
    path = tmp_path_factory.mktemp("portal") / "empty.sqlite3"

    async def migrate() -> None:
        engine = create_engine(f"sqlite+aiosqlite:///{path}")
        await upgrade(engine)
        await engine.dispose()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, migrate()).result()
    return path


@pytest.fixture(scope="session")
def seeded_installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with migrated databases, the demo company and small populations, to copy from."""
    from tests.factories.installation import seed

    path = tmp_path_factory.mktemp("installation") / "data"
    seed(path)
    return path


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where GOZAR_TEST_NO_SKIP is set (CI), a skipped test is a failure: everything it needs is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("GOZAR_TEST_NO_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("GOZAR_TEST_NO_SKIP is set: a skipped test counts as a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
