"""Parquet: flat analytics tables. The only module that imports pyarrow, and only when it is used."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from ..generator import Batch, Simulation
from ..population import PopulationSpec
from .course import Course, run
from .directory import PARTIAL, Directory, explain
from .manifest import Tally, count, describe
from .progress import Progress
from .tables import BOOLEANS, COLUMNS, FLOATS, INTEGERS, TABLES

Columns = dict[str, dict[str, list[Any]]]
_GROUP = 16_384  # rows of a row group: fixed, so that the bytes do not depend on shards or jobs
_PIECE = 20  # people whose rows are gathered as Python values before they become columns


def _type(column: str) -> pa.DataType:
    if column in INTEGERS:
        return pa.int32()
    if column in FLOATS:
        return pa.float64()
    return pa.bool_() if column in BOOLEANS else pa.string()


SCHEMAS = {table: pa.schema([(column, _type(column)) for column in columns]) for table, columns in COLUMNS.items()}


class Told(NamedTuple):
    """What came out of a shard: the new rows of each table, as Arrow's own bytes, the people, and what they add to the tally."""

    tables: dict[str, bytes]
    people: int
    tally: dict[str, int]


class Clerk:
    """The craft of tables: workers turn resources into columns, the parent writes them."""

    def __init__(self, imperfect: bool) -> None:
        self._imperfect = imperfect

    def make(self, batches: Iterator[Batch]) -> tuple[Told, None]:
        """The rows of a shard."""
        tally = Tally()
        people = 0
        streams = {table: _Stream(table) for table in COLUMNS}
        made = _empty()
        for batch in batches:
            people += 1
            tally.add(count(batch, self._imperfect))
            for kind, _, content in batch.resources:
                if kind in TABLES:
                    table, rows = TABLES[kind]
                    target = made[table]
                    for row in rows(orjson.loads(content)):
                        for name, value in row.items():
                            target[name].append(value)
            if people % _PIECE == 0:
                _pass_on(made, streams)
                made = _empty()
        _pass_on(made, streams)
        return Told({table: stream.content() for table, stream in streams.items()}, people, tally.counts), None

    def place(self, told: Told) -> None:
        """The parent has the rows already."""

    def put(self, kept: None, place: None) -> None:
        """The parent has the rows already."""


def _empty() -> Columns:
    return {table: {name: [] for name in names} for table, names in COLUMNS.items()}


def _pass_on(made: Columns, streams: "dict[str, _Stream]") -> None:
    for table, values in made.items():
        streams[table].add(values)


class _Stream:
    """Rows of one table on their way to another process."""

    def __init__(self, table: str) -> None:
        self._schema = SCHEMAS[table]
        self._sink = pa.BufferOutputStream()
        self._writer = pa.ipc.new_stream(self._sink, self._schema)

    def add(self, values: dict[str, list[Any]]) -> None:
        self._writer.write_batch(pa.record_batch(values, schema=self._schema))

    def content(self) -> bytes:
        self._writer.close()
        return bytes(self._sink.getvalue())


class _Table:
    """One file being written, in row groups of a fixed size."""

    def __init__(self, path: Path, table: str) -> None:
        self.path, self.table = path, table
        self.rows = 0
        self._waiting: list[pa.Table] = []
        self._count = 0
        self._writer = pq.ParquetWriter(path, SCHEMAS[table], compression="zstd")

    def add(self, content: bytes) -> None:
        made = pa.ipc.open_stream(content).read_all()
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
        course = Course(None)
        clerk = Clerk(bool(spec.imperfections))
        try:
            with _Tables(path) as tables:
                for shard, told in run(Simulation(spec), course, clerk, jobs):
                    for table, content in told.tables.items():
                        tables.made[table].add(content)
                    course.advance(shard, told.people, told.tally)
                    progress(course.seen, spec.size - spec.first)
            for name, written in tables.made.items():
                directory.adopt(f"{name}.parquet", written.rows)
        except OSError as error:
            raise explain(error, path) from error
        return directory.finish({**manifest, "people": course.people, **course.tally.told()})


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
