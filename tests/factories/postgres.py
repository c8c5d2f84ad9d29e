"""A PostgreSQL server for the suite: the one named by GOZAR_TEST_POSTGRES_URL, or one started in a temporary folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Server:
    """A server of our own; `url` is SQLAlchemy's (asyncpg), of an empty `postgres` database."""

    url: str
    _control: list[str]
    _options: str

    def start(self) -> None:
        _as_owner([*self._control, "-w", "-o", self._options, "start"])

    def stop(self) -> None:
        """As if it had crashed."""
        _as_owner([*self._control, "-m", "immediate", "-w", "stop"])


@contextlib.contextmanager
def own_server(*, durable: bool = False) -> Iterator[Server]:
    """A started server in a temporary folder, stopped and removed at the end; `durable` makes it wait for the disk."""
    folder = binaries()
    if folder is None:
        raise FileNotFoundError("PostgreSQL is not installed and GOZAR_TEST_POSTGRES_URL is not set")
    root = Path(tempfile.mkdtemp(prefix="gozar-pg-"))
    if os.geteuid() == 0:
        shutil.chown(root, "postgres")
    port = free_port()
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={root}"
    options += "" if durable else " -c fsync=off"
    server = Server(
        f"postgresql+asyncpg://gozar@127.0.0.1:{port}/postgres",
        [str(folder / "pg_ctl"), "-D", str(root / "data")],
        options,
    )
    try:
        _as_owner([str(folder / "initdb"), "-D", str(root / "data"), "-U", "gozar", "--auth=trust", "--no-sync"])
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def server() -> Iterator[str]:
    """URL of the server that GOZAR_TEST_POSTGRES_URL names, or of one of our own."""
    given = os.environ.get("GOZAR_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with own_server() as own:
        yield own.url
