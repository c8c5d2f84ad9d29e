"""The page of one person: made without the others, right to left, nothing loaded from elsewhere, nothing unescaped."""

import json
import re
from pathlib import Path

import pytest

from synthetic_data import PopulationSpec, SpecError, generate
from synthetic_data.calendars import day_of
from synthetic_data.cli import main
from synthetic_data.explorer.page import render
from synthetic_data.explorer.person import person_page
from synthetic_data.explorer.reading import read_person

SPEC = PopulationSpec(size=60, seed=14, region=("Qom",))


def test_the_page_names_the_person_and_their_problems() -> None:
    batch = max(list(generate(SPEC))[1:], key=lambda made: len(made.resources))
    name, page = person_page(SPEC, batch.label)
    assert name == batch.label
    patient = json.loads(batch.resources[0][2])
    assert patient["name"][0]["text"] in page and 'dir="rtl"' in page
    for kind, _, content in batch.resources:
        if kind == "Condition":
            assert json.loads(content)["code"]["text"] in page


def test_nothing_is_loaded_from_elsewhere() -> None:
    _, page = person_page(SPEC, None)
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)


def test_texts_are_escaped() -> None:
    batch = next(made for made in generate(SPEC) if made.label != "infrastructure")
    patient = json.loads(batch.resources[0][2])
    patient["name"][0]["text"] = "<script>alert(1)</script>"
    story = read_person([("Patient", batch.label, json.dumps(patient).encode())], {})
    assert "<script>" not in render(story, day_of(SPEC.as_of))


@pytest.mark.parametrize("wrong", ["nobody", "zzzz-0", "", "x-y-z"])
def test_an_unknown_id_is_refused(wrong: str) -> None:
    with pytest.raises(SpecError):
        person_page(SPEC, wrong)


def test_the_command_writes_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--patients", "20", "--region", "Qom", "--quiet", "--out", str(tmp_path / "p")]) == 0
    assert main(["explore", str(tmp_path / "p"), "--out", str(tmp_path / "page" / "one.html")]) == 0
    assert (tmp_path / "page" / "one.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert main(["explore", str(tmp_path / "p"), "--patient", "nobody", "--out", str(tmp_path / "two.html")]) == 2
    assert main(["explore", str(tmp_path / "none"), "--out", str(tmp_path / "two.html")]) == 3
    assert not (tmp_path / "two.html").exists()
    assert capsys.readouterr().err.count("\n") == 2
