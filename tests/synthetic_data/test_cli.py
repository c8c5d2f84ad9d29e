"""The command: same bytes whatever the number of jobs, resumable, and one clear line on bad input."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from synthetic_data.cli import COMMANDS, main


def _content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def _write(directory: Path, *more: str) -> int:
    return main(["--patients", "60", "--seed", "4", "--region", "Qom", "--out", str(directory), "--quiet", *more])


def test_jobs_do_not_change_a_byte(tmp_path: Path) -> None:
    assert _write(tmp_path / "one") == 0
    assert _write(tmp_path / "two", "--jobs", "2") == 0
    assert _content(tmp_path / "one") == _content(tmp_path / "two")


def test_the_manifest_counts_and_hashes_every_file(tmp_path: Path) -> None:
    assert _write(tmp_path) == 0
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    files = {path for path in tmp_path.iterdir() if path.name != "manifest.json"}
    assert {path.name for path in files} == set(manifest["files"])
    for path in files:
        listed = manifest["files"][path.name]
        content = path.read_bytes()
        assert listed["sha256"] == sha256(content).hexdigest()
        assert listed["resources"] == content.count(b"\n")
    assert manifest["files"]["Patient.ndjson"]["resources"] == 60
    assert manifest["spec"]["seed"] == 4


def test_an_interrupted_run_looks_unfinished_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(tmp_path / "whole")
    seen = 0

    def stop(done: int, total: int) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("synthetic_data.output.progress.silent", stop)
        assert _write(tmp_path / "torn") == 130
    assert "interrupted" in capsys.readouterr().err
    names = {path.name for path in (tmp_path / "torn").iterdir()}
    assert "manifest.json" not in names
    assert all(name.endswith(".partial") or name == ".progress.json" for name in names)
    assert _write(tmp_path / "torn") == 0
    assert _content(tmp_path / "torn") == _content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--patients", "0"], 2, "--patients must be between 1 and 5,000,000, not 0"),
        (["--patients", "many"], 2, "not a whole number"),
        (["--region", "Atlantis"], 2, "unknown province"),
        (["--as-of", "yesterday"], 2, "not a date"),
        (["--jobs", "0"], 2, "--jobs must be between 1 and 256"),
        (["--patients", "-3"], 2, "--patients must be between"),
        (["--patients", "5000001"], 2, "--patients must be between"),
        (["--patients", "9" * 5000], 2, "is not a whole number"),
        (["--patients", "2.5"], 2, "'2.5' is not a whole number"),
        (["--seed", "x"], 2, "'x' is not a whole number"),
        (["--seed", str(2**63)], 2, "seed must fit in 64 bits"),
        (["--as-of", "2026-02-30"], 2, "not a date"),
        (["--as-of", "20260923"], 2, "not a date"),
        (["--as-of", "1700-01-01"], 2, "as_of must lie between"),
        (["--history-years", "0"], 2, "history_years must be"),
        (["--format", "xml"], 2, "invalid choice: 'xml'"),
        (["--stories", ""], 2, "unknown story ''"),
        (["--stories", "asthma,migrane"], 2, "such as migraine"),
        (["--region", ""], 2, "unknown province"),
        (["--imperfection", "wrong_unit"], 2, "NAME=SHARE"),
        (["--imperfection", "wrong_unit=nan"], 2, "between 0 and 1"),
        (["--imperfection", "typo=0.5"], 2, "unknown imperfection"),
        (["--identifiers", "B", "--patients", "100000"], 2, "enough for a population of 75,000"),
        (["--sex", "male", "--with", "asthma", "--patients", "3000000"], 2, "enough for a cohort of"),
        (["--min-age", "60", "--max-age", "50"], 2, "cohort ages"),
        (["--payer", "X"], 2, "unknown insurer"),
        (["--pat", "5"], 2, "unrecognized arguments"),
        (["--out", ""], 2, "the name is empty"),
        (["--stories", "plague"], 2, "unknown story 'plague'"),
        (["--nonsense"], 2, "unrecognized arguments"),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: list[str], code: int, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path / "out"), *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--out"),
        (["verfy", "x"], "unknown command 'verfy'"),
        (["evolve", "{}", "--months", "0", "--out", "x"], "--months must be between 1 and 120"),
        (["evolve", "{}", "--months", "121", "--out", "x"], "--months must be between 1 and 120"),
        (["extend", "{}", "--patients", "0", "--out", "x"], "--patients must be between 1 and 4,999,995"),
        (["explore", "{}", "--patient", "somebody", "--out", "x"], "no Patient id of a population"),
        (["report", "--patients", "0", "--out", "x"], "--patients must be between"),
        (["stories", "asthma"], "unrecognized arguments"),
    ],
)
def test_wrong_use_of_a_command_is_one_clear_line(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--patients", "5", "--region", "Qom", "--out", str(tmp_path / "base")]) == 0
    assert main([argument.format(tmp_path / "base") for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1
    assert not (tmp_path / "x").exists()


def test_help_of_every_command_names_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ([], ["verify"], ["evolve"], ["extend"], ["explore"], ["report"], ["stories"]):
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0
        told = capsys.readouterr().out
        assert told.startswith("usage: python -m synthetic_data")
        assert command or all(f"\n  {other} " in told for other in COMMANDS)


def test_a_progress_bar_is_drawn_only_on_a_terminal(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "synthetic_data", "--patients", "20", "--region", "Qom"]
    piped = subprocess.run([*command, "--out", str(tmp_path / "a")], capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    primary, secondary = os.openpty()
    try:
        subprocess.run(
            [*command, "--out", str(tmp_path / "b")], stderr=secondary, stdout=subprocess.DEVNULL, check=True
        )
        assert b"20/20 people" in os.read(primary, 10_000)
    finally:
        os.close(primary)
        os.close(secondary)


def test_help_and_wrong_options_do_not_wait_for_the_engine() -> None:
    code = "import sys, synthetic_data.cli as c; c.main(['--patients', '0', '--out', 'x']); sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_file_in_the_way_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("mine")
    assert _write(tmp_path / "file") == 3
    assert capsys.readouterr().err.startswith("error: cannot write to")


def test_somebody_elses_directory_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    assert _write(tmp_path) == 3
    assert _content(tmp_path) == {"thesis.txt": b"mine"}


def test_a_full_disk_is_one_clear_line_and_leaves_nothing_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(self: object, content: bytes, lines: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("synthetic_data.output.directory._Open.append", full)
    assert _write(tmp_path / "out") == 3
    assert "no space left" in capsys.readouterr().err
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_the_manifest_lists_what_the_population_was_made_from(tmp_path: Path) -> None:
    assert _write(tmp_path) == 0
    inputs = json.loads((tmp_path / "manifest.json").read_bytes())["inputs"]
    assert {
        "world/data/names.json",
        "world/data/demography.json",
        "catalogue/drugs.toml",
        "conditions/asthma.toml",
    } <= set(inputs)
    assert all(len(digest) == 64 for digest in inputs.values())
