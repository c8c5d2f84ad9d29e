"""All formats: the same bytes for any number of jobs, and `verify` accepts what was written and nothing that was changed."""

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synthetic_data.cli import main


def _write(directory: Path, form: str, *more: str) -> int:
    return main(
        [
            "--patients",
            "40",
            "--seed",
            "11",
            "--region",
            "Gilan",
            "--out",
            str(directory),
            "--quiet",
            "--format",
            form,
            *more,
        ]
    )


def _content(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize("form", ["ndjson", "bundle", "parquet"])
def test_jobs_do_not_change_a_byte_and_verify_accepts(form: str, tmp_path: Path) -> None:
    assert _write(tmp_path / "one", form) == 0
    assert _write(tmp_path / "two", form, "--jobs", "2") == 0
    assert _content(tmp_path / "one") == _content(tmp_path / "two")
    assert main(["verify", str(tmp_path / "one")]) == 0


def test_bundles_hold_everything_they_refer_to(tmp_path: Path) -> None:
    assert _write(tmp_path, "bundle") == 0
    files = [path for path in tmp_path.glob("*.json") if path.name != "manifest.json"]
    assert len(files) == 40
    bundle = json.loads(files[0].read_bytes())
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert bundle["type"] == "transaction" and {"Patient", "Organization"} <= kinds


def test_tables_agree_with_the_resources(tmp_path: Path) -> None:
    assert _write(tmp_path / "tables", "parquet") == 0
    assert _write(tmp_path / "lines", "ndjson") == 0
    files = json.loads((tmp_path / "lines" / "manifest.json").read_bytes())["files"]
    for table, kind in (("patients", "Patient"), ("encounters", "Encounter"), ("conditions", "Condition")):
        assert (
            pq.read_metadata(tmp_path / "tables" / f"{table}.parquet").num_rows == files[f"{kind}.ndjson"]["resources"]
        )


def _edit(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def change(directory: Path) -> None:
        content = (directory / name).read_bytes()
        assert old in content
        (directory / name).write_bytes(content.replace(old, new, 1))

    return change


def _cut(directory: Path) -> None:
    lines = (directory / "Encounter.ndjson").read_bytes().splitlines(keepends=True)
    (directory / "Encounter.ndjson").write_bytes(b"".join(lines[1:]))


def _double(directory: Path) -> None:
    lines = (directory / "Patient.ndjson").read_bytes().splitlines(keepends=True)
    (directory / "Patient.ndjson").write_bytes(b"".join([*lines, lines[0]]))


def _stray(directory: Path) -> None:
    (directory / "Claim.ndjson.partial").write_bytes(b"{")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_edit("Patient.ndjson", b"HTEST", b"HTESX"), "does not say HTEST"),
        (_edit("Patient.ndjson", b'"value":"+9897', b'"value":"+9891'), "telephone number"),
        (_edit("Patient.ndjson", b'{"resourceType"', b'{"resourceTyp"'), "not a Patient"),
        (_edit("Patient.ndjson", b"{", b""), "not JSON"),
        (_cut, "leads nowhere"),
        (_double, "used twice"),
        (_stray, "unfinished"),
        (lambda directory: (directory / "Claim.ndjson").unlink(), "missing"),
        (_edit("Patient.ndjson", b"female", b"FEMALE"), "sha256 differs"),
    ],
)  # fmt: skip
def test_verify_notices_every_change(
    change: Callable[[Path], None], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _write(tmp_path, "ndjson") == 0
    change(tmp_path)
    assert main(["verify", str(tmp_path)]) == 1
    assert words in capsys.readouterr().err


def test_verify_of_something_else_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(tmp_path)]) == 3
    assert main(["verify", str(tmp_path / "nowhere")]) == 3
    assert main(["verify"]) == 2
    assert capsys.readouterr().err.count("\n") == 3


def test_an_interrupted_bundle_run_is_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _write(tmp_path / "whole", "bundle") == 0
    with monkeypatch.context() as patched:

        def stop(done: int, total: int) -> None:
            raise KeyboardInterrupt

        patched.setattr("synthetic_data.output.progress.silent", stop)
        assert _write(tmp_path / "torn", "bundle") == 130
    assert not (tmp_path / "torn" / "manifest.json").exists()
    assert _write(tmp_path / "torn", "bundle") == 0
    assert _content(tmp_path / "torn") == _content(tmp_path / "whole")


def test_an_unfinished_run_of_another_population_is_not_overwritten_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("synthetic_data.output.progress.silent", stop)
        assert _write(tmp_path, "ndjson") == 130
    assert _write(tmp_path, "ndjson", "--region", "Yazd") == 3
    assert _write(tmp_path, "ndjson", "--region", "Yazd", "--overwrite") == 0
    assert main(["verify", str(tmp_path)]) == 0


def test_verify_reads_the_texts_of_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _write(tmp_path, "parquet") == 0
    path = tmp_path / "patients.parquet"
    table = pq.read_table(path)
    column = table.schema.get_field_index("city")
    pq.write_table(table.set_column(column, "city", pa.array(["09121234567"] * table.num_rows)), path)
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    manifest["files"]["patients.parquet"]["sha256"] = sha256(path.read_bytes()).hexdigest()
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert main(["verify", str(tmp_path)]) == 1
    assert "column city: a telephone number" in capsys.readouterr().err
