"""From a spec to a stream of resources: shared infrastructure first, then one batch per person, in member order."""

from collections.abc import Iterator
from typing import NamedTuple

from .fhir.fragments import Resource
from .fhir.infrastructure import infrastructure
from .households import Planner
from .life.simulate import Engine
from .person import Registrar
from .population import PopulationSpec

SHARD = 16  # households handed to a worker at once; the bytes do not depend on it


class Batch(NamedTuple):
    """What belongs together: `label` is "infrastructure" or a Patient id; each resource is (type, id, JSON bytes)."""

    label: str
    resources: list[Resource]


class Shard(NamedTuple):
    """A run of whole households, and how many of their members to leave out at the beginning and to keep after that."""

    household: int
    households: int
    skip: int
    keep: int


class Simulation:
    """Everything that is made once per population and worker: plans, registrar, compiled stories."""

    def __init__(self, spec: PopulationSpec) -> None:
        self.spec = spec
        self.engine = Engine(spec)
        self.planner = Planner(spec.seed, self.engine.as_of, spec.history_years, self.engine.until - 1)
        self.registrar = Registrar(spec, self.engine.window, self.engine.until)

    def shards(self, size: int = SHARD) -> Iterator[Shard]:
        """The shards that together hold persons spec.first..spec.size, in order."""
        before = household = 0
        while before < self.spec.size:
            people = sum(len(house.members) for house in self.planner.plan(household, size))
            skip = max(0, self.spec.first - before)
            keep = min(people, self.spec.size - before) - skip
            if keep > 0:
                yield Shard(household, size, skip, keep)
            before += people
            household += size

    def batches(self, shard: Shard) -> Iterator[Batch]:
        """One batch for each person of a shard."""
        families = self.registrar.identify(self.planner.plan(shard.household, shard.households))
        people = [(who, family) for family in families for who in family.people]
        for who, resources in self.engine.live(people[shard.skip : shard.skip + shard.keep]):
            yield Batch(who.code, resources)


def generate(spec: PopulationSpec) -> Iterator[Batch]:
    """Stream a population.

    The first batch, labelled "infrastructure", holds what people refer to: insurers, facilities, practitioners. Each
    later batch holds one person, everything they own, Patient first; references point into the batch itself, to
    infrastructure, or from a child to its mother, whose batch always comes earlier. Only one shard of households is
    in memory at a time.
    """
    yield Batch("infrastructure", list(infrastructure(spec)))
    simulation = Simulation(spec)
    for shard in simulation.shards():
        yield from simulation.batches(shard)
