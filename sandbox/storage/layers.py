"""Whole layers: copied for snapshots and forks, emptied in small steps when dead."""

from __future__ import annotations

from sqlalchemy import Table

from sandbox.kernel.database import Database, Transaction
from sandbox.storage.models import COLUMNS, INDEX_TABLES, access_log, shadow, version
from sandbox.tenants.models import DEAD

_SWEEP = 5_000


def _copying(table: str) -> str:
    """Rows of layer ?1 into layer ?2, their version numbers moved by ?3."""
    columns = COLUMNS[table]
    chosen = ",".join({"layer": "CAST(?2 AS INTEGER)", "vid": "vid + CAST(?3 AS BIGINT)"}.get(c, c) for c in columns)
    return f"INSERT INTO {table} ({','.join(columns)}) SELECT {chosen} FROM {table} WHERE layer=?1"


_COPIES = tuple(_copying(table) for table in ("version", *(t.name for t in INDEX_TABLES)))


_CARRIED: list[Table] = []


def carry(table: Table) -> None:
    """Have the rows of another room's table (keyed by layer first) go wherever their layer goes."""
    if table not in _CARRIED:
        _CARRIED.append(table)


def _carrying(table: Table) -> str:
    names = [column.name for column in table.columns]
    chosen = ",".join("CAST(?2 AS INTEGER)" if name == "layer" else name for name in names)
    return f"INSERT INTO {table.name} ({','.join(names)}) SELECT {chosen} FROM {table.name} WHERE layer=?1"


def _deleting(table: Table) -> str:
    """Some rows of layer ?1: by whole keys, the only short handle both databases share."""
    names = ",".join(column.name for column in table.primary_key)
    return (
        f"DELETE FROM {table.name} WHERE ({names}) IN (SELECT {names} FROM {table.name} WHERE layer=?1 LIMIT {_SWEEP})"
    )


_DELETES = tuple(_deleting(table) for table in (shadow, access_log, version, *INDEX_TABLES))


async def copy_rows(tx: Transaction, source: int, target: int) -> None:
    """Fill the empty layer `target` with what `source` holds: cost grows with what was written, never with the base."""
    first, last = (await tx.rows("SELECT MIN(vid), MAX(vid) FROM version WHERE layer=?1", (source,)))[0]
    if first is not None:
        # One shift for all keeps their order, so histories and cursors of the copy read the same.
        shift = await tx.take_numbers(last - first + 1) - first
        for statement in _COPIES:
            await tx.run(statement, (source, target, shift))
    for table in _CARRIED:
        await tx.run(_carrying(table), (source, target))
    await tx.run(
        "INSERT INTO shadow (layer, vid) SELECT CAST(?2 AS INTEGER), vid FROM shadow WHERE layer=?1", (source, target)
    )
    await tx.run(
        "UPDATE layer SET resources=(SELECT resources FROM layer WHERE layer=?1), "
        "bytes=(SELECT bytes FROM layer WHERE layer=?1) WHERE layer=?2",
        (source, target),
    )


async def sweep(database: Database) -> int:
    """Delete some rows of dead layers; returns how many went, 0 when nothing is left to do."""

    async def step(tx: Transaction) -> int:
        rows = await tx.rows("SELECT layer FROM layer WHERE kind=?1 ORDER BY layer LIMIT 1", (DEAD,))
        if not rows:
            return 0
        layer = rows[0][0]
        for statement in (*_DELETES, *(_deleting(table) for table in _CARRIED)):
            gone = await tx.run(statement, (layer,))
            if gone:
                return gone
        await tx.run("DELETE FROM layer WHERE layer=?1", (layer,))
        return 1

    return await database.write(step, lock=-2, weight=_SWEEP)
