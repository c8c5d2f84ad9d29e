"""Documents as a port: bytes under their SHA-256, in a folder that no web server serves."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
from pathlib import Path
from typing import Protocol


class Blobs(Protocol):
    """Keeps bytes by the hex SHA-256 of their content."""

    async def put(self, content: bytes) -> str:
        """Keep `content`; returns its digest."""
        ...

    async def get(self, digest: str) -> bytes | None:
        """What was kept under `digest`, or None."""
        ...


class MemoryBlobs:
    """The twin for tests."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.kept[digest] = content
        return digest

    async def get(self, digest: str) -> bytes | None:
        return self.kept.get(digest)


class FolderBlobs:
    """One file for each content, readable by its owner only; written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    async def put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        await asyncio.to_thread(self._write, self._path(digest), content)
        return digest

    def _write(self, path: Path, content: bytes) -> None:
        if path.exists():
            return
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        fresh.replace(path)

    async def get(self, digest: str) -> bytes | None:
        path = self._path(digest)
        return await asyncio.to_thread(path.read_bytes) if path.exists() else None
