"""The generated reference names what the program has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys
sys.path[:0] = ["docs", "."]
import generated
print(json.dumps({language: {page: generated.content(page, language) for page in generated.PAGES} for language in ("fa", "en")}))
"""


def test_every_error_command_product_and_operation_has_its_entry_in_both_languages() -> None:
    output = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pages = json.loads(output.splitlines()[-1])
    for language in ("fa", "en"):
        errors = pages[language]["reference/errors.md"]
        for code in ("invalid", "not-found", "redirect-uri", "too-many-credentials", "unfit-password"):
            assert f"{{#{code}}}" in errors, (language, code)
        assert "`quota-exceeded`" in errors
        for command in ("gozar serve", "gozar demo-app", "gozar tenant reset", "gozar audit verify"):
            assert f"## {command}\n" in pages[language]["reference/commands.md"], (language, command)
        assert "`system/Observation.rs`" in pages[language]["reference/products.md"]
        assert "`/api/v1/companies/{company_id}/apps`" in pages[language]["reference/portal-api.md"]
        assert "`general-practitioner`" in pages[language]["reference/fhir.md"]
