"""The passage's three hot calls against a bare Litestar JSON endpoint of the same server, in the same run.

    python -m tests.benchmarks.passage

The baseline is /healthz, a Litestar handler that returns a small dict. Limits of the demo App are set so high that none is met.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import tempfile
from typing import Any
from urllib.parse import urlencode

import httpx

from tests.benchmarks.harness import Case, best, server, table

FORM = {"content-type": "application/x-www-form-urlencoded"}


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def gozar(environ: dict[str, str], *arguments: str) -> Any:
    """Output of a `gozar` command as JSON."""
    command = [sys.executable, "-m", "portal.cli", *arguments, "--json"]
    return json.loads(subprocess.run(command, env={**os.environ, **environ}, check=True, capture_output=True).stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        environ = {"GOZAR_DATA_DIR": folder, "GOZAR_PUBLIC_URL": url}
        command = [sys.executable, "-m", "portal.cli", "serve", "--port", str(port)]
        with server(command, f"{url}/healthz", environ) as process:
            app = gozar(environ, "demo-app", "--rate-limit", "1000000/second", "--quota", "1000000000")
            basic = base64.b64encode(f"{app['client_id']}:{app['client_secret']}".encode()).decode()
            form = urlencode({"grant_type": "client_credentials"}).encode()
            answer = httpx.post(app["token_url"], content=form, headers={**FORM, "authorization": f"Basic {basic}"})
            bearer = {"authorization": f"Bearer {answer.json()['access_token']}"}
            base = app["fhir_base_url"]
            found = httpx.get(f"{base}/Patient?_count=1", headers=bearer).json()["entry"][0]["resource"]["id"]
            cases = [
                Case("bare Litestar JSON endpoint", f"{url}/healthz"),
                Case(
                    "token endpoint (client_credentials)",
                    app["token_url"],
                    {**FORM, "authorization": f"Basic {basic}"},
                    form,
                ),
                Case("gateway + read by id", f"{base}/Patient/{found}", bearer),
                Case("gateway + search, page of 20", f"{base}/Observation?patient={found}&_count=20", bearer),
            ]
            print(table(best(cases, process), cases[0].name))


if __name__ == "__main__":
    main()
