"""The population looks like the country, by targets with stated tolerances; and the targets notice when it does not."""

from pathlib import Path

import pytest

from synthetic_data import PopulationSpec
from synthetic_data.cli import main
from synthetic_data.conditions.registry import stories
from synthetic_data.validation.detailed import regression
from synthetic_data.validation.report import judge, missed, render
from synthetic_data.validation.survey import Survey, survey
from synthetic_data.validation.targets import targets

SPEC = PopulationSpec(size=2_500, seed=101)


@pytest.fixture(scope="module")
def found() -> Survey:
    return survey(SPEC, invariants=False)


def test_every_gating_target_is_met(found: Survey) -> None:
    assert [target.name for target in missed(judge(found))] == []


def test_at_least_three_published_figures_are_held_out() -> None:
    assert sum(target.held_out for target in targets()) >= 3


def test_diagnosis_and_truth_differ_as_in_life(found: Survey) -> None:
    """Not everybody with a disease knows of it, and hardly anybody is diagnosed with what they do not have."""
    adults = [person for person in found.people if person.alive and person.age >= 18]
    hypertensive = [person for person in adults if "hypertension" in person.begun]
    known = sum("I10" in person.coded for person in hypertensive) / len(hypertensive)
    assert 0.5 < known < 0.8
    assert not any("I10" in person.coded for person in adults if "hypertension" not in person.begun)


def test_treatment_lowers_pressure_on_average(found: Survey) -> None:
    people = [
        person for person in found.people if person.alive and 45 <= person.age < 75 and "hypertension" in person.begun
    ]

    def mean(treated: bool) -> float:
        chosen = [person.latent["sbp"] for person in people if bool(person.taking & {"C09CA01", "C08CA01"}) == treated]
        return sum(chosen) / len(chosen)

    assert mean(True) < mean(False) - 5


@pytest.mark.parametrize("left_out", ["hypertension", "type_2_diabetes", "pregnancy"])
def test_a_population_without_a_common_story_misses_its_targets(left_out: str) -> None:
    rest = tuple(name for name in stories() if name != left_out)
    assert missed(judge(survey(SPEC.with_(size=400, stories=rest), invariants=False)))


def test_the_regression_is_right_on_a_known_line() -> None:
    slope, fit = regression([(x, 3.0 * x + 1) for x in range(10)])
    assert slope == pytest.approx(3) and fit == pytest.approx(1)
    assert regression([(1, 1), (1, 2)]) == (0.0, 0.0)


def test_the_report_shows_every_target(found: Survey) -> None:
    page = render(found, judge(found))
    assert all(target.name in page for target in targets())


def test_the_report_command_writes_the_page_and_fails_when_targets_are_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["report", "--patients", "40", "--seed", "2", "--out", str(tmp_path)])
    lines = capsys.readouterr().out.splitlines()
    assert code == int(any(line.startswith("MISSED") for line in lines))
    assert (tmp_path / "index.html").exists()
