"""Keys of this installation, derived from one random master key by purpose.

Processes that share a database must share the master key too (the same data folder, or a copy of its `keys/master`).
"""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from portal.kernel.keyfile import LENGTH, read_or_create


class Keyring:
    """Derives independent keys from one master key (HMAC-SHA-256 as a pseudo-random function)."""

    def __init__(self, master: bytes) -> None:
        if len(master) < LENGTH:
            raise ValueError(f"the master key must have at least {LENGTH} bytes")
        self._master = master

    def derive(self, purpose: str) -> bytes:
        """32 bytes that are the same for the same purpose, and tell nothing about any other."""
        return hmac.new(self._master, purpose.encode(), hashlib.sha256).digest()


def load_keyring(folder: Path) -> Keyring:
    """The keyring whose master key lies in `folder`/master; made on first use."""
    return Keyring(read_or_create(folder / "master"))
