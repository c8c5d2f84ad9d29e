"""How far a run has come, and where the next one goes on."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from ..generator import SHARD, Batch, Shard, Simulation
from .manifest import Tally

Told = TypeVar("Told", covariant=True)


class Craft(Protocol[Told]):
    """What a format does with a shard."""

    def make(self, batches: Iterator[Batch]) -> tuple[Told, Any]:
        """In a worker: what to tell the parent, and what to keep until its place is known."""

    def place(self, told: Any) -> Any:
        """In the parent, in shard order: where to put what was kept; None when there is nothing to put anywhere."""

    def put(self, kept: Any, place: Any) -> None:
        """In the worker: put it there."""


class Course:
    """What has been written of a population; `record` is what a checkpoint keeps of it."""

    def __init__(self, record: dict[str, Any] | None) -> None:
        made = record or {"people": 0, "seen": 0, "household": 0, "before": 0, "tally": {}}
        self.people: int = made["people"]
        self.seen: int = made["seen"]
        self._household: int = made["household"]
        self._before: int = made["before"]
        self.tally = Tally(made["tally"])

    def shards(self, simulation: Simulation, most: int = SHARD, workers: int = 1) -> Iterator[Shard]:
        """The shards still to be written; for the sizes see `Simulation.shards`."""
        return simulation.shards(most, workers, self._household, self._before)

    def advance(self, shard: Shard, people: int, tally: dict[str, int]) -> None:
        """A shard is in its place."""
        self.people += people
        self.seen += shard.keep
        self._household, self._before = shard.household + shard.households, shard.after
        self.tally.add(tally)

    def record(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "people": self.people, "seen": self.seen, "household": self._household, "before": self._before,
            "tally": self.tally.counts,
        }  # fmt: skip


@contextmanager
def no_collector() -> Iterator[None]:
    """Without Python's cycle collector, which would cost a sixth of the time: a life leaves no cycles behind."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def run(simulation: Simulation, course: Course, craft: Craft[Told], jobs: int) -> Iterator[tuple[Shard, Told]]:
    """(shard, what was told of it) in shard order, for a craft that has nothing to put anywhere later."""
    if jobs > 1:
        from .crew import SHARD, Crew  # with one worker, nothing of this is needed

        with Crew(simulation, craft, jobs) as crew:
            yield from crew.run(course.shards(simulation, SHARD, jobs))
        return
    with no_collector():
        for shard in course.shards(simulation):
            yield shard, craft.make(simulation.batches(shard))[0]
