"""NDJSON: one file per resource type, one resource per line, infrastructure first and then people in member order."""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from ..fhir.infrastructure import infrastructure
from ..generator import Batch, Simulation
from ..population import PopulationSpec
from .directory import Directory
from .manifest import describe
from .pool import run
from .progress import Progress

Lines = dict[str, tuple[bytes, int]]
_EVERY = 8  # shards between two checkpoints


def by_type(batches: Iterator[Batch]) -> Lines:
    """The lines of each type's file: (bytes, number of lines)."""
    found: dict[str, list[bytes]] = {}
    for batch in batches:
        for kind, _, content in batch.resources:
            try:
                found[kind].append(content)
            except KeyError:
                found[kind] = [content]
    return {kind: (b"\n".join(lines) + b"\n", len(lines)) for kind, lines in found.items()}


def write_ndjson(
    spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool = False
) -> dict[str, Any]:
    """Write a population; returns the manifest. A run that was interrupted goes on where it stopped."""
    manifest = describe(spec, "ndjson")
    with Directory(path, manifest, overwrite) as directory:
        made = directory.done["people"] if directory.done else 0
        household = directory.done["household"] if directory.done else -1
        if household < 0:
            for kind, found in groupby(sorted(infrastructure(spec), key=lambda r: r[0]), key=lambda r: r[0]):
                lines = [content for _, _, content in found]
                directory.append(f"{kind}.ndjson", b"\n".join(lines) + b"\n", len(lines))
        shards = (shard for shard in Simulation(spec).shards() if shard.household > household)
        for number, (shard, result) in enumerate(run(spec, shards, by_type, jobs)):
            for kind, (content, count) in result.items():
                directory.append(f"{kind}.ndjson", content, count)
            made += shard.keep
            if number % _EVERY == _EVERY - 1:
                directory.checkpoint({"people": made, "household": shard.household})
            progress(made, spec.size - spec.first)
        return directory.finish({**manifest, "people": made})
