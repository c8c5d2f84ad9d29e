"""The command: same bytes whatever the number of jobs, resumable, and one clear line on bad input."""

import json
from hashlib import sha256
from pathlib import Path

import pytest

from synthetic_data.cli import main


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
    monkeypatch.setattr("synthetic_data.output.ndjson._EVERY", 1)
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
        (["--jobs", "0"], 2, "jobs must be"),
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
