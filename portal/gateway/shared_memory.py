"""Protection counters shared by all workers of one machine, without a server: a memory-mapped table with kernel locks.

`gozar serve --workers N` needs exact limits on plain SQLite, where clients' connections fall on workers unevenly; dividing the rate
by N would refuse calls that the published limit allows. The table is a hash of buckets; a bucket is locked (open file description
locks, released by the kernel when a process dies) for the few microseconds of a judgement. Each worker counts its calls in flight in a
column of its own, cleared by whoever takes the column over, so a killed worker leaves nothing behind. Times are CLOCK_MONOTONIC,
which all processes of one boot share; a table of an earlier boot is emptied.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from portal.gateway.gcra import Rate
from portal.gateway.protection import Limits, Reading, refusal

MAGIC = b"GOZARLIMITS2"
HEADER = 4096
WORKERS = 64
WAYS = 8
BUCKETS = 8192
_STATE = struct.Struct("=16sqq64H")
_TIMES = struct.Struct("=qq")
_COUNT = struct.Struct("=H")
_FLOCK = struct.Struct("hhqqi4x")
_TIMES_AT, _FLYING_AT = 16, 32
_CLAIMS_AT = 1024


class TooManyWorkers(Exception):
    """Every column of the table is taken by a living worker."""


class SharedRateLimiter:
    """RateLimiter of one worker on the table at `path`. `boot` names the boot whose monotonic clock `ticks` reads."""

    def __init__(self, path: Path, ticks: Callable[[], int], *, boot: str) -> None:
        self._path, self._ticks, self._boot = path, ticks, boot
        self._row = _STATE.size
        self._places: dict[str, tuple[bytes, int, bytes, bytes]] = {}
        self._descriptor = -1
        self._column = -1
        self._table: mmap.mmap

    def open(self) -> None:
        """Map the table and take a column; raises `TooManyWorkers`. Done at first use when not before."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = HEADER + BUCKETS * WAYS * self._row
        lock, unlock = _locks(0, len(MAGIC))
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, lock)
        try:
            if os.fstat(self._descriptor).st_size != size:
                os.ftruncate(self._descriptor, 0)
                os.ftruncate(self._descriptor, size)
            self._table = mmap.mmap(self._descriptor, size)
            mark = MAGIC + hashlib.sha256(self._boot.encode()).digest()
            if self._table[: len(mark)] != mark:
                self._table[HEADER:size] = bytes(size - HEADER)
                self._table[: len(mark)] = mark
            self._column = self._claim()
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, unlock)

    def _claim(self) -> int:
        """A free column; its lock is held as long as this process lives."""
        for column in range(WORKERS):
            with suppress(BlockingIOError):
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, _locks(_CLAIMS_AT + column, 1)[0])
                for offset in range(HEADER + _FLYING_AT + 2 * column, len(self._table), self._row):
                    if self._table[offset] or self._table[offset + 1]:
                        _COUNT.pack_into(self._table, offset, 0)
                return column
        raise TooManyWorkers(f"at most {WORKERS} workers share one table of limits")

    async def take(self, key: str, limits: Limits, cost: int) -> Reading:
        return self.judge(key, limits, cost)

    def judge(self, key: str, limits: Limits, cost: int) -> Reading:
        """`take` without waiting."""
        digest, bucket, lock, unlock = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, lock)
        try:
            now = self._ticks()
            offset, first, second, flying = self._find(bucket, digest, now)
            burst, sustained = limits.burst, limits.sustained
            after_first = first + burst.cost(cost) * burst.interval
            after_second = second + sustained.cost(cost) * sustained.interval
            if (
                after_first - now > burst.horizon
                or after_second - now > sustained.horizon
                or flying >= limits.concurrent
            ):
                return refusal(limits, first, second, flying, (after_first, after_second), now)
            _TIMES.pack_into(self._table, offset + _TIMES_AT, after_first, after_second)
            self._fly(offset, 1)
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, unlock)
        return Reading(
            True,
            burst.remaining(after_first, now),
            burst.reset(after_first, now),
            sustained.remaining(after_second, now),
            sustained.reset(after_second, now),
            limits.concurrent - flying - 1,
        )

    def move(self, key: str, rate: Rate, cost: int) -> tuple[int, int]:
        """Judge one Rate alone; returns (nanoseconds to wait, 0 when admitted; units left)."""
        digest, bucket, lock, unlock = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, lock)
        try:
            now = self._ticks()
            offset, arrival, _, _ = self._find(bucket, digest, now)
            after = arrival + rate.cost(cost) * rate.interval
            if after - now > rate.horizon:
                return after - now - rate.horizon or rate.interval, rate.remaining(arrival, now)
            _TIMES.pack_into(self._table, offset + _TIMES_AT, after, now)
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, unlock)
        return 0, rate.remaining(after, now)

    def look(self, key: str, rate: Rate) -> tuple[int, int]:
        """(Nanoseconds until `rate` is full again, units left), charging nothing."""
        digest, bucket, lock, unlock = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, lock)
        try:
            now = self._ticks()
            _, arrival, _, _ = self._find(bucket, digest, now)
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, unlock)
        return arrival - now, rate.remaining(arrival, now)

    def release(self, key: str) -> None:
        self._change(key, None, 0)

    def refund(self, key: str, limits: Limits, cost: int) -> None:
        self._change(key, limits, cost)

    def close(self) -> None:
        """Let go of the table and of this worker's column."""
        if self._descriptor >= 0:
            self._table.close()
            os.close(self._descriptor)
            self._descriptor = -1
            self._places.clear()

    def _change(self, key: str, limits: Limits | None, cost: int) -> None:
        digest, bucket, lock, unlock = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, lock)
        try:
            for offset in range(bucket, bucket + WAYS * self._row, self._row):
                if self._table[offset : offset + 16] == digest:
                    self._fly(offset, -1)
                    if limits is not None:
                        first, second = _TIMES.unpack_from(self._table, offset + _TIMES_AT)
                        first -= limits.burst.cost(cost) * limits.burst.interval
                        second -= limits.sustained.cost(cost) * limits.sustained.interval
                        _TIMES.pack_into(self._table, offset + _TIMES_AT, first, second)
                    return
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, unlock)

    def _place(self, key: str) -> tuple[bytes, int, bytes, bytes]:
        place = self._places.get(key)
        if place is None:
            if self._descriptor < 0:
                self.open()
            digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
            bucket = HEADER + int.from_bytes(digest[:8], "big") % BUCKETS * WAYS * self._row
            if len(self._places) > 50_000:
                self._places.clear()
            place = self._places[key] = (digest, bucket, *_locks(bucket, WAYS * self._row))
        return place

    def _find(self, bucket: int, digest: bytes, now: int) -> tuple[int, int, int, int]:
        """Offset of the key's row, its arrival times (not before now) and all workers' calls in flight; enters a new key.

        A new key takes an empty row or one whose allowances are full again, which says no more than an empty one; in a bucket full of
        busy keys it takes the row that will be full first.
        """
        table, row = self._table, self._row
        for offset in range(bucket, bucket + WAYS * row, row):
            if table[offset : offset + 16] == digest:
                _, first, second, *flying = _STATE.unpack_from(table, offset)
                return offset, max(first, now), max(second, now), sum(flying)
        spare, spare_until = bucket, -1
        for offset in range(bucket, bucket + WAYS * row, row):
            _, first, second, *flying = _STATE.unpack_from(table, offset)
            until = max(first, second, now) if any(flying) else max(first, second)
            if spare_until < 0 or until < spare_until:
                spare, spare_until = offset, until
        table[spare : spare + row] = digest + bytes(row - 16)
        return spare, now, now, 0

    def _fly(self, offset: int, step: int) -> None:
        at = offset + _FLYING_AT + 2 * self._column
        (flying,) = _COUNT.unpack_from(self._table, at)
        _COUNT.pack_into(self._table, at, min(65535, max(0, flying + step)))


def _locks(start: int, length: int) -> tuple[bytes, bytes]:
    """The `struct flock` that locks, and the one that unlocks, a range."""
    return (
        _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, start, length, 0),
        _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, start, length, 0),
    )


def boot_id() -> str:
    """A name of the running boot (Linux); elsewhere one that never changes, where CLOCK_MONOTONIC may restart."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return "unknown"
