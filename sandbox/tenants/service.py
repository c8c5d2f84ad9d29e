"""Verbs on Tenants: open, reset, snapshot, restore, fork, delete. None of them touches the base.

Each verb runs inside a write transaction. Layers left behind are only marked dead; `sweep` empties them in small steps.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from zlib import crc32

from sandbox.kernel.database import Database, Transaction
from sandbox.kernel.errors import StoreError
from sandbox.kernel.ids import new_id
from sandbox.tenants.models import DEAD, OVERLAY, SNAPSHOT

# Copies every row of one layer into another, empty one: `sandbox.storage.layers.copy_rows`.
CopyRows = Callable[[Transaction, int, int], Awaitable[None]]

_LAYER_LOCK = 731407
MAX_RESOURCES = 50_000
MAX_BYTES = 256 * 1024 * 1024
MAX_SNAPSHOTS = 20
_FIELDS = (
    "tenant, layer, base, base_layer, created, clock_offset, validation, max_resources, max_bytes, revision, consents"
)
_FIND = f"SELECT {_FIELDS} FROM tenant WHERE tenant=?1 AND state=1"


class TenantError(StoreError):
    """Base of what this room refuses."""


class UnknownTenantError(TenantError):
    """No such Tenant, or it was deleted."""


class UnknownBaseError(TenantError):
    """No base population of that name is loaded."""


class UnknownSnapshotError(TenantError):
    """No such snapshot of this Tenant."""


class QuotaError(TenantError):
    """The Tenant is full: `resource` says of what."""

    def __init__(self, resource: str, limit: int) -> None:
        super().__init__(f"the Tenant may hold {limit} {resource}")
        self.resource, self.limit = resource, limit


@dataclass(frozen=True, slots=True)
class Tenant:
    """A Tenant as it stands: reads go to `layer` over `base_layer`, writes to `layer`."""

    tenant: str
    layer: int
    base: str
    base_layer: int
    created: int
    clock_offset: int
    validation: str
    max_resources: int
    max_bytes: int
    revision: int
    consents: int = 0

    @property
    def lock(self) -> int:
        """Writers of one Tenant go one after another."""
        return lock_of(self.tenant)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of what a Tenant had written."""

    snapshot: str
    tenant: str
    layer: int
    base: str
    base_layer: int
    name: str
    created: int
    clock_offset: int = 0


def lock_of(tenant: str) -> int:
    return crc32(tenant.encode())


async def find(source: Database | Transaction, tenant: str) -> Tenant | None:
    """The Tenant, from a read or from inside the transaction that is about to write."""
    rows = await source.rows(_FIND, (tenant,))
    return Tenant(*rows[0]) if rows else None


async def of_call(database: Database, tenant: str) -> Tenant | None:
    """As `find`, for the call that is about to be answered: calls of one moment share the look-up."""
    rows = await database.fact(_FIND, (tenant,))
    return Tenant(*rows[0]) if rows else None


async def was_deleted(source: Database | Transaction, tenant: str) -> bool:
    """Whether a Tenant of this name was closed for good."""
    return bool(await source.rows("SELECT 1 FROM tenant WHERE tenant=?1 AND state=0", (tenant,)))


async def get(source: Database | Transaction, tenant: str) -> Tenant:
    """As `find`; raises `UnknownTenantError`."""
    found = await find(source, tenant)
    if found is None:
        raise UnknownTenantError(tenant)
    return found


async def new_layer(tx: Transaction, kind: str) -> int:
    if tx.dialect == "postgresql":  # SQLite has one writer anyway
        await tx.rows("SELECT pg_advisory_xact_lock(?1)", (_LAYER_LOCK,))
    number = (await tx.rows("SELECT COALESCE(MAX(layer), 0) + 1 FROM layer"))[0][0]
    await tx.run("INSERT INTO layer (layer, kind, resources, bytes) VALUES (?1, ?2, 0, 0)", (number, kind))
    return int(number)


async def base_layer(tx: Transaction, name: str) -> int:
    rows = await tx.rows("SELECT layer FROM base WHERE name=?1 AND state='ready'", (name,))
    if not rows:
        raise UnknownBaseError(name)
    return int(rows[0][0])


async def bases(source: Database | Transaction) -> list[dict[str, str]]:
    """Populations that are ready, by name."""
    rows = await source.rows("SELECT name, title FROM base WHERE state='ready' ORDER BY name")
    return [{"name": name, "title": title} for name, title in rows]


async def open_tenant(tx: Transaction, *, tenant: str, base: str, now: int) -> tuple[Tenant, bool]:
    """Open a Tenant over `base`; opening an open one changes nothing. Returns it and whether it is new."""
    found = await find(tx, tenant)
    if found is not None:
        return found, False
    below = await base_layer(tx, base)
    layer = await new_layer(tx, OVERLAY)
    await tx.run("DELETE FROM tenant WHERE tenant=?1", (tenant,))
    await tx.run(
        "INSERT INTO tenant (tenant, layer, base, base_layer, created, max_resources, max_bytes) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (tenant, layer, base, below, now, MAX_RESOURCES, MAX_BYTES),
    )
    return await get(tx, tenant), True


async def _point(
    tx: Transaction, tenant: Tenant, *, layer: int, base: str, below: int, clock_offset: int = 0
) -> Tenant:
    await tx.run(
        "UPDATE tenant SET layer=?2, base=?3, base_layer=?4, clock_offset=?5, revision=revision+1, consents=consents+1 "
        "WHERE tenant=?1",
        (tenant.tenant, layer, base, below, clock_offset),
    )
    await _bury(tx, tenant.layer)
    return await get(tx, tenant.tenant)


async def _bury(tx: Transaction, layer: int) -> None:
    await tx.run("UPDATE layer SET kind=?2 WHERE layer=?1", (layer, DEAD))


async def reset(tx: Transaction, *, tenant: str, base: str = "") -> Tenant:
    """Forget everything the Tenant wrote and set its clock back; `base` may choose another population."""
    found = await get(tx, tenant)
    chosen = base or found.base
    below = await base_layer(tx, chosen)
    return await _point(tx, found, layer=await new_layer(tx, OVERLAY), base=chosen, below=below)


async def _copy(tx: Transaction, copy: CopyRows, layer: int, kind: str) -> int:
    made = await new_layer(tx, kind)
    await copy(tx, layer, made)
    return made


async def take_snapshot(tx: Transaction, *, copy: CopyRows, tenant: str, name: str, now: int) -> Snapshot:
    """Freeze what the Tenant has written so far. Raises `QuotaError` at `MAX_SNAPSHOTS`."""
    found = await get(tx, tenant)
    if len(await snapshots(tx, tenant=tenant)) >= MAX_SNAPSHOTS:
        raise QuotaError("snapshots", MAX_SNAPSHOTS)
    layer = await _copy(tx, copy, found.layer, SNAPSHOT)
    made = Snapshot(new_id(), tenant, layer, found.base, found.base_layer, name, now, found.clock_offset)
    await tx.run(
        "INSERT INTO snapshot (snapshot, tenant, layer, base, base_layer, name, created, clock_offset) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (made.snapshot, tenant, layer, made.base, made.base_layer, name, now, made.clock_offset),
    )
    return made


async def snapshots(source: Database | Transaction, *, tenant: str) -> list[Snapshot]:
    """Oldest first."""
    rows = await source.rows(
        "SELECT snapshot, tenant, layer, base, base_layer, name, created, clock_offset FROM snapshot "
        "WHERE tenant=?1 ORDER BY created",
        (tenant,),
    )
    return [Snapshot(*row) for row in rows]


async def _snapshot(tx: Transaction, tenant: str, snapshot: str) -> Snapshot:
    for found in await snapshots(tx, tenant=tenant):
        if found.snapshot == snapshot:
            return found
    raise UnknownSnapshotError(snapshot)


async def restore(tx: Transaction, *, copy: CopyRows, tenant: str, snapshot: str) -> Tenant:
    """Bring the Tenant back to a snapshot of its own, its clock too; the snapshot stays and can be restored again.

    Were the clock left ahead, what the snapshot still waits for would fall due at once.
    """
    found = await get(tx, tenant)
    frozen = await _snapshot(tx, tenant, snapshot)
    layer = await _copy(tx, copy, frozen.layer, OVERLAY)
    return await _point(
        tx, found, layer=layer, base=frozen.base, below=frozen.base_layer, clock_offset=frozen.clock_offset
    )


async def drop_snapshot(tx: Transaction, *, tenant: str, snapshot: str) -> None:
    frozen = await _snapshot(tx, tenant, snapshot)
    await tx.run("DELETE FROM snapshot WHERE snapshot=?1", (snapshot,))
    await _bury(tx, frozen.layer)


async def fork(tx: Transaction, *, copy: CopyRows, tenant: str, into: str, now: int, replace: bool = False) -> Tenant:
    """A Tenant `into` that starts as a copy of `tenant`. An open one is replaced only when asked: else `QuotaError`."""
    found = await get(tx, tenant)
    made, fresh = await open_tenant(tx, tenant=into, base=found.base, now=now)
    if not fresh and not replace:
        raise QuotaError(f"Tenants named {into}", 1)
    layer = await _copy(tx, copy, found.layer, OVERLAY)
    return await _point(tx, made, layer=layer, base=found.base, below=found.base_layer, clock_offset=found.clock_offset)


async def delete(tx: Transaction, *, tenant: str) -> None:
    """Close the Tenant for good: its writes and snapshots go."""
    found = await get(tx, tenant)
    for frozen in await snapshots(tx, tenant=tenant):
        await _bury(tx, frozen.layer)
    await tx.run("DELETE FROM snapshot WHERE tenant=?1", (tenant,))
    await tx.run("UPDATE tenant SET state=0, revision=revision+1 WHERE tenant=?1", (tenant,))
    await _bury(tx, found.layer)


async def set_clock(tx: Transaction, *, tenant: str, offset: int) -> Tenant:
    """Let the Tenant's clock run `offset` microseconds ahead of the exchange's."""
    await get(tx, tenant)
    await tx.run("UPDATE tenant SET clock_offset=?2 WHERE tenant=?1", (tenant, offset))
    return await get(tx, tenant)


async def set_validation(tx: Transaction, *, tenant: str, mode: str) -> Tenant:
    """How strictly the Tenant's writes are validated: strict, warn or off."""
    await get(tx, tenant)
    await tx.run("UPDATE tenant SET validation=?2 WHERE tenant=?1", (tenant, mode))
    return await get(tx, tenant)
