"""NDJSON: one file per resource type, one resource per line, infrastructure first and then people in member order."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..generator import Batch, Shard, Simulation, shared_resources
from ..population import PopulationSpec
from .course import Course, no_collector
from .directory import PARTIAL, Directory, explain, write_at
from .manifest import Tally, count, describe
from .progress import Progress

_PIECE = 40  # people whose lines are joined before they are written: some ten megabytes

Lines = dict[str, bytes]


class Told(NamedTuple):
    """What came out of a shard: for each type its length in bytes and its lines, the people, and what they add to the tally."""

    sizes: dict[str, tuple[int, int]]
    people: int
    tally: dict[str, int]


def by_type(batches: Iterator[Batch], imperfect: bool, most: int | None = None) -> tuple[Told, Lines]:
    """The lines of each type's file, of the next `most` people or of all; `imperfect` as for `count`."""
    found: dict[str, list[bytes]] = {}
    tally = Tally()
    people = 0
    for batch in batches:
        people += 1
        tally.add(count(batch, imperfect))
        for kind, _, content in batch.resources:
            if kind in found:
                found[kind].append(content)
            else:
                found[kind] = [content]
        if people == most:
            break
    made = {}
    sizes = {}
    for kind, lines in found.items():
        lines.append(b"")  # a newline at the end, without another copy
        made[kind] = b"\n".join(lines)
        sizes[kind] = (len(made[kind]), len(lines) - 1)
    return Told(sizes, people, tally.counts), made


class Scribe:
    """The craft of NDJSON: the parent knows how long every file is, so workers write to their places in it."""

    def __init__(self, directory: Directory, imperfect: bool) -> None:
        self._directory, self._imperfect = directory, imperfect
        self._files: dict[str, int] = {}

    def make(self, batches: Iterator[Batch]) -> tuple[Told, Lines]:
        """The lines of a shard."""
        return by_type(batches, self._imperfect)

    def place(self, told: Told) -> dict[str, int]:
        """Where the lines of each type begin."""
        return {kind: self._directory.reserve(f"{kind}.ndjson", size) for kind, (size, _) in told.sizes.items()}

    def put(self, kept: Lines, place: dict[str, int]) -> None:
        """Write them there."""
        path = self._directory.path
        try:
            for kind, content in kept.items():
                if kind not in self._files:
                    self._files[kind] = os.open(path / f"{kind}.ndjson{PARTIAL}", os.O_WRONLY)
                write_at(self._files[kind], content, place[kind])
        except OSError as error:
            raise explain(error, path) from error


def _alone(directory: Directory, simulation: Simulation, course: Course) -> Iterator[tuple[Shard, int, dict[str, int]]]:
    with no_collector():
        for shard in course.shards(simulation):
            batches = simulation.batches(shard)
            people = 0
            tally = Tally()
            while True:
                told, lines = by_type(batches, bool(simulation.spec.imperfections), _PIECE)
                for kind, content in lines.items():
                    directory.append(f"{kind}.ndjson", content, told.sizes[kind][1])
                people += told.people
                tally.add(told.tally)
                if told.people < _PIECE:
                    break
            yield shard, people, tally.counts


def _together(
    directory: Directory, simulation: Simulation, course: Course, jobs: int
) -> Iterator[tuple[Shard, int, dict[str, int]]]:
    from .crew import SHARD, Crew  # with one worker, nothing of this is needed

    with Crew(simulation, Scribe(directory, bool(simulation.spec.imperfections)), jobs) as crew:
        _write_shared(directory, simulation.spec)  # while the workers are busy already
        for shard, told in crew.run(course.shards(simulation, SHARD, jobs)):
            for kind, (size, lines) in told.sizes.items():
                directory.absorb(f"{kind}.ndjson", size, lines)
            yield shard, told.people, told.tally


def write_ndjson(
    spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool = False
) -> dict[str, Any]:
    """Write a population; returns the manifest. A run that was interrupted goes on where it stopped."""
    manifest = describe(spec, "ndjson")
    with Directory(path, manifest, overwrite) as directory:
        course = Course(directory.done)
        simulation = Simulation(spec)
        if jobs == 1:
            _write_shared(directory, spec)
            run = _alone(directory, simulation, course)
        else:
            run = _together(directory, simulation, course, jobs)
        for told in run:
            course.advance(*told)
            directory.checkpoint(course.record())
            progress(course.seen, spec.size - spec.first)
        return directory.finish({**manifest, "people": course.people, **course.tally.told()})


def _write_shared(directory: Directory, spec: PopulationSpec) -> None:
    """The infrastructure comes first in every file; an earlier, interrupted run has written it."""
    if directory.done is None:
        found: dict[str, list[bytes]] = {}
        for kind, _, content in shared_resources(spec):
            found.setdefault(kind, []).append(content)
        for kind, lines in found.items():
            directory.append(f"{kind}.ndjson", b"\n".join([*lines, b""]), len(lines))
