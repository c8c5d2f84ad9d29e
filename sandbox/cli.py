"""What an operator does to an exchange beside its server: load a population. Called by the `gozar` command by its dotted name."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.app import open_database
from sandbox.kernel.clock import Clock, micros
from sandbox.kernel.database import Transaction
from sandbox.migrations.run import migrate
from sandbox.seeding import service as seeding
from sandbox.seeding.service import DEFAULT_BASE
from sandbox.settings import SandboxSettings
from sandbox.storage.encoding import dump
from sandbox.storage.repository import Store
from sandbox.workflows import personas


@dataclass(frozen=True, slots=True)
class Loaded:
    """A population that is in: how many resources it has, and whether this call loaded it."""

    resources: int
    fresh: bool


async def load_population(
    settings: SandboxSettings,
    *,
    clock: Clock,
    patients: int,
    seed: int,
    progress: Callable[[int], None] | None = None,
) -> Loaded:
    """Load `patients` people and the Personas in bulk, and make them what new Tenants stand on.

    An interrupted load goes on where it stopped; a population that is the default already is left alone. Tenants that exist keep
    the population they have.
    """
    await asyncio.to_thread(migrate, settings.database_url)
    store = Store(open_database(settings.database_url), own_base=settings.base_url)
    await store.start()
    try:
        title = f"{patients} synthetic people, seed {seed}"
        standing = await store.database.rows("SELECT title, state, progress FROM base WHERE name=?1", (DEFAULT_BASE,))
        if standing and standing[0][:2] == (title, "ready"):
            return Loaded(standing[0][2], fresh=False)

        def resources() -> Iterable[bytes]:
            return itertools.chain(seeding.population(patients, seed), map(dump, personas.resources()))

        name = f"people-{patients}-{seed}"
        made = await seeding.load_base(
            store, resources, name=name, title=title, now=micros(clock.now()), progress=progress
        )
        await store.database.write(lambda tx: _promote(tx, name), lock=seeding.LOCK)
        return Loaded(made.progress, fresh=True)
    finally:
        await store.close()


async def _promote(tx: Transaction, name: str) -> None:
    """Let `name` be the default; what was it before keeps its Tenants and snapshots under a name of its own."""
    old = await tx.rows("SELECT layer FROM base WHERE name=?1", (DEFAULT_BASE,))
    if old:
        aside = f"{DEFAULT_BASE}-{old[0][0]}"
        await tx.run("UPDATE base SET name=?2 WHERE name=?1", (DEFAULT_BASE, aside))
        await tx.run("UPDATE tenant SET base=?2 WHERE base=?1", (DEFAULT_BASE, aside))
        await tx.run("UPDATE snapshot SET base=?2 WHERE base=?1", (DEFAULT_BASE, aside))
    await tx.run("UPDATE base SET name=?2 WHERE name=?1", (name, DEFAULT_BASE))
