"""The first load into an empty SQLite file makes the secondary indexes at its end, sorted, instead of row by row.

What was put off is written down in the database itself, in the transaction that drops it: a load that was killed, resumed and
finished by another process makes the indexes all the same. PostgreSQL loads by COPY and keeps its indexes.
"""

from __future__ import annotations

from sandbox.kernel.database import Transaction
from sandbox.storage.models import INDEX_TABLES, version

_PUT_OFF = "put_off_index"
_TABLES = ",".join(f"'{table.name}'" for table in (version, *INDEX_TABLES))


async def put_off_indexes(tx: Transaction) -> None:
    """Drop the secondary indexes of an empty store until `make_indexes`."""
    if tx.dialect != "sqlite" or await tx.rows("SELECT 1 FROM version LIMIT 1"):
        return
    await tx.run(f"CREATE TABLE IF NOT EXISTS {_PUT_OFF} (name TEXT, text TEXT, tbl TEXT, stat TEXT)")
    await tx.run(
        f"INSERT INTO {_PUT_OFF} SELECT m.name, m.sql, m.tbl_name, s.stat FROM sqlite_master m "
        f"LEFT JOIN sqlite_stat1 s ON s.idx=m.name WHERE m.type='index' AND m.sql IS NOT NULL AND m.tbl_name IN ({_TABLES})"
    )
    for (name,) in await tx.rows(f"SELECT name FROM {_PUT_OFF}"):
        await tx.run(f"DROP INDEX IF EXISTS {name}")


async def make_indexes(tx: Transaction) -> None:
    """Make the indexes that were put off, with the planner's statistics of before; nothing when none were."""
    if tx.dialect != "sqlite" or not await tx.rows("SELECT 1 FROM sqlite_master WHERE name=?1", (_PUT_OFF,)):
        return
    for (text,) in await tx.rows(f"SELECT text FROM {_PUT_OFF} ORDER BY name"):
        await tx.run(text)
    await tx.run(f"DELETE FROM sqlite_stat1 WHERE idx IN (SELECT name FROM {_PUT_OFF})")
    await tx.run(
        f"INSERT INTO sqlite_stat1 (tbl, idx, stat) SELECT tbl, name, stat FROM {_PUT_OFF} WHERE stat IS NOT NULL"
    )
    await tx.run(f"DROP TABLE {_PUT_OFF}")
    await tx.run("ANALYZE sqlite_schema")  # has this connection read the statistics; the others do by themselves
