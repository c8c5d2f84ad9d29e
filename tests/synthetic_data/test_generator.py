"""The stream: same spec, same bytes; infrastructure first; extension appends."""

import pytest

from synthetic_data import Batch, PopulationSpec, SpecError, generate
from synthetic_data.generator import Simulation


def test_infrastructure_comes_first_and_people_are_as_many_as_asked() -> None:
    batches = list(generate(PopulationSpec(size=37)))
    assert batches[0].label == "infrastructure"
    assert len(batches) == 38
    assert all(batch.resources[0][:2] == ("Patient", batch.label) for batch in batches[1:])


def test_the_same_spec_gives_the_same_bytes_and_another_seed_does_not() -> None:
    spec = PopulationSpec(size=25, seed=9)
    assert list(generate(spec)) == list(generate(spec))
    assert list(generate(spec))[1:] != list(generate(spec.with_(seed=10)))[1:]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_the_bytes_do_not_depend_on_how_households_are_batched(size: int) -> None:
    simulation = Simulation(PopulationSpec(size=60))

    def people(households: int) -> list[Batch]:
        return [batch for shard in simulation.shards(households) for batch in simulation.batches(shard)]

    assert people(size) == people(16)


def test_extending_a_population_adds_people_and_changes_none() -> None:
    small, large = PopulationSpec(size=30), PopulationSpec(size=55)
    before, after = list(generate(small)), list(generate(large))
    assert after[: len(before)] == before
    added = list(generate(large.with_(first=30)))
    assert added == [after[0], *after[31:]]


@pytest.mark.parametrize(
    "wrong",
    [{"size": 0}, {"size": 10**9}, {"first": 200}, {"region": ("Atlantis",)}, {"history_years": 0},
     {"surnames": "real"}, {"identifiers": "C"}, {"imperfections": {"typo": 0.1}}, {"evolve_months": -1}],
)  # fmt: skip
def test_an_impossible_spec_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SpecError):
        PopulationSpec(**wrong)  # type: ignore[arg-type]
