"""SQLite's plans for the common searches: an index walked in the wanted order, the rest probed by key, nothing sorted."""

from __future__ import annotations

import sqlite3

import pytest

from sandbox.search.request import pairs, understand
from sandbox.search.service import compile_question
from sandbox.search.sql import page_sql
from sandbox.security.access import access_of
from tests.factories.exchange import World

pytestmark = pytest.mark.asyncio(loop_scope="session")


def plan(world: World, rtype: str, query: str) -> list[str]:
    services = world.app._services
    assert services is not None
    access = access_of({"scope": "system/*.cruds", "tenant": "x"}, tenant="x")
    request = understand((rtype,), pairs(query))
    question = compile_question(services.compiler(access, services.now()), request, rtype)
    sql = page_sql(question.query, "sqlite")
    connection = sqlite3.connect(world.app.store.database.path)  # type: ignore[attr-defined]  # the SQLite driver
    try:
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", [2, 1, 21, *question.args])]
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("rtype", "query", "driver"),
    [
        ("Patient", "", "ix_version_live"),
        ("Observation", "patient=p1&category=vital-signs", "target=?"),
        ("Observation", "subject=Patient/p1", "target=?"),
        ("Observation", "code=8480-6", "code=?"),
        ("Observation", "code=http://loinc.org|8480-6&status=final", "code=?"),
        ("Patient", "identifier=urn:x|1", "code=?"),
        ("Patient", "gender=female", "code=?"),
        ("ValueSet", "url=http://example.org", "value=?"),
    ],
)
async def test_a_page_walks_an_index_in_order(world: World, rtype: str, query: str, driver: str) -> None:
    if world.app.store.database.dialect != "sqlite":
        assert "OFFSET 0" in page_sql(_question(world, rtype, query), "postgresql")
        return
    steps = plan(world, rtype, query)
    assert any(driver in step for step in steps), steps
    assert not any("TEMP B-TREE" in step for step in steps), steps
    assert not any(step.startswith("SCAN") and step != "SCAN p" for step in steps), steps


def _question(world: World, rtype: str, query: str) -> object:
    services = world.app._services
    assert services is not None
    access = access_of({"scope": "system/*.cruds", "tenant": "x"}, tenant="x")
    request = understand((rtype,), pairs(query))
    return compile_question(services.compiler(access, services.now()), request, rtype).query


@pytest.mark.parametrize(
    "query", ["patient.identifier=urn:x|1", "_has:Observation:derived-from:code=8480-6", "patient=p1&_sort=-date"]
)
async def test_no_search_by_key_scans_a_table(world: World, query: str) -> None:
    if world.app.store.database.dialect != "sqlite":
        return
    steps = plan(world, "Observation", query)
    tables = ("idx_", "version", "t ", "v ", "r ", "y ", "x ")
    assert not any(step.startswith("SCAN ") and step[5:].startswith(tables) for step in steps), steps
