"""SQLite: reads in the event loop under a small time budget, then in a thread; one group-committing writer.

A read whose plan is indexed takes tens of microseconds, less than a thread hop, so it runs where it is asked. One that
outlives its budget is stopped by SQLite's progress handler and repeated on a thread with the full limit. Writers that arrive
together share one commit (WAL, synchronous=FULL): an answer is sent only after the disk has it. Several worker processes may
share the file; the write lock is SQLite's own.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sandbox.kernel.database import Dialect, Job, Layout, Row
from sandbox.kernel.errors import BusyError, FullError, TooCostlyError

T = TypeVar("T")
INLINE_SECONDS = 0.015
HURRY_SECONDS = 0.004
READ_SECONDS = 5.0
LOCK_SECONDS = 15.0
INLINE_WEIGHT = 400
GROUP = 128
THREADS, WAITING = 3, 24
"""Long reads at the same time, and how many may wait for their turn."""
_LEFT_OUT = 25
_LEFT_OUT_MOST = 800
_PAGE_PRAGMAS = ("cache_size=-65536", "mmap_size=2147418112", "temp_store=MEMORY", "foreign_keys=OFF")


class _Reader:
    """One read-only connection whose statements stop at a deadline."""

    def __init__(self, path: str) -> None:
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        for pragma in (*_PAGE_PRAGMAS, "query_only=ON", "busy_timeout=5000"):
            self.connection.execute(f"PRAGMA {pragma}")
        self._clock: Callable[[], float] = time.monotonic
        self._deadline = 0.0
        self.connection.set_progress_handler(self._overdue, 10_000)

    def _overdue(self) -> bool:
        return self._clock() > self._deadline

    def rows(self, sql: str, args: Sequence[Any], seconds: float) -> list[Row]:
        self._clock = time.monotonic
        self._deadline = time.monotonic() + seconds
        return self.connection.execute(sql, args).fetchall()

    def rows_inline(self, sql: str, args: Sequence[Any], seconds: float) -> list[Row]:
        """As `rows`, with `seconds` of this thread's own work: a busy machine does not make a query slow."""
        self._clock = time.thread_time
        self._deadline = time.thread_time() + seconds
        return self.connection.execute(sql, args).fetchall()

    def close(self) -> None:
        self.connection.close()


class SqliteTransaction:
    """A write job's view of the writer connection."""

    dialect: Dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._next: int = connection.execute("SELECT value FROM counter WHERE name='version'").fetchone()[0]
        self._taken = self._next

    async def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, args).fetchall()

    async def run(self, sql: str, args: Sequence[Any] = ()) -> int:
        return self._connection.execute(sql, args).rowcount

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        self._connection.executemany(sql, rows)

    async def append(self, placed: Mapping[Layout, Sequence[Row]]) -> None:
        for layout, rows in placed.items():
            self._connection.executemany(layout.insert, rows)

    async def discard(self, placed: Mapping[Layout, Sequence[Row]]) -> None:
        for layout, rows in placed.items():
            self._connection.executemany(layout.delete, rows)

    async def take_numbers(self, count: int) -> int:
        first = self._next
        self._next += count
        return first

    def keep_numbers(self) -> None:
        """Record the numbers given out, in the same transaction."""
        if self._next != self._taken:
            self._connection.execute("UPDATE counter SET value=? WHERE name='version'", (self._next,))


class _Pending:
    """A job waiting for the next group commit."""

    __slots__ = ("error", "future", "job", "result", "weight")

    def __init__(self, job: Job[Any], weight: int, future: asyncio.Future[Any]) -> None:
        self.job, self.weight, self.future = job, weight, future
        self.result: Any = None
        self.error: BaseException | None = None

    def settle(self) -> None:
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)


class _Turns:
    """How often a statement that was too slow is not tried again in the loop: twice as often each time it fails."""

    __slots__ = ("left", "whole")

    def __init__(self) -> None:
        self.left = self.whole = _LEFT_OUT

    def again(self) -> None:
        self.left = self.whole = min(self.whole * 2, _LEFT_OUT_MOST)


def _skip(skipped: dict[str, _Turns], sql: str) -> None:
    known = skipped.get(sql)
    if known is not None:
        known.again()
        return
    if len(skipped) > 500:
        skipped.clear()
    skipped[sql] = _Turns()


class SqliteDatabase:
    """The exchange database in one SQLite file."""

    dialect: Dialect = "sqlite"

    def __init__(self, path: str) -> None:
        self.path = path
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="sqlite-read")
        self._in_threads = 0
        self._streams = ThreadPoolExecutor(2, thread_name_prefix="sqlite-stream")
        self._commits = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        self._idle: list[_Reader] = []
        self._slow: dict[str, _Turns] = {}
        self._left_out: dict[str, _Turns] = {}
        self._queue: list[_Pending] = []
        self._writing = False

    async def start(self) -> None:
        Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        self._writer = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=512)
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            *_PAGE_PRAGMAS,
            "busy_timeout=0",
            "wal_autocheckpoint=8000",
        ):
            self._writer.execute(f"PRAGMA {pragma}")
        self._reader = _Reader(self.path)

    async def close(self) -> None:
        if self._writing:
            await self._drainer
        self._threads.shutdown(wait=True)
        self._streams.shutdown(wait=True)
        self._commits.shutdown(wait=True)
        for reader in (self._reader, *self._idle):
            reader.close()
        self._writer.close()

    # --- reading ------------------------------------------------------------------------------------------------------

    async def rows(self, sql: str, args: Sequence[Any] = (), *, hurry: bool = False) -> list[Row]:
        skipped = self._left_out if hurry else self._slow
        turns = skipped.get(sql)
        if turns is None or turns.left == 0:
            try:
                found = self._reader.rows_inline(sql, args, HURRY_SECONDS if hurry else INLINE_SECONDS)
            except sqlite3.OperationalError as stopped:
                if "interrupted" not in str(stopped):
                    raise
                _skip(skipped, sql)
                if hurry:
                    raise TooCostlyError(HURRY_SECONDS) from stopped
            else:
                if turns is not None:
                    del skipped[sql]
                return found
        else:
            turns.left -= 1
            if hurry:
                raise TooCostlyError(HURRY_SECONDS)
        return await self._rows_aside(sql, args)

    async def _rows_aside(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """A long read on a thread; past a short queue of them, callers are sent away rather than kept waiting."""
        if self._in_threads >= THREADS + WAITING:
            raise BusyError("too many long searches at once")
        self._in_threads += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._rows_in_thread, sql, args)
        finally:
            self._in_threads -= 1

    async def fact(self, sql: str, args: Sequence[Any]) -> list[Row]:
        return await self.rows(sql, args)  # cheaper than sharing

    def _rows_in_thread(self, sql: str, args: Sequence[Any]) -> list[Row]:
        reader = self._idle.pop() if self._idle else _Reader(self.path)
        try:
            return reader.rows(sql, args, READ_SECONDS)
        except sqlite3.OperationalError as stopped:
            if "interrupted" in str(stopped):
                raise TooCostlyError(READ_SECONDS) from stopped
            raise
        finally:
            self._idle.append(reader)

    async def analyze(self) -> None:
        """Nothing to do: SQLite's planner goes by the fixed statistics of the migration."""

    async def stream(self, sql: str, args: Sequence[Any] = (), *, size: int = 500) -> AsyncIterator[list[Row]]:
        loop = asyncio.get_running_loop()
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            cursor = await loop.run_in_executor(self._streams, connection.execute, sql, args)
            while chunk := await loop.run_in_executor(self._streams, cursor.fetchmany, size):
                yield chunk
        finally:
            connection.close()

    # --- writing ------------------------------------------------------------------------------------------------------

    async def write(self, job: Job[T], *, lock: int, weight: int = 1) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(job, weight, future))
        if not self._writing:
            self._writing = True
            self._drainer = asyncio.create_task(self._drain())
        return await future

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                group, self._queue = self._queue[:GROUP], self._queue[GROUP:]
                try:
                    if sum(pending.weight for pending in group) > INLINE_WEIGHT or not self._begin():
                        await loop.run_in_executor(self._commits, self._run_group_in_thread, group)
                    else:
                        self._run_group(group)
                        await loop.run_in_executor(self._commits, self._commit)
                except BaseException as error:
                    self._fail(group, error)
                    if not isinstance(error, Exception):
                        raise
                for pending in group:
                    pending.settle()
        finally:
            self._writing = False

    def _fail(self, group: list[_Pending], error: BaseException) -> None:
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        for pending in group:
            pending.error = _told(error)

    def _begin(self) -> bool:
        """Take the write lock now, or say that another process holds it."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as busy:
            if busy.sqlite_errorname.startswith("SQLITE_BUSY"):
                return False
            raise
        return True

    def _run_group_in_thread(self, group: list[_Pending]) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        pause = 0.001
        while not self._writer.in_transaction and not self._begin():
            if time.monotonic() > deadline:
                raise BusyError("another process holds the write lock")
            time.sleep(pause)
            pause = min(pause * 1.5, 0.02)
        self._run_group(group)
        self._commit()

    def _run_group(self, group: list[_Pending]) -> None:
        """Each job in a savepoint of its own: one that raises takes back only its own rows."""
        transaction = SqliteTransaction(self._writer)
        for pending in group:
            self._writer.execute("SAVEPOINT job")
            try:
                pending.result = _finish(pending.job(transaction))
            except Exception as error:  # handed to whoever waits for this job
                if not self._writer.in_transaction:
                    raise  # a full disk takes the whole group back
                self._writer.execute("ROLLBACK TO job")
                pending.error = _told(error)
            self._writer.execute("RELEASE job")
        transaction.keep_numbers()

    def _commit(self) -> None:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                self._writer.execute("COMMIT")
                return
            except sqlite3.OperationalError as busy:
                if not busy.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                    raise
                time.sleep(0.002)


def _told(error: BaseException) -> BaseException:
    """A failure of the disk in the store's words."""
    name = error.sqlite_errorname if isinstance(error, sqlite3.OperationalError) else ""
    if name == "SQLITE_FULL":
        return FullError("the disk is full")
    if name.startswith(("SQLITE_IOERR", "SQLITE_READONLY", "SQLITE_CANTOPEN")):
        return BusyError(f"the database file cannot be written ({name})")
    return error


def _finish(awaitable: Any) -> Any:
    """The result of a coroutine that never suspends, as every job on SQLite."""
    coroutine = awaitable.__await__()
    try:
        next(coroutine)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a write job may await nothing but its transaction")
