"""Token endpoint against npm's oidc-provider with its in-memory adapter, same work, same run, one core for each server.

Judged by CPU time: on a machine with other work the peer's crypto threads get a larger share of the core than one thread of ours.

Ours keeps Apps in a cache and writes every used assertion to SQLite before it answers; the peer keeps everything in memory.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from joserfc.jwk import ECKey

from tests.benchmarks.harness import Case, Figure, check, measure, server, table
from tests.factories.oauth import MadeApp, assertion, assertion_form, real_now
from tests.factories.postgres import free_port

FORM = {"content-type": "application/x-www-form-urlencoded"}
NODE = Path(__file__).parent.parent / "contracts" / "node"
ROUNDS, SECONDS = 5, 2.0
ASSERTIONS_A_ROUND = 5000
# Least ratios to the peer.
TARGETS = {"secret": 1.2, "ES384 assertion": 0.9}


def bodies(app: MadeApp, audience: str, count: int) -> list[bytes]:
    """`count` token requests, each with an assertion of its own."""
    forms = (
        assertion_form(assertion(app, "ES384", now=real_now(), aud=audience), scope="system/Patient.rs")
        for _ in range(count)
    )
    return ["&".join(f"{name}={value.replace(':', '%3A')}" for name, value in form.items()).encode() for form in forms]


def main() -> int:
    """Print the table; 1 when a target is missed."""
    if not (NODE / "node_modules").exists() or not shutil.which("wrk"):
        print("needs wrk, and npm's packages: npm ci --prefix tests/contracts/node")
        return 0
    ours, theirs = free_port(), free_port()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        told = folder / "told.json"
        command = [sys.executable, "-m", "tests.benchmarks._oauth_server", str(folder), str(ours), str(told)]
        process = stack.enter_context(server(command, f"http://127.0.0.1:{ours}/sandbox/oauth/jwks"))
        setting = json.loads(told.read_text())
        script = shutil.copy(Path(__file__).parent / "_oidc_provider.mjs", NODE / "node_modules" / "_bench.mjs")
        peer_command = ["node", script, str(theirs), json.dumps(setting)]
        peer = stack.enter_context(server(peer_command, f"http://127.0.0.1:{theirs}/jwks"))
        app = MadeApp(setting["keyClientId"], "", "", key=ECKey.import_key(setting["privateKey"]))
        basic = base64.b64encode(f"{setting['clientId']}:{setting['clientSecret']}".encode()).decode()
        headers = {**FORM, "authorization": f"Basic {basic}"}
        body = b"grant_type=client_credentials&scope=system%2FPatient.rs"
        places = {
            "ours": (f"http://127.0.0.1:{ours}/sandbox/oauth/token", process),
            "peer": (f"http://127.0.0.1:{theirs}/token", peer),
        }
        figures: dict[str, Figure] = {}
        for kind in TARGETS:
            for turn in range(ROUNDS):
                for name, (url, running) in places.items():
                    case = Case(f"{name}: {kind}", url, headers, body)
                    if kind != "secret":
                        made = bodies(app, url, ASSERTIONS_A_ROUND + 1)
                        case = replace(case, headers=FORM, body=made.pop(), bodies=made)
                    if turn == 0:
                        check(case)
                    figure = measure(case, running, seconds=SECONDS)
                    if case.name not in figures or figure.rate > figures[case.name].rate:
                        figures[case.name] = figure
    print(table(figures, "peer: secret"))
    ratios = {}
    for kind in TARGETS:
        ours_one, peer_one = figures[f"ours: {kind}"], figures[f"peer: {kind}"]
        ratios[kind] = peer_one.cpu / ours_one.cpu
        print(
            f"{kind}: {peer_one.cpu / ours_one.cpu:.2f} of the peer's requests for a second of CPU, "
            f"{ours_one.rate / peer_one.rate:.2f} of its requests a second (target {TARGETS[kind]})"
        )
    return int(any(ratio < TARGETS[kind] for kind, ratio in ratios.items()))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(f"{error}: {error.stderr!r}")
