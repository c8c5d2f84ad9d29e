"""Loading a population beside the server."""

from __future__ import annotations

from pathlib import Path

from sandbox.app import open_database
from sandbox.cli import load_population
from sandbox.kernel.clock import SystemClock
from sandbox.settings import SandboxSettings
from sandbox.tenants import service as tenants


async def test_a_loaded_population_is_the_default_and_older_tenants_keep_theirs(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'sandbox.sqlite3'}"
    settings = SandboxSettings(
        database_url=url, base_url="http://gozar.test/sandbox/fhir/R4", issuer="http://gozar.test/sandbox"
    )
    counts: list[int] = []
    first = await load_population(settings, clock=SystemClock(), patients=2, seed=3, progress=counts.append)
    again = await load_population(settings, clock=SystemClock(), patients=2, seed=3)
    assert (first.fresh, again.fresh) == (True, False)
    assert first.resources == again.resources
    assert counts == sorted(counts)

    database = open_database(url)
    await database.start()
    try:
        await database.write(lambda tx: tenants.open_tenant(tx, tenant="old", base="default", now=1), lock=1)
        old = await tenants.get(database, "old")
        assert (await load_population(settings, clock=SystemClock(), patients=3, seed=3)).fresh
        await database.write(lambda tx: tenants.open_tenant(tx, tenant="new", base="default", now=2), lock=1)
        kept, new = await tenants.get(database, "old"), await tenants.get(database, "new")
        assert kept.base_layer == old.base_layer != new.base_layer
        reset = await database.write(lambda tx: tenants.reset(tx, tenant="old"), lock=1)
        assert reset.base_layer == old.base_layer
    finally:
        await database.close()
