"""The quickstart, run as it is written, in both languages, against a server started as it says; and what a restart keeps."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(data_dir: Path, port: int) -> Iterator[str]:
    """`gozar serve` as a process of its own; yields its address."""
    environ = {
        **os.environ,
        "GOZAR_DATA_DIR": str(data_dir),
        "GOZAR_SANDBOX_POPULATION": "12",
        "GOZAR_PRODUCTION_POPULATION": "8",
    }
    command = [sys.executable, "-m", "portal.cli", "serve", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with (
        (data_dir.parent / "serve.log").open("ab") as log,
        subprocess.Popen(command, env=environ, cwd=ROOT, stdout=log, stderr=log) as process,
    ):
        try:
            deadline = time.monotonic() + 180
            while True:
                try:
                    if httpx.get(f"{url}/readyz", timeout=5).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                assert process.poll() is None, (data_dir.parent / "serve.log").read_text()[-2000:]
                assert time.monotonic() < deadline, "the server did not come up"
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()
            process.wait(30)


def snippets(language: str) -> str:
    """The shell blocks of the quickstart after `make run`, as one script."""
    text = (ROOT / "docs" / language / "quickstart.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    assert blocks[0].strip() == "make run"
    return "\n".join(blocks[1:])


def run_quickstart(language: str, data_dir: Path, folder: Path) -> list[dict[str, object]]:
    """Run the snippets in `folder`; returns every JSON document they print."""
    folder.mkdir()
    # The snippets call .venv/bin/gozar and .venv/bin/python of the checkout.
    binaries = folder / ".venv" / "bin"
    binaries.mkdir(parents=True)
    for name, command in (
        ("python", f'exec "{sys.executable}" "$@"'),
        ("gozar", f'cd "{ROOT}" && exec "{sys.executable}" -m portal.cli "$@"'),
    ):
        (binaries / name).write_text(f"#!/bin/sh\n{command}\n")
        (binaries / name).chmod(0o755)
    environ = {**os.environ, "GOZAR_DATA_DIR": str(data_dir)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", snippets(language)], cwd=folder, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    decoder, position, found = json.JSONDecoder(), 0, []
    while position < len(done.stdout.rstrip()):
        document, position = decoder.raw_decode(done.stdout, position)
        found.append(document)
        while position < len(done.stdout) and done.stdout[position].isspace():
            position += 1
    return found


@pytest.fixture
def data_dir(seeded_installation: Path, tmp_path: Path) -> Path:
    shutil.copytree(seeded_installation, tmp_path / "data")
    return tmp_path / "data"


def test_the_quickstart_works_as_written_and_a_restart_loses_nothing(data_dir: Path, tmp_path: Path) -> None:
    port = free_port()
    with served(data_dir, port) as url:
        for language in ("fa", "en"):
            app, bundle = run_quickstart(language, data_dir, tmp_path / language)
            assert str(app["fhir_base_url"]).startswith(url)
            assert len(bundle["entry"]) == 5  # type: ignore[arg-type]
        token = json.loads((tmp_path / "en" / "token.json").read_text())["access_token"]
        headers = {"authorization": f"Bearer {token}"}
        patients = f"{url}/sandbox/fhir/R4/Patient"
        made = httpx.post(patients, json={"resourceType": "Patient", "gender": "male"}, headers=headers, timeout=30)
        assert made.status_code == 201
        total = httpx.get(f"{patients}?_summary=count", headers=headers, timeout=30).json()["total"]
    with served(data_dir, port):
        assert httpx.get(f"{patients}/{made.json()['id']}", headers=headers, timeout=30).status_code == 200
        assert httpx.get(f"{patients}?_summary=count", headers=headers, timeout=30).json()["total"] == total
