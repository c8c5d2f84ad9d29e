"""From a spec to a stream of resources: shared infrastructure first, then one batch per person, in member order."""

from collections.abc import Iterator
from typing import NamedTuple

from .cohorts import CohortPlanner
from .fhir.fragments import Resource
from .fhir.infrastructure import infrastructure
from .households import Household, Planner
from .imperfections import Spoiler
from .life.simulate import Engine
from .person import Family, Identity, Registrar
from .population import PopulationSpec

SHARD = 64  # households planned and prepared together; the bytes do not depend on it
_FIRST = 8  # households of the first shard, so that the first person comes soon
_HOUSEHOLD = 3  # people, about


class Batch(NamedTuple):
    """What belongs together: `label` is "infrastructure" or a Patient id; each resource is (type, id, JSON bytes)."""

    label: str
    resources: list[Resource]


class Shard(NamedTuple):
    """A run of whole households, and how many of their people to leave out at the beginning and to keep after that."""

    household: int
    households: int
    skip: int
    keep: int
    after: int = 0  # people in all households up to the end of it, those left out included


class Simulation:
    """Everything that is made once per population and worker: plans, registrar, compiled stories."""

    def __init__(self, spec: PopulationSpec) -> None:
        self.spec = spec
        self.engine = Engine(spec)
        if spec.cohort is None:
            self.planner: Planner | CohortPlanner = Planner(
                spec.seed, self.engine.as_of, spec.history_years, self.engine.until - 1
            )  # fmt: skip
        else:
            self.planner = CohortPlanner(spec, self.engine.as_of, self.engine.stories)
        self.registrar = Registrar(spec, self.engine.window, self.engine.until)
        self.spoiler = Spoiler(spec)
        self._base = None if spec.changes_since is None else Simulation(_as_it_was(spec, spec.changes_since))

    def _counted(self, household: Household) -> int:
        """How many of a household count towards the size: those born after as_of come on top."""
        return sum(member.birth <= self.engine.as_of for member in household.members)

    def shards(self, most: int = SHARD, workers: int = 1, household: int = 0, before: int = 0) -> Iterator[Shard]:
        """The shards that together hold persons spec.first..spec.size, in order.

        A shard has at most `most` households: few at first, and few at last when several workers should finish together.
        Begin at another household than the first by saying how many people live in those before it.
        """
        size = min(most, _FIRST)
        while before < self.spec.size:
            people = sum(self._counted(house) for house in self.planner.plan(household, size))
            skip = max(0, self.spec.first - before)
            keep = min(people, self.spec.size - before) - skip
            if keep > 0:
                yield Shard(household, size, skip, keep, before + people)
            before += people
            household += size
            size = min(most, size * 2)
            if workers > 1:
                left = (self.spec.size - before) // (_HOUSEHOLD * workers * 2)
                size = min(size, max(left, 4))

    def batches(self, shard: Shard) -> Iterator[Batch]:
        """One batch for each person of a shard."""
        made = self._living(shard)
        return made if self._base is None else self._changes(made, self._base._living(shard))

    def _living(self, shard: Shard) -> Iterator[Batch]:
        for who, resources in self.engine.live(self.chosen(shard)):
            yield Batch(who.code, self.spoiler.spoil(who.code, resources))

    def chosen(self, shard: Shard) -> list[tuple[Identity, Family]]:
        """The people of a shard who are kept; who was born after as_of is kept with the mother."""
        families = self.registrar.identify(self.planner.plan(shard.household, shard.households))
        chosen = []
        number = -shard.skip
        for family in families:
            kept = set()
            for who in family.people:
                if who.member.birth <= self.engine.as_of:
                    if 0 <= number < shard.keep:
                        kept.add(who.member.number)
                        chosen.append((who, family))
                    number += 1
                elif who.member.mother in kept:
                    chosen.append((who, family))
        return chosen

    def _changes(self, now: Iterator[Batch], then: Iterator[Batch]) -> Iterator[Batch]:
        known = {batch.label: set(batch.resources) for batch in then}
        for batch in now:
            before = known.get(batch.label, set())
            fresh = [resource for resource in batch.resources if resource not in before]
            if fresh:
                yield Batch(batch.label, fresh)


def _as_it_was(spec: PopulationSpec, months: int) -> PopulationSpec:
    return spec.with_(evolve_months=months, changes_since=None)


def shared_resources(spec: PopulationSpec) -> Iterator[Resource]:
    """The infrastructure of a population; nothing when only changes are asked for."""
    return iter(()) if spec.changes_since is not None else infrastructure(spec)


def generate(spec: PopulationSpec) -> Iterator[Batch]:
    """Stream a population.

    The first batch, labelled "infrastructure", holds what people refer to: insurers, facilities, practitioners, booking lists and
    free slots. Each later batch holds one person, everything they own, Patient first; references point into the batch itself or to
    the infrastructure. Only one shard of households is in memory at a time.
    """
    yield Batch("infrastructure", list(shared_resources(spec)))
    simulation = Simulation(spec)
    for shard in simulation.shards():
        yield from simulation.batches(shard)
