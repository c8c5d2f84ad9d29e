"""Cohorts: everybody meets the conditions, in bounded time, and other diseases follow."""

import json
import time
from pathlib import Path

import pytest

from synthetic_data import Cohort, PopulationSpec, SpecError, generate
from synthetic_data.cli import main
from synthetic_data.generator import Simulation
from synthetic_data.world.places import find_province


def _patients(spec: PopulationSpec) -> list[dict[str, object]]:
    return [json.loads(batch.resources[0][2]) for batch in generate(spec) if batch.label != "infrastructure"]


def test_sex_age_and_province_hold_for_everybody() -> None:
    spec = PopulationSpec(size=200, region=("Gilan",), cohort=Cohort("female", 60, 75))
    people = _patients(spec)
    assert len(people) == 200
    for person in people:
        assert person["gender"] == "female"
        assert "1950-09-22" < str(person["birthDate"]) <= "2066-09-23"
        assert person["address"][0]["state"] == find_province("Gilan").name_fa  # type: ignore[index]


def test_a_rare_combination_takes_no_longer_than_a_common_one() -> None:
    rare = PopulationSpec(
        size=150, region=("IR-16",), cohort=Cohort("female", 60, 100, ("type_2_diabetes", "heart_failure", "asthma"))
    )
    started = time.process_time()
    people = _patients(rare)
    assert len(people) == 150
    assert time.process_time() - started < 10


def test_everybody_in_the_cohort_has_the_disease_and_its_companions_are_more_common() -> None:
    everybody = PopulationSpec(size=1500, seed=3)
    diabetic = everybody.with_(cohort=Cohort(min_age=45, max_age=60, stories=("type_2_diabetes",)))
    control = everybody.with_(cohort=Cohort(min_age=45, max_age=60))
    shares = []
    for spec in (control, diabetic):
        simulation = Simulation(spec)
        begun = hypertensive = people = 0
        for shard in simulation.shards():
            for life in simulation.engine.prepare(simulation.chosen(shard)):
                planned = {run.story.id for _, _, _, run in life.agenda}
                begun += "type_2_diabetes" in planned
                hypertensive += "hypertension" in planned
                people += 1
        shares.append((begun / people, hypertensive / people))
    assert shares[1][0] == 1.0 and shares[0][0] < 0.35
    assert shares[1][1] > shares[0][1] + 0.1


@pytest.mark.parametrize(
    "cohort",
    [Cohort(min_age=105, max_age=110), Cohort(max_age=2, stories=("heart_failure",)), Cohort(stories=("upper_respiratory_infection",)),
     Cohort(stories=("plague",))],
)  # fmt: skip
def test_a_cohort_that_nobody_can_meet_is_refused(cohort: Cohort) -> None:
    with pytest.raises(SpecError):
        Simulation(PopulationSpec(cohort=cohort))


@pytest.mark.parametrize(
    "wrong", [{"sex": "both"}, {"min_age": 50, "max_age": 40}, {"payer": "ACME"}, {"stories": ("a", "a")}]
)
def test_a_malformed_cohort_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        Cohort(**wrong)  # type: ignore[arg-type]


def test_the_command_reports_what_was_achieved(tmp_path: object, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "--patients",
        "40",
        "--region",
        "Gilan",
        "--sex",
        "female",
        "--min-age",
        "60",
        "--with",
        "type_2_diabetes",
        "--payer",
        "SSO",
    ]
    assert main([*asked, "--out", f"{tmp_path}/cohort", "--quiet"]) == 0
    assert "achieved: type_2_diabetes begun in 100%" in capsys.readouterr().out
    assert main([*asked, "--with", "plague", "--out", f"{tmp_path}/none", "--quiet"]) == 2


def test_diseases_that_exclude_each_other_are_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    both = ["--with", "type_1_diabetes", "--with", "type_2_diabetes"]
    assert main(["--patients", "3", *both, "--out", str(tmp_path / "x")]) == 2
    assert (
        capsys.readouterr().err
        == "error: nobody has both type_1_diabetes and type_2_diabetes: they exclude each other\n"
    )
