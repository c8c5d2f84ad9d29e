"""A PostgreSQL server for the suite: the one named by GOZAR_TEST_POSTGRES_URL, or one started in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def binaries() -> Path | None:
    """Folder of `initdb` and `pg_ctl`, or None where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    known = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    return known[0].parent if known else None


def _as_owner(command: list[str]) -> None:
    # PostgreSQL refuses to run as root.
    prefix = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def server() -> Iterator[str]:
    """SQLAlchemy URL (asyncpg) of a server with an empty `postgres` database; stopped at the end."""
    given = os.environ.get("GOZAR_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    folder = binaries()
    if folder is None:
        raise FileNotFoundError("PostgreSQL is not installed and GOZAR_TEST_POSTGRES_URL is not set")
    root = Path(tempfile.mkdtemp(prefix="gozar-pg-"))
    if os.geteuid() == 0:
        shutil.chown(root, "postgres")
    port = free_port()
    try:
        _as_owner([str(folder / "initdb"), "-D", str(root / "data"), "-U", "gozar", "--auth=trust", "--no-sync"])
        options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={root} -c fsync=off"
        _as_owner([str(folder / "pg_ctl"), "-D", str(root / "data"), "-w", "-o", options, "start"])
        try:
            yield f"postgresql+asyncpg://gozar@127.0.0.1:{port}/postgres"
        finally:
            _as_owner([str(folder / "pg_ctl"), "-D", str(root / "data"), "-m", "immediate", "-w", "stop"])
    finally:
        shutil.rmtree(root, ignore_errors=True)
