"""Random key material kept in a file that only its owner may read, made on first use."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

LENGTH = 32


class UnusableKeyFile(Exception):
    """The file does not hold a key of 32 bytes; the message names it."""


def read_or_create(path: Path) -> bytes:
    """The 32 bytes in `path`; made with mode 0600 (its folder 0700) when absent.

    Two processes that start at once agree: the file appears whole, by link, and the loser reads the winner's.
    """
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(secrets.token_bytes(LENGTH))
                out.flush()
                os.fsync(out.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(fresh, path)
        finally:
            fresh.unlink()
        key = path.read_bytes()
    if len(key) != LENGTH:
        raise UnusableKeyFile(f"{path} holds {len(key)} bytes where a key of {LENGTH} is expected")
    return key
