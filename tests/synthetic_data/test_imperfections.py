"""Imperfections: only on demand, labelled, countable, and no risk to anybody."""

import json
from collections import Counter
from pathlib import Path

import pytest

from synthetic_data import PopulationSpec, generate
from synthetic_data.cli import main
from synthetic_data.fhir import systems
from synthetic_data.population import IMPERFECTIONS
from synthetic_data.safety import scan

CLEAN = PopulationSpec(size=110, seed=8, region=("Yazd",))


def _resources(spec: PopulationSpec) -> dict[tuple[str, str], bytes]:
    return {
        (kind, name): content
        for batch in generate(spec)
        if batch.label != "infrastructure"
        for kind, name, content in batch.resources
    }


def _labels(content: bytes) -> list[str]:
    tags = json.loads(content)["meta"].get("tag", [])
    return [tag["code"].replace("-", "_") for tag in tags if tag["system"] == systems.IMPERFECTION]


@pytest.mark.parametrize("name", IMPERFECTIONS)
def test_each_imperfection_is_labelled_and_nothing_else_changes(name: str) -> None:
    clean, spoilt = _resources(CLEAN), _resources(CLEAN.with_(imperfections={name: 0.3}))
    changed = {key: content for key, content in spoilt.items() if clean.get(key) != content}
    assert changed, name
    assert all(_labels(content) == [name] for content in changed.values())
    assert set(clean) <= set(spoilt)
    assert not any(_labels(content) for key, content in spoilt.items() if key not in changed)


def test_asking_for_one_imperfection_does_not_move_another() -> None:
    one = _resources(CLEAN.with_(imperfections={"wrong_unit": 0.2}))
    both = _resources(CLEAN.with_(imperfections={"wrong_unit": 0.2, "late_result": 0.2}))
    wrong = {key for key, content in one.items() if _labels(content)}
    assert wrong and wrong == {key for key, content in both.items() if "wrong_unit" in _labels(content)}


def test_imperfect_data_is_as_safe_as_clean_data() -> None:
    spec = CLEAN.with_(size=60, imperfections=dict.fromkeys(IMPERFECTIONS, 0.5))
    assert not [found for content in _resources(spec).values() for found in scan(json.loads(content))]


def test_the_manifest_counts_imperfections(tmp_path: Path) -> None:
    arguments = [
        "--patients",
        "80",
        "--region",
        "Yazd",
        "--imperfection",
        "arabic_letters=0.4",
        "--imperfection",
        "late_result=0.2",
    ]
    assert main([*arguments, "--out", str(tmp_path), "--quiet"]) == 0
    counted = json.loads((tmp_path / "manifest.json").read_bytes())["imperfections"]
    labels = Counter(
        label
        for path in tmp_path.glob("*.ndjson")
        for line in path.read_bytes().splitlines()
        for label in _labels(line)
    )
    assert counted == dict(labels) and set(counted) == {"arabic_letters", "late_result"}
    assert main(["verify", str(tmp_path)]) == 0


def test_a_malformed_share_is_one_clear_line(tmp_path: Path) -> None:
    for text in ("typo=0.1", "wrong_unit", "wrong_unit=2", "wrong_unit=many"):
        assert main(["--imperfection", text, "--out", str(tmp_path / "x"), "--quiet"]) == 2


def test_the_list_of_faults_restores_the_clean_population(tmp_path: Path) -> None:
    """Putting back every listed original undoes every imperfection: the list leaves nothing out and makes nothing up."""
    shares = dict.fromkeys(IMPERFECTIONS, 0.3)
    arguments = [f"--imperfection={name}={share}" for name, share in shares.items()]
    base = ["--patients", "110", "--seed", "8", "--region", "Yazd", "--quiet", "--out", str(tmp_path / "people")]
    assert main([*base, *arguments]) == 0
    assert main(["faults", str(tmp_path / "people"), "--out", str(tmp_path / "faults.jsonl")]) == 0
    listed = [json.loads(line) for line in (tmp_path / "faults.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {kind for fault in listed for kind in fault["kind"].split("+")} == set(IMPERFECTIONS)
    restored = {key: json.loads(content) for key, content in _resources(CLEAN.with_(imperfections=shares)).items()}
    for fault in listed:
        kind, _, name = fault["resource"].partition("/")
        if fault["field"] == "id":
            del restored[kind, name]
        elif fault["original"] is None:
            del restored[kind, name][fault["field"]]
        else:
            restored[kind, name][fault["field"]] = fault["original"]
    for resource in restored.values():
        resource["meta"].pop("tag", None)
    assert restored == {key: json.loads(content) for key, content in _resources(CLEAN).items()}


def test_a_clean_population_has_no_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--patients", "5", "--quiet", "--out", str(tmp_path / "people")]) == 0
    assert main(["faults", str(tmp_path / "people"), "--out", str(tmp_path / "none.jsonl")]) == 0
    assert (tmp_path / "none.jsonl").read_bytes() == b"" and "0 imperfections" in capsys.readouterr().out
    assert main(["faults", str(tmp_path), "--out", str(tmp_path / "x")]) == 3
