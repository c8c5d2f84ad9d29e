"""Shared fixtures. The only file that may patch anything."""

from __future__ import annotations

import os

import pytest


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where GOZAR_TEST_NO_SKIP is set (CI), a skipped test is a failure: everything it needs is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("GOZAR_TEST_NO_SKIP") and reporter is not None and reporter.stats.get("skipped"):
        reporter.write_line("GOZAR_TEST_NO_SKIP is set: a skipped test counts as a failure", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
