"""Whether a version that the index no longer holds meets criteria: its rows are made anew, in a database of their own.

An update takes the old version's rows out of the index. Its history, and an export that was asked for before, still have to
keep to the caller's limits and filters, so they are asked of a scratch database with the same tables and the same SQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from sandbox.search.criteria import Shape
from sandbox.search.probes import OWN
from sandbox.search.sql import met_sql
from sandbox.storage.models import INDEX_TABLES, LAYOUTS, shadow, version
from sandbox.storage.rows import IndexRows, Row

_LAYER, _NO_LAYER, _VID = 1, 0, 1


@cache
def _scratch() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    for table in (version, shadow, *INDEX_TABLES):
        connection.execute(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    return connection


def meets(
    shapes: tuple[Shape, ...], args: Sequence[Any], *, rtype: int, fid: str, updated: int, body: bytes, rows: IndexRows
) -> bool:
    """Whether one version, alone in the world, meets `shapes`; what lies behind its references is not there."""
    if not shapes:
        return True
    placed: dict[str, list[Row]] = {}
    rows.place(placed, layer=_LAYER, vid=_VID)
    scratch = _scratch()
    scratch.execute("BEGIN")
    try:
        scratch.execute(
            "INSERT INTO version (vid, layer, rtype, fid, ver, updated, method, live, body) VALUES (?, ?, ?, ?, 1, ?, 0, 1, ?)",
            (_VID, _LAYER, rtype, fid, updated, body),
        )
        for table, several in placed.items():
            scratch.executemany(LAYOUTS[table].insert, several)
        condition = met_sql(shapes, OWN, "?3", 4, rtype, "sqlite")
        found = scratch.execute(f"SELECT 1 WHERE {condition}", (_LAYER, _NO_LAYER, _VID, *args)).fetchone()
    finally:
        scratch.execute("ROLLBACK")
    return found is not None
