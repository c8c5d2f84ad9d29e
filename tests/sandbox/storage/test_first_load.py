"""A first load puts its secondary indexes off; whatever happens, they are there when the base is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from sandbox.migrations.run import migrate
from tests.factories import exchange
from tests.factories.exchange import patient


def _indexes(path: Path) -> dict[str, str | None]:
    """Every index with the statistics the planner goes by."""
    with sqlite3.connect(path) as connection:
        found = connection.execute(
            "SELECT m.name, s.stat FROM sqlite_master m LEFT JOIN sqlite_stat1 s ON s.idx=m.name WHERE m.type='index'"
        )
        return dict(found.fetchall())


@pytest.fixture
def schema(tmp_path: Path) -> dict[str, str | None]:
    """The indexes of a database that nothing was ever loaded into."""
    path = tmp_path / "empty.sqlite3"
    migrate(f"sqlite+aiosqlite:///{path}")
    return _indexes(path)


async def test_indexes_and_statistics_are_back_after_the_first_load(
    tmp_path: Path, schema: dict[str, str | None]
) -> None:
    path = tmp_path / "x.sqlite3"
    world = await exchange.start(f"sqlite+aiosqlite:///{path}")
    await world.app.stop()
    assert _indexes(path) == schema
    assert len(schema) > 8


async def test_a_load_that_broke_off_is_resumed_and_makes_them(tmp_path: Path, schema: dict[str, str | None]) -> None:
    path = tmp_path / "x.sqlite3"
    people = [orjson.dumps(patient(f"p{n}")) for n in range(2500)]

    def broken() -> Iterator[bytes]:
        yield from people[:2200]
        raise RuntimeError("the power is gone")

    with pytest.raises(RuntimeError, match="the power is gone"):
        await exchange.start(f"sqlite+aiosqlite:///{path}", population=broken())
    assert len(_indexes(path)) < len(schema)
    world = await exchange.start(f"sqlite+aiosqlite:///{path}", population=people)
    assert _indexes(path) == schema
    async with world.client() as client:
        assert (await client.get("Patient?_summary=count")).json()["total"] == 2500
        assert (await client.get("Patient?family=احمدی&_count=1")).status_code == 200
    await world.app.stop()
