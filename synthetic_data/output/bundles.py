"""A self-contained FHIR Bundle per person: everything they own, and the facilities and practitioners it refers to.

Bundles are transactions of PUTs, so that a server can load them in any order and as often as it likes.
"""

import re
from collections.abc import Iterator
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..fhir import systems
from ..fhir.fragments import META, Resource
from ..fhir.infrastructure import infrastructure
from ..generator import Batch, Simulation
from ..population import PopulationSpec
from .directory import Directory, place
from .manifest import Tally, count, describe
from .pool import run
from .progress import Progress

_SHARED = re.compile(rb'"reference":"((?:Organization|Location|Practitioner|PractitionerRole|Schedule)/[^"]+)"')
_EVERY = 8
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


def bundles(path: Path, batches: Iterator[Batch]) -> tuple[list[Made], dict[str, int]]:
    """Write the Bundles of a shard; returns (name, bytes, resources, digest) of each, and what its people add to the tally."""
    tally = Tally()
    made = []
    for batch in batches:
        name, content, resources = bundle(batch)
        place(path, name, content)
        made.append((name, len(content), resources, sha256(content).hexdigest()))
        tally.add(count(batch))
    return made, tally.counts


def write_bundles(
    spec: PopulationSpec, path: Path, jobs: int, progress: Progress, overwrite: bool = False
) -> dict[str, Any]:
    """Write a Bundle per person; returns the manifest. An interrupted run goes on where it stopped."""
    manifest = describe(spec, "bundle")
    with Directory(path, manifest, overwrite) as directory:
        done = directory.done or {"people": 0, "household": -1, "seen": 0, "tally": {}}
        tally = Tally(done["tally"])
        people, seen, household = done["people"], done["seen"], done["household"]
        shards = (shard for shard in Simulation(spec).shards() if shard.household > household)
        for number, (shard, (files, found)) in enumerate(run(spec, shards, partial(bundles, path), jobs)):
            for told in files:
                directory.placed(*told)
            tally.add(found)
            people, seen = people + len(files), seen + shard.keep
            if number % _EVERY == _EVERY - 1:
                directory.checkpoint(
                    {"people": people, "household": shard.household, "seen": seen, "tally": tally.counts}
                )
            progress(seen, spec.size - spec.first)
        return directory.finish({**manifest, "people": people, **tally.told()})
