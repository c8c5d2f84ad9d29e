"""Somebody else's hospital scenarios (PyPI sekmet-fhir) run against the exchange, as JSON and as XML."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.clients import Live
from tests.factories.postgres import free_port

# Not run: `messaging_adt_orders` and `lab_order_peer_fills` skip themselves (the exchange claims no FHIR messaging, and its
# laboratory works by the Workflows of the sandbox); `subscription_backport_roundtrip` asks for a topic of the suite's own server,
# `subscription_roundtrip` for a Subscription to a plain search, which the exchange refuses.
PASSING = {
    "adt_admit_transfer_discharge",
    "adt_merge_update",
    "appointment_book_cancel",
    "billing_claim",
    "bulk_export_group",
    "clinical_documentation",
    "conformance_smoke",
    "lab_order_to_result",
    "medication_order_dispense",
    "rad_order_imaging_report",
}


# The suite's own XML models are slow, so the other wire format is shown on the widest two.
WIDEST = {"conformance_smoke", "lab_order_to_result"}


@pytest.mark.parametrize(("wire", "scenarios"), [("json", PASSING), ("xml", WIDEST)])
def test_sekmet_scenarios_pass(live: Live, tmp_path: Path, wire: str, scenarios: set[str]) -> None:
    port = free_port()
    key = live.key_file(tmp_path)
    auth = {
        "type": "smart",
        "client_id": live.setting["keyClientId"],
        "private_key_path": str(key),
        "kid": live.setting["privateKey"]["kid"],
        "alg": "ES384",
        "scope": "system/*.cruds",
    }
    settings = {
        "base_url": f"http://127.0.0.1:{port}/fhir",
        "host": "127.0.0.1",
        "port": port,
        "data_dir": str(tmp_path / "data"),
        "peers": {"gozar": {"base_url": live.fhir, "auth": auth, "format": wire}},
    }
    (tmp_path / "settings.yaml").write_text(json.dumps(settings))
    command = [str(Path(sys.executable).parent / "sekmet"), "scenario", "run", *sorted(scenarios)]
    command += ["--peer", "gozar", "--serve", "--config", "settings.yaml", "--report-dir", "reports"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if "PASSED" not in line)[:4000]
    found = json.loads(next(tmp_path.glob("reports/*/results.json")).read_text())
    outcomes = {Path(run["file"]).stem: run["status"] for run in found}
    assert {name for name, status in outcomes.items() if status == "passed"} == scenarios
