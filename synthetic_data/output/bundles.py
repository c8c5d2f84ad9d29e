"""A self-contained FHIR Bundle per person: everything they own, and the facilities and practitioners it refers to.

Bundles are transactions of PUTs, so that a server can load them in any order and as often as it likes.
"""

import re
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ..fhir import systems
from ..fhir.fragments import META, Resource
from ..fhir.infrastructure import infrastructure
from ..generator import Batch, Simulation
from ..population import PopulationSpec
from .course import Course, run
from .directory import Directory, place
from .manifest import Tally, count, describe
from .progress import Progress

_SHARED = re.compile(rb'"reference":"((?:Organization|Location|Practitioner|PractitionerRole|Schedule)/[^"]+)"')
_BASE = f"{systems.NATIONAL}/R4".encode()
Made = tuple[str, int, int, str]


@cache
def _network() -> dict[bytes, Resource]:
    """The whole country's network; free slots, which depend on the day, are no part of anybody's Bundle."""
    made = infrastructure(PopulationSpec())
    return {
        f"{kind}/{identifier}".encode(): (kind, identifier, content)
        for kind, identifier, content in made
        if kind != "Slot"
    }


def _referred(contents: list[bytes]) -> Iterator[Resource]:
    """The infrastructure that these resources need, in the network's own order."""
    network = _network()
    wanted: set[bytes] = set()
    found = set(_SHARED.findall(b"".join(contents)))
    while found:
        wanted |= found
        more: set[bytes] = set()
        for name in found:
            more.update(_SHARED.findall(network[name][2]))
        found = more - wanted
    return (resource for name, resource in network.items() if name in wanted)


def _entry(resource: Resource) -> bytes:
    kind, identifier, content = resource
    name = f"{kind}/{identifier}".encode()
    return b"".join((
        b'{"fullUrl":"', _BASE, b"/", name, b'","resource":', content, b',"request":{"method":"PUT","url":"', name, b'"}}',
    ))  # fmt: skip


def bundle(batch: Batch) -> tuple[str, bytes, int]:
    """(file name, content, number of resources) of one person's Bundle."""
    contents = [content for _, _, content in batch.resources]
    entries = [_entry(resource) for resource in (*_referred(contents), *batch.resources)]
    content = b"".join((
        b'{"resourceType":"Bundle","id":"', batch.label.encode(), b'",', META, b',"type":"transaction","entry":[\n',
        b",\n".join(entries), b"\n]}\n",
    ))  # fmt: skip
    return f"{batch.label}.json", content, len(entries)


class Told(NamedTuple):
    """What came out of a shard: the files with their lengths, resources and digests, and what their people add to the tally."""

    files: list[Made]
    tally: dict[str, int]


class Binder:
    """The craft of Bundles: whoever makes them writes them, each in one step."""

    def __init__(self, path: Path, imperfect: bool) -> None:
        self._path, self._imperfect = path, imperfect

    def make(self, batches: Iterator[Batch]) -> tuple[Told, None]:
        """Write the Bundles of a shard."""
        tally = Tally()
        made = []
        for batch in batches:
            name, content, resources = bundle(batch)
            place(self._path, name, content)
            made.append((name, len(content), resources, sha256(content).hexdigest()))
            tally.add(count(batch, self._imperfect))
        return Told(made, tally.counts), None

    def place(self, told: Told) -> None:
        """They are in their places already."""

    def put(self, kept: None, place: None) -> None:
        """They are in their places already."""


def write_bundles(
    spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool = False
) -> dict[str, Any]:
    """Write a Bundle per person; returns the manifest. An interrupted run goes on where it stopped."""
    manifest = describe(spec, "bundle")
    with Directory(path, manifest, overwrite) as directory:
        course = Course(directory.done)
        _network()  # made once, before there are workers
        binder = Binder(path, bool(spec.imperfections))
        for shard, told in run(Simulation(spec), course, binder, jobs):
            for file in told.files:
                directory.placed(*file)
            course.advance(shard, len(told.files), told.tally)
            directory.checkpoint(course.record())
            progress(course.seen, spec.size - spec.first)
        return directory.finish({**manifest, "people": course.people, **course.tally.told()})
