"""The same spec gives the same bytes: on any number of workers, in any surroundings, however it was cut into pieces."""

import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from synthetic_data import Cohort, PopulationSpec, generate
from synthetic_data.cli import main

REQUEST = (
    "--patients", "70", "--seed", "17", "--history-years", "2", "--imperfection", "duplicate_patient=0.1",
    "--imperfection", "wrong_unit=0.2", "--region", "Gilan", "--region", "Yazd", "--quiet",
)  # fmt: skip


def _digests(directory: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


@pytest.mark.parametrize("form", ["ndjson", "bundle", "parquet"])
def test_the_number_of_workers_changes_no_byte(form: str, tmp_path: Path) -> None:
    for jobs in ("1", "2", "3", "5"):
        assert main([*REQUEST, "--format", form, "--jobs", jobs, "--out", str(tmp_path / jobs)]) == 0
    alone = _digests(tmp_path / "1")
    assert len(alone) > 5
    for jobs in ("2", "3", "5"):
        assert _digests(tmp_path / jobs) == alone


SURROUNDINGS = {
    "plain": {"PYTHONHASHSEED": "0"},
    "abroad": {"PYTHONHASHSEED": "4711", "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "LANG": "fa_IR"},
    "bare": {"TZ": "Asia/Tehran", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0", "PYTHONOPTIMIZE": "2"},
}


def test_the_surroundings_change_no_byte(tmp_path: Path) -> None:
    made = {}
    for name, environment in SURROUNDINGS.items():
        out = tmp_path / name
        folder = tmp_path / f"{name} cwd"
        folder.mkdir()
        subprocess.run(
            [sys.executable, "-m", "synthetic_data", *REQUEST, "--out", str(out)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3]), **environment}, cwd=folder, check=True, capture_output=True,
        )  # fmt: skip
        made[name] = _digests(out)
    assert all(digests == made["plain"] for digests in made.values())


def test_a_continued_population_does_not_depend_on_workers(tmp_path: Path) -> None:
    assert main([*REQUEST, "--out", str(tmp_path / "base")]) == 0
    for command, amount in (("evolve", ("--months", "7")), ("extend", ("--patients", "33"))):
        for jobs in ("1", "3"):
            out = tmp_path / f"{command}{jobs}"
            assert main([command, str(tmp_path / "base"), *amount, "--jobs", jobs, "--out", str(out), "--quiet"]) == 0
        assert _digests(tmp_path / f"{command}1") == _digests(tmp_path / f"{command}3")


def test_a_cohort_is_the_beginning_of_a_larger_one() -> None:
    spec = PopulationSpec(size=30, seed=2, cohort=Cohort("female", 40, 80, ("type_2_diabetes",)))
    small = list(generate(spec))
    assert list(generate(spec.with_(size=55)))[: len(small)] == small


def test_the_package_reads_no_clock_and_draws_no_unkeyed_number() -> None:
    forbidden = re.compile(
        r"\.today\(|\.now\(|time\.time\(|uuid[14]|import random\b|import secrets|default_rng|urandom"
    )
    root = Path(__file__).parents[3] / "synthetic_data"
    found = [path.name for path in root.rglob("*.py") if forbidden.search(path.read_text(encoding="utf-8"))]
    assert found == []
