"""Living on appends: what was written stays, except for what has come to an end or changed its state."""

import json
from pathlib import Path

from synthetic_data import PopulationSpec, generate
from synthetic_data.cli import main

SPEC = PopulationSpec(size=250, seed=21, region=("Gilan",))
# A prescription runs out, a diagnosis resolves or stays, an insurance ends, a referral is over, somebody is discharged, moves, has a
# child or dies. Nothing else of what was written changes, not even then.
MAY_CHANGE = {
    "MedicationRequest": {"status"}, "ServiceRequest": {"status"}, "Consent": {"status"}, "Goal": {"lifecycleStatus"},
    "CarePlan": {"status", "period"}, "Coverage": {"status", "period"},
    "Condition": {"clinicalStatus", "abatementDateTime", "category"},
    "Encounter": {"status", "period", "hospitalization", "diagnosis", "reasonCode", "reasonReference"},
    "Patient": {"active", "deceasedDateTime", "address", "telecom", "managingOrganization", "link", "maritalStatus"},
}  # fmt: skip


def _people(spec: PopulationSpec) -> dict[tuple[str, str], bytes]:
    return {
        (kind, name): content
        for batch in generate(spec)
        if batch.label != "infrastructure"
        for kind, name, content in batch.resources
    }


def test_living_on_appends_and_changes_only_states() -> None:
    before, after = _people(SPEC), _people(SPEC.with_(evolve_months=9))
    assert set(before) <= set(after)
    for (kind, name), content in before.items():
        if after[kind, name] != content:
            old, new = json.loads(content), json.loads(after[kind, name])
            changed = {field for field in old | new if old.get(field) != new.get(field)}
            assert changed <= MAY_CHANGE.get(kind, set()), (kind, name, changed)
    assert len(after) > len(before) * 1.05


def test_what_is_new_since_then_is_exactly_the_difference() -> None:
    before, after = _people(SPEC.with_(evolve_months=2)), _people(SPEC.with_(evolve_months=5))
    changes = _people(SPEC.with_(evolve_months=5, changes_since=2))
    assert changes == {key: content for key, content in after.items() if before.get(key) != content}


def test_children_are_born_and_people_die_while_a_population_lives_on() -> None:
    spec = SPEC.with_(size=1500, stories=())
    before, after = _people(spec), _people(spec.with_(evolve_months=12))
    born = [json.loads(content) for key, content in after.items() if key[0] == "Patient" and key not in before]
    died = [
        name for (kind, name), content in after.items()
        if kind == "Patient" and b"deceasedDateTime" in content and b"deceasedDateTime" not in before.get((kind, name), b"deceasedDateTime")
    ]  # fmt: skip
    # 13 births and 5 deaths a year per 1,000 are expected (UN WPP 2024); four standard deviations of a Poisson count are allowed.
    assert 4 <= len(born) <= 38 and all(child["birthDate"] > "2026-09-23" for child in born)
    assert 1 <= len(died) <= 20


def _run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def test_the_commands_evolve_and_extend_continue_a_directory(tmp_path: Path) -> None:
    base = ("--patients", "60", "--seed", "5", "--region", "Qom", "--quiet")
    assert _run(*base, "--out", tmp_path / "base") == 0
    assert _run("evolve", tmp_path / "base", "--months", "3", "--out", tmp_path / "later", "--quiet") == 0
    assert (
        _run("evolve", tmp_path / "later", "--months", "3", "--out", tmp_path / "latest", "--quiet", "--jobs", "2") == 0
    )
    assert _run("extend", tmp_path / "base", "--patients", "15", "--out", tmp_path / "more", "--quiet") == 0
    for name in ("later", "latest", "more"):
        assert _run("verify", tmp_path / name) == 0
    assert json.loads((tmp_path / "latest" / "manifest.json").read_bytes())["spec"]["changes_since"] == 3
    assert len((tmp_path / "more" / "Patient.ndjson").read_bytes().splitlines()) == 15


def test_evolving_nothing_is_one_clear_line(tmp_path: Path) -> None:
    assert _run("evolve", tmp_path, "--months", "3", "--out", tmp_path / "x") == 3
    assert _run("extend", tmp_path / "no", "--patients", "3", "--out", tmp_path / "x") == 3
