"""A file between the hot path and the database, so that killing the process loses no record.

Each worker appends one line for each call with one `write(2)`: once it returns, the line is the kernel's and survives `kill -9` (not a
power cut; see `docs`). A flush closes the file, hands it over and starts the next; a file whose owner died is found at the next start
by its free lock and handed over likewise. The file's name is the batch id that keeps it from being counted twice.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".calls"


class Journal:
    """The journal of one worker in `folder`. Not thread-safe; made for one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1
        self._path: Path | None = None
        self._closed: dict[Path, int] = {}

    def append(self, line: bytes) -> None:
        """Write one line; raises OSError when the disk does not take it."""
        if self._descriptor < 0:
            self._open()
        os.write(self._descriptor, line)

    def _open(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{secrets.token_hex(12)}{SUFFIX}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._path = path

    def cut(self) -> None:
        """Close the current file, so that `ready` hands it over; nothing happens when it is empty."""
        if self._path is not None:
            self._closed[self._path] = self._descriptor
            self._descriptor, self._path = -1, None

    def ready(self) -> Iterator[tuple[str, bytes]]:
        """Closed files as (batch id, contents), oldest first. Their locks stay held until `done`."""
        for path in list(self._closed):
            yield path.stem, path.read_bytes()

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
