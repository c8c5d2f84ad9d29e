"""Load a base population, resumably: batches go in one by one, and the base counts those that are in.

Only this room imports synthetic_data.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.kernel.database import Database, Transaction
from sandbox.storage.encoding import load
from sandbox.storage.first_load import make_indexes, put_off_indexes
from sandbox.storage.repository import Batch, Store
from sandbox.storage.rows import IndexRows
from sandbox.tenants.models import BASE
from sandbox.tenants.service import Tenant, new_layer
from synthetic_data import PopulationSpec, generate

DEFAULT_BASE = "default"
_GROUP = 1000
LOCK = -3
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Base:
    """A base population as it stands; `progress` counts the resources that are in."""

    name: str
    layer: int
    state: str
    progress: int

    @property
    def ready(self) -> bool:
        return self.state == "ready"


async def find_base(source: Database | Transaction, name: str) -> Base | None:
    rows = await source.rows("SELECT name, layer, state, progress FROM base WHERE name=?1", (name,))
    return Base(*rows[0]) if rows else None


async def open_base(database: Database, *, name: str, title: str) -> Base:
    """The base to load into, made when it is new."""

    async def job(tx: Transaction) -> Base:
        found = await find_base(tx, name)
        if found is not None:
            return found
        await put_off_indexes(tx)
        layer = await new_layer(tx, BASE)
        await tx.run(
            "INSERT INTO base (name, layer, title, state, progress) VALUES (?1, ?2, ?3, 'loading', 0)",
            (name, layer, title),
        )
        return Base(name, layer, "loading", 0)

    return await database.write(job, lock=LOCK)


async def load_base(
    store: Store,
    resources: Callable[[], Iterable[bytes]],
    *,
    name: str,
    title: str,
    now: int,
    progress: Progress | None = None,
) -> Base:
    """Fill a base with `resources`; an interrupted load resumes where it stopped, a finished one changes nothing.

    The stream must be the same each time: that is what "same seed, same bytes" is for.
    """
    base = await open_base(store.database, name=name, title=title)
    if base.ready:
        return base
    with _no_collector():
        done = await _load(store, base, resources, now, progress)
    await _finish(store.database, base)
    await store.database.analyze()
    return Base(name, base.layer, "ready", done)


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """Loading makes millions of objects and no cycle: walking them again and again would double its cost."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


async def _load(
    store: Store, base: Base, resources: Callable[[], Iterable[bytes]], now: int, progress: Progress | None
) -> int:
    done, number = base.progress, -1
    group: list[dict[str, Any]] = []
    for number, resource in enumerate(resources()):
        if number < done:
            continue
        group.append(load(resource))
        if len(group) == _GROUP:
            await _load_group(store, base, group, number + 1 - len(group), now)
            group = []
            if progress is not None:
                progress(number + 1)
    await _load_group(store, base, group, -1, now)
    return number + 1


async def _load_group(store: Store, base: Base, group: list[dict[str, Any]], start: int, now: int) -> None:
    indexer = store.indexer
    drafts: list[tuple[dict[str, Any], IndexRows]] = []
    for resource in group:
        rtype, entries = resource["resourceType"], indexer.entries(resource)
        try:
            rows = indexer.rows(rtype, entries)
        except KeyError:  # a code system met for the first time
            rows = await indexer.numbered(rtype, entries)
        drafts.append((resource, rows))

    async def job(tx: Transaction) -> None:
        rows = await tx.rows("SELECT progress, state FROM base WHERE name=?1", (base.name,))
        if rows[0][1] == "ready" or (start >= 0 and rows[0][0] != start):
            return  # another worker is loading the same base
        batch = Batch(store, tx, _as_tenant(base), now)
        for resource, index_rows in drafts:
            batch.save(resource, index_rows, fid=resource["id"], replaced=None)
        await batch.flush()
        await tx.run("UPDATE base SET progress=progress+?2 WHERE name=?1", (base.name, len(drafts)))

    await store.database.write(job, lock=LOCK, weight=12 * len(group))


def _as_tenant(base: Base) -> Tenant:
    """Bases are written as a Tenant without anything below it and without bounds."""
    return Tenant(base.name, base.layer, base.name, 0, 0, 0, "off", 2**40, 2**50, 0)


async def _finish(database: Database, base: Base) -> None:
    async def job(tx: Transaction) -> None:
        await make_indexes(tx)
        await tx.run("UPDATE base SET state='ready' WHERE name=?1", (base.name,))

    await database.write(job, lock=LOCK, weight=base.progress + 100_000)  # nothing for the event loop


def population(patients: int, seed: int) -> Iterable[bytes]:
    """Resources of a synthetic population as JSON, infrastructure first."""
    for batch in generate(PopulationSpec(size=patients, seed=seed)):
        for _, _, body in batch.resources:
            yield body
