"""NDJSON: one file per resource type, one resource per line, infrastructure first and then people in member order."""

from collections.abc import Callable, Iterator
from functools import partial
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

from ..generator import Batch, Simulation, shared_resources
from ..population import PopulationSpec
from .directory import PARTIAL, Directory, explain
from .manifest import Tally, count, describe
from .pool import run
from .progress import Progress

_EVERY = 8  # shards between two checkpoints


class Written(NamedTuple):
    """A shard as lines: for each type (bytes, number of lines), how many people, and what they add to the tally."""

    first: str
    lines: dict[str, tuple[bytes, int]]
    people: int
    tally: dict[str, int]


def by_type(batches: Iterator[Batch]) -> Written:
    """The lines of each type's file."""
    found: dict[str, list[bytes]] = {}
    tally = Tally()
    people = 0
    first = ""
    for batch in batches:
        people += 1
        first = first or batch.label
        tally.add(count(batch))
        for kind, _, content in batch.resources:
            try:
                found[kind].append(content)
            except KeyError:
                found[kind] = [content]
    return Written(
        first, {kind: (b"\n".join(lines) + b"\n", len(lines)) for kind, lines in found.items()}, people, tally.counts
    )


class Part(NamedTuple):
    """A shard in a file of its own, made by a worker: the types one after another, with their lengths and lines."""

    path: Path
    pieces: list[tuple[str, int, int]]
    people: int
    tally: dict[str, int]


def to_part(path: Path, batches: Iterator[Batch]) -> Part:
    """Write a shard beside the output; only its description goes back to the parent."""
    written = by_type(batches)
    number = int(written.first.partition("-")[2] or "0", 16)
    target = path / f".part-{number}{PARTIAL}"
    if not written.lines:
        return Part(target, [], 0, {})
    try:
        with target.open("wb") as file:
            file.writelines(content for content, _ in written.lines.values())
    except OSError as error:
        raise explain(error, path) from error
    pieces = [(kind, len(content), count) for kind, (content, count) in written.lines.items()]
    return Part(target, pieces, written.people, written.tally)


def _take(directory: Directory, part: Part) -> None:
    """Append a worker's part to the files, and remove it."""
    if part.pieces:
        with (
            part.path.open("rb") as file,
            mmap(file.fileno(), 0, access=ACCESS_READ) as content,
            memoryview(content) as view,
        ):
            at = 0
            for kind, length, lines in part.pieces:
                with view[at : at + length] as piece:
                    directory.append(f"{kind}.ndjson", piece, lines)
                at += length
        part.path.unlink()


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
        task: Callable[[Iterator[Batch]], Written | Part] = by_type if jobs == 1 else partial(to_part, path)
        for number, (shard, result) in enumerate(run(spec, shards, task, jobs)):
            if isinstance(result, Part):
                _take(directory, result)
            else:
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
