"""Whatever stops a run, nothing looks whole that is not, one line says what happened, and the same command goes on to the same bytes."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import psutil
import pytest

from synthetic_data.cli import main
from synthetic_data.output import directory as directory_module

PEOPLE = ("--patients", "200", "--seed", "8", "--region", "Qom", "--quiet")


def _command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "synthetic_data", *PEOPLE, "--out", str(out), *more]


def _digests(directory: Path) -> dict[str, str]:
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """The bytes of a run that nothing disturbed, by format."""
    made: dict[str, dict[str, str]] = {}

    def find(form: str) -> dict[str, str]:
        if form not in made:
            out = tmp_path_factory.mktemp(form)
            assert main([*PEOPLE, "--out", str(out), "--format", form]) == 0
            made[form] = _digests(out)
        return made[form]

    return find


def _begun(process: subprocess.Popen[str], out: Path) -> None:
    """Wait until the run has written its first people."""
    for _ in range(6000):
        assert process.poll() is None, "the run ended before it could be disturbed"
        try:
            if (json.loads((out / ".progress.json").read_bytes())["done"] or {}).get("seen"):
                return
        except (OSError, ValueError):
            pass
        time.sleep(0.005)
    raise AssertionError("the run did not begin")


@pytest.mark.parametrize(("form", "jobs"), [("ndjson", "1"), ("ndjson", "2"), ("bundle", "2")])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(
    form: str, jobs: str, tmp_path: Path, whole: Callable[[str], dict[str, str]]
) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(_command(out, "--format", form, "--jobs", jobs), text=True) as process:
        _begun(process, out)
        process.send_signal(signal.SIGKILL)
    assert not (out / "manifest.json").exists()
    assert main(["verify", str(out)]) == 3
    other = "2" if jobs == "1" else "1"
    assert main([*PEOPLE, "--out", str(out), "--format", form, "--jobs", other]) == 0
    assert _digests(out) == whole(form)


def test_a_killed_worker_ends_the_run_with_one_line(tmp_path: Path, whole: Callable[[str], dict[str, str]]) -> None:
    out = tmp_path / "out"
    command = _command(out, "--jobs", "2")
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        _begun(process, out)
        psutil.Process(process.pid).children()[0].kill()
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 4
    assert error.startswith("error: a worker process was killed (SIGKILL") and error.count("\n") == 1
    assert not (out / "manifest.json").exists()
    assert main([*PEOPLE, "--out", str(out)]) == 0
    assert _digests(out) == whole("ndjson")


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_one_line_and_no_worker_stays(sent: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen(_command(out, "--jobs", "2"), stderr=subprocess.PIPE, text=True) as process:
        _begun(process, out)
        workers = psutil.Process(process.pid).children()
        process.send_signal(sent)
        error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert error.startswith("error: interrupted") and error.count("\n") == 1
    assert len(workers) == 2 and not any(worker.is_running() for worker in workers)


@pytest.mark.parametrize(("form", "jobs"), [("ndjson", "1"), ("ndjson", "2"), ("bundle", "2"), ("parquet", "1")])
def test_a_file_that_may_not_grow_is_one_line_and_the_run_can_go_on(
    form: str, jobs: str, tmp_path: Path, whole: Callable[[str], dict[str, str]]
) -> None:
    out = tmp_path / "out"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))

    made = subprocess.run(
        _command(out, "--format", form, "--jobs", jobs), preexec_fn=limit, capture_output=True, text=True, check=False
    )
    assert made.returncode == 3
    assert made.stderr.startswith("error: cannot write to") and "permitted size" in made.stderr
    assert made.stderr.count("\n") == 1
    assert not (out / "manifest.json").exists()
    assert main([*PEOPLE, "--out", str(out), "--format", form]) == 0
    assert _digests(out) == whole(form)


def test_two_runs_do_not_write_in_one_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(directory_module, "_PATIENCE", 0.1)
    handle = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert main([*PEOPLE, "--out", str(tmp_path)]) == 3
    finally:
        os.close(handle)
    assert "is being written by another process" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_run_killed_while_files_got_their_names_is_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole: Callable[[str], dict[str, str]]
) -> None:
    write = directory_module.write_atomically

    def stop(path: Path, content: bytes, durable: bool = True) -> None:
        if path.name == "manifest.json":
            raise KeyboardInterrupt
        write(path, content, durable)

    with monkeypatch.context() as patched:
        patched.setattr(directory_module, "write_atomically", stop)
        assert main([*PEOPLE, "--out", str(tmp_path)]) == 130
    assert main(["verify", str(tmp_path)]) == 3
    assert main([*PEOPLE, "--out", str(tmp_path)]) == 0
    assert _digests(tmp_path) == whole("ndjson")


def test_a_whole_population_is_never_taken_for_an_unfinished_one(tmp_path: Path) -> None:
    assert main([*PEOPLE, "--patients", "5", "--out", str(tmp_path)]) == 0
    before = _digests(tmp_path)
    (tmp_path / ".progress.json").write_text('{"fingerprint": {}, "files": {}, "placed": 0, "done": null}')
    assert main([*PEOPLE, "--patients", "5", "--out", str(tmp_path)]) == 3
    assert {name: digest for name, digest in _digests(tmp_path).items() if name in before} == before


@pytest.mark.parametrize("name", ["package.json", "thesis.txt", "Patient.ndjson", "sub"])
def test_overwrite_replaces_a_population_and_nothing_else(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "sub":
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_text("mine")
    assert main([*PEOPLE, "--out", str(tmp_path), "--overwrite"]) == 3
    assert f"holds {name}, which is no part of a population" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_overwrite_replaces_a_population(tmp_path: Path) -> None:
    few = [*PEOPLE, "--patients", "5", "--out", str(tmp_path), "--overwrite"]
    assert main([*few, "--format", "bundle"]) == 0
    assert main(few) == 0
    assert not list(tmp_path.glob("????-*.json"))
    assert main(["verify", str(tmp_path)]) == 0


def test_a_reader_who_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    made = subprocess.run(
        [sys.executable, "-m", "synthetic_data", "stories"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (made.returncode, made.stderr) == (141, "")


def test_a_full_standard_output_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        made = subprocess.run(
            [sys.executable, "-m", "synthetic_data", "stories"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert made.returncode == 3 and made.stderr == "error: No space left on device\n"
