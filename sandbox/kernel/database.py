"""The port both drivers answer: cached SQL run on the driver, no ORM on the hot path.

SQL is written once with `?1`-style numbered parameters. On SQLite every awaitable below completes without suspending, so one
`async def` serves both databases at the cost of a function call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, Protocol, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]
Dialect = Literal["sqlite", "postgresql"]


class Layout:
    """How rows of a table are given: its columns in order, their PostgreSQL types, and statements for one row."""

    __slots__ = ("columns", "delete", "insert", "table", "types")

    def __init__(self, table: str, columns: Sequence[str], types: Sequence[str]) -> None:
        self.table, self.columns, self.types = table, tuple(columns), tuple(types)
        self.insert = insert(table, columns)
        named = " AND ".join(f"{column}=?{n}" for n, column in enumerate(columns, 1))
        self.delete = f"DELETE FROM {table} WHERE {named}"


class Transaction(Protocol):
    """What a write job may do; it commits when the job returns and rolls back when the job raises."""

    @property
    def dialect(self) -> Dialect: ...

    async def rows(self, sql: str, args: Sequence[Any] = ()) -> list[Row]: ...

    async def run(self, sql: str, args: Sequence[Any] = ()) -> int:
        """Rows touched by one statement."""
        ...

    async def many(self, sql: str, rows: Sequence[Row]) -> None: ...

    async def append(self, placed: Mapping[Layout, Sequence[Row]]) -> None:
        """New rows of several tables at once, the fastest way the database has; their order does not matter."""
        ...

    async def discard(self, placed: Mapping[Layout, Sequence[Row]]) -> None:
        """Delete exactly these rows of several tables."""
        ...

    async def take_numbers(self, count: int) -> int:
        """First of `count` consecutive version numbers that no one else will get."""
        ...


Job = Callable[[Transaction], Awaitable[T]]


class Database(Protocol):
    """One exchange database: SQLite file or PostgreSQL."""

    @property
    def dialect(self) -> Dialect: ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def rows(self, sql: str, args: Sequence[Any] = (), *, hurry: bool = False) -> list[Row]:
        """All rows of a read; raises `TooCostlyError` when it passes the time limit, with `hurry` a few milliseconds."""
        ...

    async def fact(self, sql: str, args: Sequence[Any]) -> list[Row]:
        """As `rows`, for what many callers ask at once: those of the same moment share one answer."""
        ...

    async def analyze(self) -> None:
        """Tell the planner what the tables hold, after much was loaded."""
        ...

    def stream(self, sql: str, args: Sequence[Any] = (), *, size: int = 500) -> AsyncIterator[list[Row]]:
        """Rows of a long read in chunks, in constant memory."""
        ...

    async def write(self, job: Job[T], *, lock: int, weight: int = 1) -> T:
        """Run `job` in a transaction of its own, durable when this returns.

        Jobs of one `lock` (a data layer) happen one after another; `weight` is roughly the rows to be written.
        """
        ...


def numbered(sql: str) -> str:
    """`?1` placeholders as PostgreSQL's `$1`."""
    return _PLACEHOLDER(sql)


def _compile_placeholder() -> Callable[[str], str]:
    import re

    pattern = re.compile(r"\?(\d+)")
    return lambda sql: pattern.sub(r"$\1", sql)


_PLACEHOLDER = _compile_placeholder()


def insert(table: str, columns: Iterable[str]) -> str:
    """Text of a plain one-row INSERT."""
    names = list(columns)
    marks = ",".join(f"?{n}" for n in range(1, len(names) + 1))
    return f"INSERT INTO {table} ({','.join(names)}) VALUES ({marks})"
