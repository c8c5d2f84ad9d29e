"""Finding one person of a population without making the others: the id says which household to live through again."""

import orjson

from ..calendars import day_of
from ..errors import SpecError
from ..generator import Shard, Simulation, shared_resources
from ..households import SLOTS
from ..person import population_tag
from ..population import PopulationSpec
from .page import render
from .reading import read_person


def person_page(spec: PopulationSpec, patient: str | None) -> tuple[str, str]:
    """(Patient id, HTML) of a person of a population; without an id, of the one with the most recorded.

    Raises SpecError when the id is not one of this population's.
    """
    simulation = Simulation(spec)
    if patient is None:
        batches = [batch for shard in _first(simulation) for batch in simulation.batches(shard)]
        batch = max(batches, key=lambda made: (len(made.resources), made.label))
    else:
        found = [made for made in simulation.batches(_household(spec, patient)) if made.label == patient]
        if not found:
            raise SpecError(f"nobody in this population has the id {patient!r}")
        batch = found[0]
    places = {}
    for kind, name, content in shared_resources(spec.with_(changes_since=None)):
        if kind == "Organization":
            places[f"Organization/{name}"] = str(orjson.loads(content)["name"])
    return batch.label, render(read_person(batch.resources, places), day_of(spec.as_of))


def _first(simulation: Simulation) -> list[Shard]:
    return [next(simulation.shards(64))]


def _household(spec: PopulationSpec, patient: str) -> Shard:
    tag, _, number = patient.partition("-")
    try:
        household = int(number, 16) // SLOTS
    except ValueError:
        household = -1
    if tag != population_tag(spec.seed) or household < 0:
        raise SpecError(f"{patient!r} is no Patient id of a population with seed {spec.seed}")
    return Shard(household, 1, 0, SLOTS)
