"""An output directory that is never half-written while looking whole.

While a run lasts, every file carries the suffix `.partial` and `.progress.json` says how far all of them are
consistent. When all is written the files are renamed, and `manifest.json`, which alone marks a directory as whole,
comes last. One process writes in a directory at a time.
"""

import errno
import fcntl
import json
import os
import re
import time
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any

from ..errors import OutputError

MANIFEST = "manifest.json"
PROGRESS = ".progress.json"
PARTIAL = ".partial"
JOURNAL = ".placed.jsonl"
_NEW = ".new"
_OWN = (PROGRESS, JOURNAL, f".{PROGRESS}{_NEW}", f".{MANIFEST}{_NEW}")
_PLACED = re.compile(r"[a-z]{4}-[0-9a-f]+\.json")  # a person's Bundle
_PATIENCE = 3.0  # seconds to wait for the workers of a killed run, which still hold the lock
_BLOCK = 1 << 20


def explain(error: OSError, path: Path) -> OutputError:
    """An operating-system error as one clear line."""
    reasons = {
        errno.ENOSPC: "no space left on the device",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "permission denied",
        errno.EPERM: "permission denied",
        errno.EROFS: "the file system is read-only",
        errno.ENOTDIR: "a part of the path is not a directory",
        errno.EEXIST: "a file of that name is in the way",
        errno.EFBIG: "a file grew beyond the permitted size",
        errno.EISDIR: "a directory of that name is in the way",
    }
    return OutputError(f"cannot write to {path}: {reasons.get(error.errno or 0, error.strerror or str(error))}")


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Replace a small file in one step; a durable one also survives a power cut."""
    temporary = path.with_name(f".{path.name}{_NEW}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_at(handle: int, content: bytes, offset: int) -> None:
    """Write all of it to one place of an open file."""
    left = memoryview(content)
    while left:
        written = os.pwrite(handle, left, offset)
        left, offset = left[written:], offset + written


def place(path: Path, name: str, content: bytes) -> None:
    """Put a whole file into a directory, in one step."""
    temporary = path / (name + PARTIAL)
    try:
        temporary.write_bytes(content)
        temporary.replace(path / name)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise explain(error, path) from error


class _Open:
    """A file being written: its descriptor, its digest, its lines and length so far, and how much of it is promised."""

    def __init__(self, path: Path, length: int = 0, lines: int = 0) -> None:
        self.path, self.length, self.lines = path, 0, 0
        self.promised = length
        self.digest = sha256()
        self.handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if length:
                self.absorb(length, lines)
            os.ftruncate(self.handle, length)
        except BaseException:
            os.close(self.handle)
            raise

    def append(self, content: bytes, lines: int) -> None:
        write_at(self.handle, content, self.length)
        self.digest.update(content)
        self.length += len(content)
        self.lines += lines
        self.promised = self.length

    def absorb(self, length: int, lines: int) -> None:
        """Take account of what is in the file already."""
        block = memoryview(bytearray(min(length, _BLOCK)))
        end = self.length + length
        while self.length < end:
            read = os.preadv(self.handle, [block[: end - self.length]], self.length)
            if not read:
                raise OutputError(
                    f"{self.path.name} is shorter than its progress record says; pass --overwrite to begin again"
                )
            self.digest.update(block[:read])
            self.length += read
        self.lines += lines


class Directory:
    """Fills named files and finishes with a manifest. Use as a context manager: leaving it on an error keeps progress."""

    def __init__(self, path: Path, fingerprint: dict[str, Any], overwrite: bool = False) -> None:
        self.path = path
        self._fingerprint = json.loads(json.dumps(fingerprint))  # as it will be read back
        self._files: dict[str, _Open] = {}
        self._placed: dict[str, tuple[int, int, str]] = {}  # whole files: bytes, resources, digest
        self._noted = 0  # how many of them are in the journal
        self.done: Any = None  # what `checkpoint` was last given by an earlier, interrupted run
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(path)
            try:
                self._open(overwrite)
            except BaseException:
                self._close()
                raise
        except OSError as error:
            raise explain(error, path) from error

    def _open(self, overwrite: bool) -> None:
        present = sorted(entry.name for entry in self.path.iterdir() if entry.name not in _OWN)
        record = None if MANIFEST in present else self._record()  # with a manifest, a run was killed when all was done
        if record is not None and record.get("fingerprint") == self._fingerprint and not overwrite:
            self._resume(record)
        elif overwrite or not present:
            self._clear(present, record)
        elif record is not None:
            raise OutputError(
                f"{self.path} holds an unfinished run of another population: pass --overwrite to replace it"
            )
        else:
            raise OutputError(
                f"{self.path} is not empty: choose another directory, or pass --overwrite to replace a population"
            )
        if self.done is None:
            self.checkpoint(None)

    def _resume(self, record: dict[str, Any]) -> None:
        for name, (length, lines) in record["files"].items():
            partial = self.path / (name + PARTIAL)
            if not partial.exists() and (self.path / name).exists():
                (self.path / name).replace(partial)  # killed while the files were given their names
            self._files[name] = _Open(partial, length, lines)
        if record["placed"]:
            rows = (self.path / JOURNAL).read_text(encoding="utf-8").splitlines()[: record["placed"]]
            self._placed = {name: (length, lines, digest) for name, length, lines, digest in map(json.loads, rows)}
            self._noted = len(rows)
            (self.path / JOURNAL).write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        self.done = record["done"]

    def placed(self, name: str, length: int, lines: int, digest: str) -> None:
        """Note a whole file that `place` has put here, perhaps in another process."""
        self._placed[name] = (length, lines, digest)

    def adopt(self, name: str, lines: int) -> None:
        """Take over a finished `.partial` file that somebody else wrote here; it gets its name when all is finished."""
        file = _Open.__new__(_Open)
        file.path, file.length, file.lines, file.digest = self.path / (name + PARTIAL), 0, 0, sha256()
        file.handle = os.open(file.path, os.O_RDWR)
        self._files[name] = file
        file.absorb(file.path.stat().st_size, lines)

    def _record(self) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / PROGRESS).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return value if isinstance(value, dict) and {"files", "placed", "done"} <= value.keys() else None

    def _clear(self, present: list[str], record: dict[str, Any] | None) -> None:
        """Remove what an earlier run of this package wrote. Anything else is somebody's: then nothing is touched."""
        try:
            written = set(json.loads((self.path / MANIFEST).read_bytes())["files"]) | {MANIFEST}
        except (OSError, ValueError, KeyError, TypeError):
            written = set()
        if record is not None:
            written |= set(record["files"])
        foreign = [
            name
            for name in present
            if name.removesuffix(PARTIAL) not in written
            and not (record is not None and (_PLACED.fullmatch(name) or name.endswith(PARTIAL)))
        ]
        if foreign:
            raise OutputError(
                f"{self.path} holds {foreign[0]}, which is no part of a population: choose another directory"
            )
        for name in (MANIFEST, *_OWN, *present):
            (self.path / name).unlink(missing_ok=True)

    def append(self, name: str, content: bytes, lines: int) -> None:
        """Add to a file, which is made on first use."""
        try:
            self._file(name).append(content, lines)
        except OSError as error:
            raise explain(error, self.path) from error

    def reserve(self, name: str, length: int) -> int:
        """Promise a part of a file to somebody who will write it; returns where it begins."""
        try:
            file = self._file(name)
        except OSError as error:
            raise explain(error, self.path) from error
        offset = file.promised
        file.promised += length
        return offset

    def absorb(self, name: str, length: int, lines: int) -> None:
        """What was promised has been written; parts of a file must be absorbed in the order they were promised."""
        try:
            self._files[name].absorb(length, lines)
        except OSError as error:
            raise explain(error, self.path) from error

    def _file(self, name: str) -> _Open:
        if name not in self._files:
            self._files[name] = _Open(self.path / (name + PARTIAL))
        return self._files[name]

    def checkpoint(self, done: Any) -> None:
        """Record that everything up to `done` is in the files. It outlives the process; after a power cut, begin again."""
        try:
            files = {name: (file.length, file.lines) for name, file in self._files.items()}
            self._note()
            record = {"fingerprint": self._fingerprint, "files": files, "placed": self._noted, "done": done}
            write_atomically(self.path / PROGRESS, json.dumps(record).encode(), durable=False)
        except OSError as error:
            raise explain(error, self.path) from error

    def _note(self) -> None:
        """Append the files placed since the last time to the journal."""
        if len(self._placed) == self._noted:
            return
        fresh = list(self._placed.items())[self._noted :]
        with (self.path / JOURNAL).open("a", encoding="utf-8") as journal:
            journal.writelines(json.dumps([name, *told]) + "\n" for name, told in fresh)
        self._noted = len(self._placed)

    def finish(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Give the files their names and write the manifest, with counts and hashes; returns it."""
        try:
            listed = {
                name: {"resources": lines, "bytes": length, "sha256": digest}
                for name, (length, lines, digest) in self._placed.items()
            }
            for name, file in sorted(self._files.items()):
                os.fsync(file.handle)
                listed[name] = {"resources": file.lines, "bytes": file.length, "sha256": file.digest.hexdigest()}
            for name, file in self._files.items():
                file.path.replace(self.path / name)
            whole = {**manifest, "files": listed}
            content = json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=False).encode() + b"\n"
            write_atomically(self.path / MANIFEST, content)
            (self.path / PROGRESS).unlink(missing_ok=True)
            (self.path / JOURNAL).unlink(missing_ok=True)
        except OSError as error:
            raise explain(error, self.path) from error
        return whole

    def __enter__(self) -> "Directory":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for file in self._files.values():
            os.close(file.handle)
        os.close(self._lock)


def _locked(path: Path) -> int:
    """A descriptor of the directory that holds its lock; workers inherit it, so the lock lasts until the last of them has gone."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    patience = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > patience:
                os.close(handle)
                raise OutputError(f"{path} is being written by another process") from error
            time.sleep(0.05)
        except OSError:
            return handle  # a file system without locks
        else:
            return handle
