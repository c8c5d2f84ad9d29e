"""A file between the hot path and the database, so that killing the process loses no record.

Each worker copies one line for each call into a file it has mapped: the page is the kernel's, so the line survives `kill -9` (not a
power cut; see `docs`), and no system call is paid, which could also wait for a disk that is busy with the database. A flush closes the
file, hands it over and starts the next; a file whose owner died is found at the next start by its free lock and handed over
likewise. The file's name is the batch id that keeps it from being counted twice.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".calls"
SIZE = 1 << 20
"""Bytes of a file, some 2,500 calls; reserved on the disk, so that a full disk is an error here and not a signal later."""


class Journal:
    """The journal of one worker in `folder`. Not thread-safe; made for one event loop."""

    def __init__(self, folder: Path, *, size: int = SIZE) -> None:
        self._folder, self._size = folder, size
        self._descriptor = -1
        self._path: Path | None = None
        self._map: mmap.mmap | None = None
        self._end = 0
        self._closed: dict[Path, int] = {}

    def append(self, line: bytes) -> None:
        """Note one line, which holds no NUL; raises OSError when the disk does not take it."""
        end = self._end + len(line)
        place = self._map
        if place is None or end > len(place):
            self.cut()
            place, end = self._open(len(line)), len(line)
        place[end - len(line) : end] = line
        self._end = end

    def _open(self, least: int) -> mmap.mmap:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{secrets.token_hex(12)}{SUFFIX}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.posix_fallocate(descriptor, 0, max(self._size, least))
            self._map = mmap.mmap(descriptor, max(self._size, least))
        except OSError:
            path.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        self._descriptor, self._path, self._end = descriptor, path, 0
        return self._map

    def cut(self) -> None:
        """Close the current file, so that `ready` hands it over; nothing happens when it is empty."""
        if self._path is not None and self._map is not None:
            self._map.close()
            self._closed[self._path] = self._descriptor
            self._descriptor, self._path, self._map, self._end = -1, None, None, 0

    def ready(self) -> Iterator[tuple[str, bytes]]:
        """Closed files as (batch id, contents), oldest first. Their locks stay held until `done`."""
        for path in list(self._closed):
            yield path.stem, path.read_bytes().rstrip(b"\0")

    def done(self, batch: str) -> None:
        """The batch is in the database: delete its file."""
        path = self._folder / f"{batch}{SUFFIX}"
        descriptor = self._closed.pop(path)
        path.unlink(missing_ok=True)
        os.close(descriptor)

    def adopt(self) -> int:
        """Take over files whose owner is gone; returns how many."""
        adopted = 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path in self._closed or path == self._path:
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            if not path.exists():  # its owner finished it between our open and our lock
                os.close(descriptor)
                continue
            self._closed[path] = descriptor
            adopted += 1
        return adopted

    def close(self) -> None:
        """Release every lock; files not `done` stay for the next start."""
        self.cut()
        for descriptor in self._closed.values():
            os.close(descriptor)
        self._closed.clear()
