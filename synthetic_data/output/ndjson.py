"""NDJSON: one file per resource type, one resource per line, infrastructure first and then people in member order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..generator import Batch, Simulation, shared_resources
from ..population import PopulationSpec
from .directory import Directory
from .manifest import Tally, count, describe
from .pool import run
from .progress import Progress

_EVERY = 8  # shards between two checkpoints


class Written(NamedTuple):
    """A shard as lines: for each type (bytes, number of lines), how many people, and what they add to the tally."""

    lines: dict[str, tuple[bytes, int]]
    people: int
    tally: dict[str, int]


def by_type(batches: Iterator[Batch]) -> Written:
    """The lines of each type's file."""
    found: dict[str, list[bytes]] = {}
    tally = Tally()
    people = 0
    for batch in batches:
        people += 1
        tally.add(count(batch))
        for kind, _, content in batch.resources:
            try:
                found[kind].append(content)
            except KeyError:
                found[kind] = [content]
    return Written(
        {kind: (b"\n".join(lines) + b"\n", len(lines)) for kind, lines in found.items()}, people, tally.counts
    )


def write_ndjson(
    spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool = False
) -> dict[str, Any]:
    """Write a population; returns the manifest. A run that was interrupted goes on where it stopped."""
    manifest = describe(spec, "ndjson")
    with Directory(path, manifest, overwrite) as directory:
        done = directory.done or {"people": 0, "household": -1, "seen": 0, "tally": {}}
        if done["household"] < 0:
            for kind, lines in _shared(spec).items():
                directory.append(f"{kind}.ndjson", b"\n".join(lines) + b"\n", len(lines))
        tally = Tally(done["tally"])
        people, seen, household = done["people"], done["seen"], done["household"]
        shards = (shard for shard in Simulation(spec).shards() if shard.household > household)
        for number, (shard, result) in enumerate(run(spec, shards, by_type, jobs)):
            for kind, (content, lines_in_it) in result.lines.items():
                directory.append(f"{kind}.ndjson", content, lines_in_it)
            people, seen = people + result.people, seen + shard.keep
            tally.add(result.tally)
            if number % _EVERY == _EVERY - 1:
                directory.checkpoint(
                    {"people": people, "household": shard.household, "seen": seen, "tally": tally.counts}
                )
            progress(seen, spec.size - spec.first)
        return directory.finish({**manifest, "people": people, **tally.told()})


def _shared(spec: PopulationSpec) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for kind, _, content in shared_resources(spec):
        found.setdefault(kind, []).append(content)
    return found
