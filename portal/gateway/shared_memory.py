"""Protection counters shared by all workers of one machine, without a server: a memory-mapped table with kernel locks.

`gozar serve --workers N` needs exact limits on plain SQLite, where clients' connections fall on workers unevenly; dividing the rate
by N would refuse calls that the published limit allows. The table is a hash of buckets; a bucket is locked (open file description
locks, released by the kernel when a process dies) for the few microseconds of a judgement, and not at all while one worker is alone.
Each worker counts its calls in flight in a column of its own, which needs no lock and is cleared by whoever takes the column over, so a
killed worker leaves nothing behind. Times are CLOCK_MONOTONIC,
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

from portal.gateway.gcra import SECOND, Rate
from portal.gateway.protection import Limits, Reading, refusal

MAGIC = b"GOZARLIMITS5"
HEADER = 4096
WORKERS = 64
WAYS = 8
BUCKETS = 8192
_FLOCK = struct.Struct("hhqqi4x")
_STATE_AT, _FLYING_AT = 16, 32
_FLIGHTS_OFF = (_FLYING_AT - _STATE_AT) // 2
"""From a row's times to its flights, counted in flights."""
ROW = _FLYING_AT + 2 * WORKERS
"""Bytes of a row: name of the key (16), two arrival times, the calls in flight of each worker."""
_ALIVE_AT, _USED_AT, _CLAIMS_AT = 512, 640, 1024
"""In the header: how many workers lived at the last claim, which columns were ever taken, whose locks say who lives."""


class TooManyWorkers(Exception):
    """Every column of the table is taken by a living worker."""


class SharedRateLimiter:
    """RateLimiter of one worker on the table at `path`. `boot` names the boot whose monotonic clock `ticks` reads."""

    def __init__(self, path: Path, ticks: Callable[[], int], *, boot: str) -> None:
        self._path, self._ticks, self._boot = path, ticks, boot
        self._places: dict[str, _Place] = {}
        self._descriptor = -1
        self._column = -1
        self._table: mmap.mmap
        # The same bytes as whole numbers: arrival times (8 bytes each) and calls in flight (2 bytes each).
        self._times: memoryview[int]
        self._flights: memoryview[int]

    def open(self) -> None:
        """Map the table and take a column; raises `TooManyWorkers`. Done at first use when not before."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = HEADER + BUCKETS * WAYS * ROW
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
                self._table[_USED_AT : _USED_AT + WORKERS] = bytes(WORKERS)
            self._times = memoryview(self._table).cast("q")
            self._flights = memoryview(self._table).cast("H")
            self._column = self._claim()
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, unlock)

    def _claim(self) -> int:
        """A free column; its lock is held as long as this process lives. What dead workers left in theirs is wiped."""
        table, found, alive = self._table, -1, 1
        for column in range(WORKERS):
            lock, unlock = _locks(_CLAIMS_AT + column, 1)
            try:
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, lock)
            except BlockingIOError:
                alive += 1
                continue
            if table[_USED_AT + column]:
                for at in range((HEADER + _FLYING_AT) // 2 + column, len(self._flights), ROW // 2):
                    if self._flights[at]:
                        self._flights[at] = 0
                table[_USED_AT + column] = 0
            if found >= 0:
                fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, unlock)
            else:
                found = column
        if found >= 0:
            table[_USED_AT + found] = 1
            table[_ALIVE_AT] = alive
            return found
        raise TooManyWorkers(f"at most {WORKERS} workers share one table of limits")

    async def take(self, key: str, limits: Limits, cost: int) -> Reading:
        return self.judge(key, limits, cost)

    def judge(self, key: str, limits: Limits, cost: int) -> Reading:
        """`take` without waiting; written out like `MemoryRateLimiter.judge`, since it runs on every call."""
        place = self._place(key)
        if self._table[_ALIVE_AT] == 1:
            return self._judge(place, limits, cost, alone=True)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.lock)
        try:
            return self._judge(place, limits, cost, alone=False)
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.unlock)

    def _judge(self, place: _Place, limits: Limits, cost: int, *, alone: bool) -> Reading:
        burst, sustained = limits.burst, limits.sustained
        now = self._ticks()
        at = self._find(place, now)
        times, flights, mine = self._times, self._flights, at * 4 + _FLIGHTS_OFF
        first, second = times[at], times[at + 1]
        flying = flights[mine + self._column] if alone else sum(flights[mine : mine + WORKERS])
        if first < now:
            first = now
        if second < now:
            second = now
        quota = burst.quota
        after_first = first + (cost if cost < quota else quota or cost) * burst.interval
        quota = sustained.quota
        after_second = second + (cost if cost < quota else quota or cost) * sustained.interval
        if after_first - now > burst.horizon or after_second - now > sustained.horizon or flying >= limits.concurrent:
            return refusal(limits, first, second, flying, (after_first, after_second), now)
        times[at], times[at + 1] = after_first, after_second
        mine += self._column
        flights[mine] = min(flights[mine] + 1, 65535)
        return Reading(
            True,
            (burst.horizon - after_first + now) // burst.interval,
            -((now - after_first) // SECOND),
            (sustained.horizon - after_second + now) // sustained.interval,
            -((now - after_second) // SECOND),
            limits.concurrent - flying - 1,
        )

    def move(self, key: str, rate: Rate, cost: int) -> tuple[int, int]:
        """Judge one Rate alone; returns (nanoseconds to wait, 0 when admitted; units left)."""
        place = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.lock)
        try:
            now = self._ticks()
            at = self._find(place, now)
            arrival = max(now, self._times[at])
            after = arrival + rate.cost(cost) * rate.interval
            if after - now > rate.horizon:
                return after - now - rate.horizon or rate.interval, rate.remaining(arrival, now)
            self._times[at], self._times[at + 1] = after, now
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.unlock)
        return 0, rate.remaining(after, now)

    def look(self, key: str, rate: Rate) -> tuple[int, int]:
        """(Nanoseconds until `rate` is full again, units left), charging nothing."""
        place = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.lock)
        try:
            now = self._ticks()
            arrival = max(now, self._times[self._find(place, now)])
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.unlock)
        return arrival - now, rate.remaining(arrival, now)

    def clear(self, key: str) -> None:
        """Forget what the key has spent."""
        at = self._known(self._place(key))
        if at:
            self._times[at] = self._times[at + 1] = 0

    def release(self, key: str) -> None:
        at = self._known(self._place(key))
        if at:
            self._land(at)

    def refund(self, key: str, limits: Limits, cost: int) -> None:
        place = self._place(key)
        fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.lock)
        try:
            at = self._known(place)
            if at:
                self._times[at] -= limits.burst.cost(cost) * limits.burst.interval
                self._times[at + 1] -= limits.sustained.cost(cost) * limits.sustained.interval
                self._land(at)
        finally:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLKW, place.unlock)

    def close(self) -> None:
        """Let go of the table and of this worker's column."""
        if self._descriptor >= 0:
            self._times.release()
            self._flights.release()
            self._table.close()
            os.close(self._descriptor)
            self._descriptor = -1
            self._places.clear()

    def _place(self, key: str) -> _Place:
        place = self._places.get(key)
        if place is None:
            if self._descriptor < 0:
                self.open()
            digest = hashlib.blake2b(key.encode(), digest_size=16).digest()
            bucket = HEADER + int.from_bytes(digest[:8], "big") % BUCKETS * WAYS * ROW
            if len(self._places) > 50_000:
                self._places.clear()
            place = self._places[key] = _Place(digest, bucket)
        return place

    def _known(self, place: _Place) -> int:
        """Index of the key's first arrival time among `_times`, or 0 when the key has no row."""
        table, digest = self._table, place.digest
        if table[place.row : place.row + 16] == digest:
            return (place.row + _STATE_AT) // 8
        for row in range(place.bucket, place.bucket + WAYS * ROW, ROW):
            if table[row : row + 16] == digest:
                place.row = row
                return (row + _STATE_AT) // 8
        return 0

    def _find(self, place: _Place, now: int) -> int:
        """As `_known`; enters a new key.

        A new key takes an empty row or one whose allowances are full again, which says no more than an empty one; in a bucket full of
        busy keys it takes the row that will be full first.
        """
        known = self._known(place)
        if known:
            return known
        spare, spare_until = place.bucket, -1
        for row in range(place.bucket, place.bucket + WAYS * ROW, ROW):
            at = (row + _STATE_AT) // 8
            first, second = self._times[at], self._times[at + 1]
            flights = (row + _FLYING_AT) // 2
            flying = any(self._flights[flights : flights + WORKERS])
            until = max(first, second, now) if flying else max(first, second)
            if spare_until < 0 or until < spare_until:
                spare, spare_until = row, until
        self._table[spare : spare + ROW] = place.digest + bytes(ROW - 16)
        place.row = spare
        return (spare + _STATE_AT) // 8

    def _land(self, at: int) -> None:
        """One call less in flight in this worker's column of the row whose times stand at `at`."""
        column = at * 4 + _FLIGHTS_OFF + self._column
        if self._flights[column]:
            self._flights[column] -= 1


class _Place:
    """Where a key lives in the table, and the locks of its bucket. `row` is where it was seen last."""

    __slots__ = ("bucket", "digest", "lock", "row", "unlock")

    def __init__(self, digest: bytes, bucket: int) -> None:
        self.digest, self.bucket, self.row = digest, bucket, bucket
        self.lock, self.unlock = _locks(bucket, WAYS * ROW)


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
