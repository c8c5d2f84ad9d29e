"""PostgreSQL through asyncpg, with its own small pool: handing a connection over costs no round trip."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import asyncpg

from sandbox.kernel.database import Dialect, Job, Layout, Row, numbered
from sandbox.kernel.errors import BusyError, FullError, TooCostlyError

T = TypeVar("T")
HURRY_SECONDS = 0.05
READ_SECONDS = 5
_SKIPPED = 50
_COPY_FROM = 1_500
"""Rows from which a COPY for each table beats one statement over arrays."""
# The SQL is written for one kind of plan: walk an index, probe others by key. A generic plan, which knows no values, would
# else fall for scans and hashes; parsing and planning anew each time would cost more than the query.
_PLANNING = {
    "jit": "off",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_bitmapscan": "off",
    "enable_material": "off",
    "enable_sort": "on",
    "random_page_cost": "1.1",
    "plan_cache_mode": "force_generic_plan",
}
_GONE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
)
"""What says that the server went away; an `InterfaceError` says so only when the connection is closed."""
_dollar = lru_cache(maxsize=4096)(numbered)


class PostgresTransaction:
    """A write job's view of its connection, inside BEGIN."""

    dialect: Dialect = "postgresql"

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        return [tuple(row) for row in await self._connection.fetch(_dollar(sql), *args)]

    async def run(self, sql: str, args: Sequence[Any] = ()) -> int:
        status = await self._connection.execute(_dollar(sql), *args)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        await self._connection.executemany(_dollar(sql), rows)

    async def append(self, placed: Mapping[Layout, Sequence[Row]]) -> None:
        """One statement over arrays, so one round trip, for a few rows; COPY, one for each table, for many."""
        if sum(map(len, placed.values())) > _COPY_FROM:
            for layout, rows in placed.items():
                await self._connection.copy_records_to_table(layout.table, records=rows, columns=layout.columns)
            return
        await self._connection.execute(_inserting(tuple(placed)), *_arrays(placed))

    async def discard(self, placed: Mapping[Layout, Sequence[Row]]) -> None:
        await self._connection.execute(_deleting(tuple(placed)), *_arrays(placed))

    async def take_numbers(self, count: int) -> int:
        """Consecutive numbers: `counter` is not used here, a sequence stepped under a lock is."""
        return int(await self._connection.fetchval("SELECT take_version_numbers($1)", count))


@contextmanager
def _lost_told(connection: asyncpg.Connection[asyncpg.Record]) -> Iterator[None]:
    """A connection that was lost is told as `BusyError`: trying again soon may help."""
    try:
        yield
    except _GONE as lost:
        raise BusyError("the connection to the database was lost") from lost
    except asyncpg.DiskFullError as full:
        raise FullError("the disk is full") from full
    except asyncpg.InterfaceError as error:
        if connection.is_closed():
            raise BusyError("the connection to the database was lost") from error
        raise


def _arrays(placed: Mapping[Layout, Sequence[Row]]) -> list[tuple[Any, ...]]:
    """Rows as columns, table after table."""
    return [column for rows in placed.values() for column in zip(*rows, strict=True)]


def _unnested(layouts: Sequence[Layout]) -> Iterator[tuple[Layout, str]]:
    """Each table with its rows out of the arrays that `_arrays` gives."""
    mark = 0
    for layout in layouts:
        arrays = ",".join(f"${mark + n}::{kind}[]" for n, kind in enumerate(layout.types, 1))
        mark += len(layout.types)
        yield layout, f"UNNEST({arrays})"


def _at_once(steps: Sequence[str]) -> str:
    """Several writes as one statement."""
    if len(steps) == 1:
        return steps[0]
    return "WITH " + ", ".join(f"s{n} AS ({step})" for n, step in enumerate(steps[:-1])) + " " + steps[-1]


@lru_cache(maxsize=512)
def _inserting(layouts: tuple[Layout, ...]) -> str:
    return _at_once(
        [f"INSERT INTO {one.table} ({','.join(one.columns)}) SELECT * FROM {rows}" for one, rows in _unnested(layouts)]
    )


@lru_cache(maxsize=512)
def _deleting(layouts: tuple[Layout, ...]) -> str:
    steps = []
    for one, rows in _unnested(layouts):
        same = " AND ".join(f"t.{column}=u.{column}" for column in one.columns)
        steps.append(f"DELETE FROM {one.table} t USING {rows} AS u({','.join(one.columns)}) WHERE {same}")
    return _at_once(steps)


class PostgresDatabase:
    """The exchange database on a PostgreSQL server."""

    dialect: Dialect = "postgresql"

    def __init__(self, dsn: str, *, size: int = 8) -> None:
        self._dsn = dsn
        self._size = size
        self._slow: dict[str, int] = {}
        self._asked: dict[tuple[str, Row], list[asyncio.Future[list[Row]]]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
        self._idle: list[asyncpg.Connection[asyncpg.Record]] = []

    async def start(self) -> None:
        self._slots = asyncio.Semaphore(self._size)
        self._idle.append(await self._connect())

    async def close(self) -> None:
        for connection in self._idle:
            await connection.close()
        self._idle.clear()

    async def _connect(self) -> asyncpg.Connection[asyncpg.Record]:
        try:
            return await asyncpg.connect(
                self._dsn,
                statement_cache_size=1000,
                max_cached_statement_lifetime=0,
                server_settings={
                    "statement_timeout": str(READ_SECONDS * 1000),
                    **_PLANNING,
                    "application_name": "gozar-exchange",
                },
            )
        except _GONE as error:
            raise BusyError("the database cannot be reached") from error

    def _put_back(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        """A connection that a cancelled caller left inside a transaction is of no use to anybody else."""
        if connection.is_in_transaction():
            connection.terminate()
        else:
            self._idle.append(connection)

    async def _take(self) -> asyncpg.Connection[asyncpg.Record]:
        """An idle connection that still lives, or a new one."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return await self._connect()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
        async with self._slots:
            connection = await self._take()
            try:
                with _lost_told(connection):
                    yield connection
            finally:
                if not connection.is_closed():
                    self._put_back(connection)

    async def rows(self, sql: str, args: Sequence[Any] = (), *, hurry: bool = False) -> list[Row]:
        if hurry:
            return await self._hurried(sql, args)
        async with self._slots:
            connection = await self._take()
            try:
                with _lost_told(connection):
                    found: list[Row] = await connection.fetch(_dollar(sql), *args)  # records unpack as tuples
                return found
            except asyncpg.QueryCanceledError as stopped:
                raise TooCostlyError(READ_SECONDS) from stopped
            finally:
                if not connection.is_closed():
                    self._idle.append(connection)

    async def fact(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """Nobody joins a query that was sent already: its answer could be older than the caller's question."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Row]] = loop.create_future()
        key = (sql, tuple(args))
        asking = self._asked.get(key)
        if asking is None:
            self._asked[key] = [answer]
            loop.call_soon(self._ask, key)
        else:
            asking.append(answer)
        return await answer

    def _ask(self, key: tuple[str, Row]) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(self._asked.pop(key), *key))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, asking: list[asyncio.Future[list[Row]]], sql: str, args: Row) -> None:
        try:
            found = await self.rows(sql, args)
        except Exception as error:
            for one in asking:
                if not one.done():
                    one.set_exception(error)
            return
        for one in asking:
            if not one.done():
                one.set_result(found)

    async def _hurried(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """A read that may as well be left out: one that was slow the last time is, but for a try now and then."""
        if self._slow.get(sql, 0) > 0:
            self._slow[sql] -= 1
            raise TooCostlyError(HURRY_SECONDS)
        before = time.monotonic()
        found = await self.rows(sql, args)
        if time.monotonic() - before > HURRY_SECONDS:
            if len(self._slow) > 500:
                self._slow.clear()
            self._slow[sql] = _SKIPPED
        return found

    async def analyze(self) -> None:
        async with self._connection() as connection:
            await connection.execute("SET statement_timeout = 0")
            await connection.execute("ANALYZE")
            await connection.execute(f"SET statement_timeout = {READ_SECONDS * 1000}")

    async def stream(self, sql: str, args: Sequence[Any] = (), *, size: int = 500) -> AsyncIterator[list[Row]]:
        async with self._connection() as connection, connection.transaction(readonly=True):
            await connection.execute("SET LOCAL statement_timeout = 0")
            cursor = await connection.cursor(_dollar(sql), *args)
            while chunk := await cursor.fetch(size):
                yield [tuple(row) for row in chunk]

    async def write(self, job: Job[T], *, lock: int, weight: int = 1) -> T:
        waiting = self._turns.setdefault(lock, asyncio.Lock())  # who waits for a turn holds no connection
        try:
            async with waiting, self._connection() as connection:
                return await self._run(connection, job, lock, weight)
        except asyncpg.QueryCanceledError as stopped:
            raise BusyError("the write took too long, or another process held its lock") from stopped

    async def _run(self, connection: asyncpg.Connection[asyncpg.Record], job: Job[T], lock: int, weight: int) -> T:
        """The job between BEGIN with its lock and COMMIT: two round trips around its own."""
        limit = max(30_000, weight * 10)
        await connection.execute(f"BEGIN; SET LOCAL statement_timeout={limit}; SELECT pg_advisory_xact_lock({lock})")
        try:
            result = await job(PostgresTransaction(connection))
        except BaseException:
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
            raise
        await connection.execute("COMMIT")
        return result
