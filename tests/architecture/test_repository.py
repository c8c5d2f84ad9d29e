"""Rules about the repository itself that no linter knows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:root|home/\w+|tmp/[\w.-]+)/")
ADDRESS = re.compile(r"https?://")


def tracked(*patterns: str) -> list[Path]:
    """Files in git; everything below the root when this is not a checkout."""
    listed = subprocess.run(["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).is_file()]


def settings_variables() -> set[str]:
    return set(re.findall(r'"(GOZAR_[A-Z_]+)"', (ROOT / "portal" / "settings.py").read_text(encoding="utf-8")))


def test_every_setting_is_documented_in_both_languages() -> None:
    variables = settings_variables()
    assert len(variables) > 10
    for language in ("fa", "en"):
        text = (ROOT / "docs" / language / "architecture.md").read_text(encoding="utf-8")
        assert {v for v in variables if f"`{v}`" not in text} == set(), language


def test_only_settings_reads_the_environment_of_the_portal() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in tracked("portal/**.py", "sandbox/**.py", "synthetic_data/**.py")
        if re.search(r"os\.environ|os\.getenv|environ\.get", path.read_text(encoding="utf-8"))
    }
    assert readers <= {"portal/settings.py"}


def test_dependencies_are_pinned_without_addresses() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9_.\[\],-]+==[\w.+!]+", line)] == []
    for lock in tracked("*package-lock.json"):
        packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
        assert [name for name, entry in packages.items() if "resolved" in entry] == [], lock.name


def test_no_file_names_a_path_of_a_machine() -> None:
    found = []
    for path in tracked("*.py", "*.toml", "*.yml", "*.yaml", "*.md", "*.html", "Makefile", ".ci/*"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if MACHINE_PATH.search(line) and path != Path(__file__):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_pages_and_styles_load_nothing_from_elsewhere() -> None:
    found = []
    for path in tracked("*.html", "*.css", "*.js"):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"""(?:src|href)=["']https?://|url\(\s*["']?https?://|@import""", line) and "{{" not in line:
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert found == []


def test_every_documentation_page_has_its_twin() -> None:
    script = "import runpy, json; print(json.dumps(runpy.run_path('docs/build.py')['missing_twins']()))"
    output = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(output) == []
