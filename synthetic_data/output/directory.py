"""An output directory that is never half-written while looking whole.

While a run lasts, every file carries the suffix `.partial` and `.progress.json` says how far all of them are
consistent. When all is written the files are renamed, and `manifest.json`, which alone marks a directory as whole,
comes last.
"""

import errno
import json
import os
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from ..errors import OutputError

MANIFEST = "manifest.json"
PROGRESS = ".progress.json"
PARTIAL = ".partial"
JOURNAL = ".placed.jsonl"


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
    }
    return OutputError(f"cannot write to {path}: {reasons.get(error.errno or 0, error.strerror or str(error))}")


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a small file in one step."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def place(path: Path, name: str, content: bytes) -> None:
    """Put a whole file into a directory, in one step."""
    try:
        temporary = path / (name + PARTIAL)
        temporary.write_bytes(content)
        temporary.replace(path / name)
    except OSError as error:
        raise explain(error, path) from error


class _Open:
    """A file being written: its handle, digest, lines and length."""

    def __init__(self, path: Path, length: int = 0, lines: int = 0) -> None:
        self.path, self.length, self.lines = path, length, lines
        self.digest = sha256()
        if length:
            self._replay(length)
        self.handle: BinaryIO = path.open("r+b" if length else "wb")
        self.handle.truncate(length)
        self.handle.seek(length)

    def _replay(self, length: int) -> None:
        with self.path.open("rb") as file:
            left = length
            while left:
                piece = file.read(min(left, 1 << 20))
                if not piece:
                    raise OutputError(f"{self.path.name} is shorter than its progress record; delete the directory")
                self.digest.update(piece)
                left -= len(piece)

    def append(self, content: bytes | memoryview, lines: int) -> None:
        self.handle.write(content)
        self.digest.update(content)
        self.length += len(content)
        self.lines += lines


class Directory:
    """Appends to named files and finishes with a manifest. Use as a context manager: leaving it on an error keeps
    progress."""

    def __init__(self, path: Path, fingerprint: dict[str, Any], overwrite: bool = False) -> None:
        self.path = path
        self._fingerprint = json.loads(json.dumps(fingerprint))  # as it will be read back
        self._files: dict[str, _Open] = {}
        self._placed: dict[str, tuple[int, int, str]] = {}  # whole files: bytes, resources, digest
        self._noted = 0  # how many of them are in the journal
        self.done: Any = None  # what `checkpoint` was last given by an earlier, interrupted run
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._open(overwrite)
        except OSError as error:
            raise explain(error, path) from error

    def _open(self, overwrite: bool) -> None:
        present = [entry for entry in self.path.iterdir() if entry.name not in (PROGRESS, JOURNAL)]
        record = self._record()
        if record is not None and record.get("fingerprint") == self._fingerprint and not overwrite:
            for entry in present:
                if entry.name.startswith(".part-"):
                    entry.unlink()
            self._resume(record)
        elif overwrite or not present:
            self._clear(present)
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
            self._files[name] = _Open(self.path / (name + PARTIAL), length, lines)
        if record["placed"]:
            rows = (self.path / JOURNAL).read_text(encoding="utf-8").splitlines()[: record["placed"]]
            self._placed = {name: (length, lines, digest) for name, length, lines, digest in map(json.loads, rows)}
            self._noted = len(rows)
            (self.path / JOURNAL).write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        self.done = record["done"]

    def placed(self, name: str, length: int, lines: int, digest: str) -> None:
        """Note a whole file that `place` has put here, perhaps in another process."""
        self._placed[name] = (length, lines, digest)

    def adopt(self, name: str, lines: int, digest: str) -> None:
        """Take over a finished `.partial` file that somebody else wrote here."""
        temporary = self.path / (name + PARTIAL)
        length = temporary.stat().st_size
        temporary.replace(self.path / name)
        self._placed[name] = (length, lines, digest)

    def _record(self) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / PROGRESS).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def _clear(self, present: list[Path]) -> None:
        """Remove what an earlier run of this package wrote; anything else is somebody's and stays."""
        for name in (MANIFEST, PROGRESS, JOURNAL):
            (self.path / name).unlink(missing_ok=True)
        for entry in present:
            if entry.is_file() and entry.suffix in (".ndjson", ".json", ".parquet", PARTIAL):
                entry.unlink(missing_ok=True)

    def append(self, name: str, content: bytes | memoryview, lines: int) -> None:
        """Add to a file, which is made on first use."""
        try:
            if name not in self._files:
                self._files[name] = _Open(self.path / (name + PARTIAL))
            self._files[name].append(content, lines)
        except OSError as error:
            raise explain(error, self.path) from error

    def checkpoint(self, done: Any) -> None:
        """Record that everything up to `done` is on disk."""
        try:
            for file in self._files.values():
                file.handle.flush()
            files = {name: (file.length, file.lines) for name, file in self._files.items()}
            self._note()
            record = {"fingerprint": self._fingerprint, "files": files, "placed": self._noted, "done": done}
            write_atomically(self.path / PROGRESS, json.dumps(record).encode())
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
                file.handle.flush()
                os.fsync(file.handle.fileno())
                file.handle.close()
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
        for file in self._files.values():
            try:
                file.handle.close()
            except OSError:  # the disk may be full; the progress record already says what is safe
                continue
