"""A Redis or Valkey server for the suite: the one named by GOZAR_TEST_REDIS_URL, or one started for the test."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.factories.postgres import free_port


def binary() -> str | None:
    """`redis-server` or `valkey-server`, or None where neither is installed."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def start(port: int) -> subprocess.Popen[bytes]:
    """A server without persistence on the loopback; returns once it accepts connections."""
    program = binary()
    if program is None:
        raise FileNotFoundError("neither redis-server nor valkey-server is installed")
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 0.2).close()
        except OSError:
            time.sleep(0.02)
        else:
            return process
    process.kill()
    raise TimeoutError("the Redis server did not come up")


@contextmanager
def server() -> Iterator[str]:
    """URL of an empty server."""
    given = os.environ.get("GOZAR_TEST_REDIS_URL")
    if given:
        yield given
        return
    port = free_port()
    process = start(port)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()
