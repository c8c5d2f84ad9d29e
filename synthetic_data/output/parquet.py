"""Parquet: flat analytics tables. The only module that imports pyarrow, and only when it is used."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ..generator import Batch, Simulation
from ..population import PopulationSpec
from .directory import PARTIAL, Directory, explain
from .manifest import Tally, count, describe
from .pool import run
from .progress import Progress
from .tables import BOOLEANS, COLUMNS, FLOATS, INTEGERS, TABLES

Columns = dict[str, dict[str, list[Any]]]
Found = tuple[Columns, int, dict[str, int]]
_GROUP = 65_536  # rows of a row group: fixed, so that the bytes do not depend on shards or jobs


def _type(column: str) -> pa.DataType:
    if column in INTEGERS:
        return pa.int32()
    if column in FLOATS:
        return pa.float64()
    return pa.bool_() if column in BOOLEANS else pa.string()


SCHEMAS = {table: pa.schema([(column, _type(column)) for column in columns]) for table, columns in COLUMNS.items()}


def columns(batches: Iterator[Batch]) -> Found:
    """The rows of a shard, column by column; how many people; and what they add to the tally."""
    tally = Tally()
    people = 0
    made: Columns = {table: {name: [] for name in names} for table, names in COLUMNS.items()}
    for batch in batches:
        people += 1
        tally.add(count(batch))
        for kind, _, content in batch.resources:
            if kind in TABLES:
                table, rows = TABLES[kind]
                target = made[table]
                for row in rows(orjson.loads(content)):
                    for name, value in row.items():
                        target[name].append(value)
    return made, people, tally.counts


class _Table:
    """One file being written, in row groups of a fixed size."""

    def __init__(self, path: Path, table: str) -> None:
        self.path, self.table = path, table
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._count = 0
        self._writer = pq.ParquetWriter(path, SCHEMAS[table], compression="zstd")

    def add(self, values: dict[str, list[Any]]) -> None:
        made = pa.table(values, schema=SCHEMAS[self.table])
        self._waiting.append(made)
        self._count += made.num_rows
        self.rows += made.num_rows
        if self._count >= _GROUP:
            self._flush(everything=False)

    def _flush(self, everything: bool) -> None:
        joined = pa.concat_tables(self._waiting) if self._waiting else SCHEMAS[self.table].empty_table()
        whole = joined.num_rows if everything else joined.num_rows // _GROUP * _GROUP
        if whole:
            self._writer.write_table(joined.slice(0, whole).combine_chunks(), row_group_size=_GROUP)
        rest = joined.slice(whole)
        self._waiting, self._count = ([rest] if rest.num_rows else []), rest.num_rows

    def close(self, finish: bool) -> None:
        if finish:
            self._flush(everything=True)
        self._writer.close()


class _Tables:
    """All tables of a directory."""

    def __init__(self, path: Path) -> None:
        self.made = {table: _Table(path / f"{table}.parquet{PARTIAL}", table) for table in COLUMNS}

    def __enter__(self) -> "_Tables":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for table in self.made.values():
            table.close(finish=kind is None)


def write_parquet(
    spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool = False
) -> dict[str, Any]:
    """Write the tables; returns the manifest. A Parquet file cannot be continued: an interrupted run begins again."""
    manifest = describe(spec, "parquet")
    with Directory(path, manifest, overwrite) as directory:
        people = seen = 0
        tally = Tally()
        try:
            with _Tables(path) as tables:
                for shard, (found, here, counts) in run(spec, Simulation(spec).shards(), columns, jobs):
                    for table, values in found.items():
                        tables.made[table].add(values)
                    tally.add(counts)
                    people, seen = people + here, seen + shard.keep
                    progress(seen, spec.size - spec.first)
            for name, written in tables.made.items():
                directory.adopt(f"{name}.parquet", written.rows, _digest(written.path))
        except OSError as error:
            raise explain(error, path) from error
        return directory.finish({**manifest, "people": people, **tally.told()})


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def texts(path: Path) -> Iterator[tuple[str, str]]:
    """(column, text) of every different text in a table."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_GROUP):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_string(column.type):
                    yield from ((name, text) for text in column.unique().to_pylist() if text)


def rows(path: Path) -> int:
    """How many rows a table has."""
    return int(pq.read_metadata(path).num_rows)
