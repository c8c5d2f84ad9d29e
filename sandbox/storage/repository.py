"""Read and write versions within a Tenant: the only code that knows how own layer and base combine.

Reads take a Database or a Transaction; writes happen in a `Batch` inside one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from sandbox.kernel.database import Database, Row, Transaction
from sandbox.storage.bodies import Bodies
from sandbox.storage.dictionary import Dictionary
from sandbox.storage.encoding import load, stamped
from sandbox.storage.models import LAYOUTS
from sandbox.storage.rows import Indexer, IndexRows
from sandbox.tenants import service as tenants
from sandbox.tenants.service import QuotaError, Tenant

Method = Literal[1, 2, 3, 4]
CREATED: Final = 1
UPDATED: Final = 2
PATCHED: Final = 3
DELETED: Final = 4

_FIELDS = "vid, layer, rtype, fid, ver, updated, method, body"
_NEWEST = f"SELECT {_FIELDS} FROM version WHERE layer=?{{layer}} AND rtype=?3 AND fid=?4 ORDER BY ver DESC LIMIT 1"
# The own layer first: when it knows the resource, the base is not looked at.
_READ = (
    f"SELECT * FROM ({_NEWEST.format(layer=1)}) AS own UNION ALL "
    f"SELECT * FROM ({_NEWEST.format(layer=2)}) AS base LIMIT 1"
)
_VREAD = f"SELECT {_FIELDS} FROM version WHERE layer IN (?1, ?2) AND rtype=?3 AND fid=?4 AND ver=?5"


@dataclass(frozen=True, slots=True)
class Stored:
    """One version as stored. A deletion has an empty body."""

    vid: int
    layer: int
    rtype: int
    fid: str
    ver: int
    updated: int
    method: int
    body: bytes

    @property
    def deleted(self) -> bool:
        return self.method == DELETED


@dataclass(frozen=True, slots=True)
class Written:
    """What a write left behind; `changed` is false when it said nothing new."""

    rtype: str
    fid: str
    ver: int
    updated: int
    body: bytes
    created: bool
    changed: bool = True


async def read(source: Database | Transaction, tenant: Tenant, rtype: int, fid: str) -> Stored | None:
    """The newest version, a deletion included; None when the Tenant never knew the resource."""
    rows = await source.rows(_READ, (tenant.layer, tenant.base_layer, rtype, fid))
    return Stored(*rows[0]) if rows else None


async def read_version(source: Database | Transaction, tenant: Tenant, rtype: int, fid: str, ver: int) -> Stored | None:
    rows = await source.rows(_VREAD, (tenant.layer, tenant.base_layer, rtype, fid, ver))
    return Stored(*rows[0]) if rows else None


_LIVE = (
    "EXISTS (SELECT 1 FROM version v WHERE v.layer=?1 AND v.rtype={rtype} AND v.fid={fid} AND v.live=1) "
    "OR EXISTS (SELECT 1 FROM version v WHERE v.layer=?2 AND v.rtype={rtype} AND v.fid={fid} AND v.live=1 "
    "AND NOT EXISTS (SELECT 1 FROM shadow s WHERE s.layer=?1 AND s.vid=v.vid))"
)
_IS_LIVE = f"SELECT 1 WHERE {_LIVE.format(rtype='?3', fid='?4')}"
_ABSENT = (
    "SELECT w.rtype, w.fid FROM UNNEST(CAST(?3 AS smallint[]), CAST(?4 AS text[])) AS w(rtype, fid) "
    f"WHERE NOT ({_LIVE.format(rtype='w.rtype', fid='w.fid')})"
)


async def absent(
    source: Database | Transaction, tenant: Tenant, keys: Sequence[tuple[int, str]]
) -> list[tuple[int, str]]:
    """Those of `keys` (type number, id) that name nothing alive, in their order: one round trip."""
    layers = (tenant.layer, tenant.base_layer)
    if source.dialect == "sqlite":
        return [key for key in keys if not await source.rows(_IS_LIVE, (*layers, *key))]
    gone = {tuple(row) for row in await source.rows(_ABSENT, (*layers, [k[0] for k in keys], [k[1] for k in keys]))}
    return [key for key in keys if key in gone]


@dataclass(frozen=True, slots=True)
class Draft:
    """A version about to be written; a deletion has no rows."""

    rtype: int
    fid: str
    ver: int
    method: int
    body: bytes
    rows: IndexRows | None


class Store:
    """What the exchange holds of its store: the database, the dictionary and the indexer made from it."""

    def __init__(self, database: Database, *, own_base: str) -> None:
        self.database = database
        self.bodies = Bodies(database)
        self.dictionary = Dictionary(database)
        self.indexer = Indexer(self.dictionary, own_base=own_base)

    async def start(self) -> None:
        await self.database.start()
        await self.dictionary.start()

    async def close(self) -> None:
        await self.database.close()


class Batch:
    """Writes of one transaction, sent to the database together by `flush`."""

    def __init__(self, store: Store, tx: Transaction, tenant: Tenant, stamp: int) -> None:
        self._store, self._tx, self.tenant, self.stamp = store, tx, tenant, stamp
        self.drafts: list[Draft] = []
        self._replaced: list[Stored] = []
        self.vids: list[int] = []
        """Version numbers given by `flush`, in the order of the writes."""

    def save(
        self, resource: dict[str, Any], rows: IndexRows, *, fid: str, replaced: Stored | None, method: Method = CREATED
    ) -> Written:
        """A new version of `rtype/fid`; `rows` come from `Indexer.extract` of the same resource."""
        rtype = resource["resourceType"]
        number = self._store.dictionary.types[rtype]
        ver = 1 if replaced is None else replaced.ver + 1
        body = stamped(resource, fid=fid, ver=ver, stamp=self.stamp)
        self.drafts.append(Draft(number, fid, ver, method, body, rows))
        if replaced is not None:
            self._replaced.append(replaced)
        return Written(rtype, fid, ver, self.stamp, body, created=replaced is None or replaced.deleted)

    def delete(self, replaced: Stored) -> Written:
        """A deletion as the next version."""
        self.drafts.append(Draft(replaced.rtype, replaced.fid, replaced.ver + 1, DELETED, b"", None))
        self._replaced.append(replaced)
        name = self._store.dictionary.type_names[replaced.rtype]
        return Written(name, replaced.fid, replaced.ver + 1, self.stamp, b"", created=False)

    async def flush(self, *, counted: bool = True) -> None:
        """Write everything; raises `QuotaError` when the Tenant would grow past its bounds, unless it is not `counted`."""
        if not self.drafts:
            return
        await self._retire()
        await self._append()
        if counted:
            await self._count()

    async def _retire(self) -> None:
        """Take replaced versions out of sight: own ones lose their index rows, those of the base get a shadow."""
        own = [old for old in self._replaced if old.layer == self.tenant.layer]
        base = [(self.tenant.layer, old.vid) for old in self._replaced if old.layer != self.tenant.layer]
        if base:
            await self._tx.many("INSERT INTO shadow (layer, vid) VALUES (?1, ?2)", base)
        if own:
            await self._tx.many("UPDATE version SET live=0 WHERE vid=?1", [(old.vid,) for old in own])
        gone: dict[str, list[Row]] = {}
        for old in own:
            if not old.deleted:
                # Index rows follow from the body alone, so the old ones are known without looking for them.
                known = await self._store.indexer.extract_known(self._tx, load(old.body))
                known.place(gone, layer=old.layer, vid=old.vid)
        if gone:
            await self._tx.discard({LAYOUTS[table]: rows for table, rows in gone.items()})

    async def _append(self) -> None:
        first = await self._tx.take_numbers(len(self.drafts))
        self.vids = list(range(first, first + len(self.drafts)))
        layer = self.tenant.layer
        placed: dict[str, list[Row]] = {"version": []}
        versions = placed["version"]
        for vid, d in enumerate(self.drafts, first):
            versions.append((vid, layer, d.rtype, d.fid, d.ver, self.stamp, d.method, int(d.rows is not None), d.body))
            if d.rows is not None:
                d.rows.place(placed, layer=layer, vid=vid)
        await self._tx.append({LAYOUTS[table]: rows for table, rows in placed.items()})

    async def _count(self) -> None:
        size = sum(len(draft.body) for draft in self.drafts)
        alive = sum(1 for draft in self.drafts if draft.rows is not None)
        alive -= sum(1 for old in self._replaced if old.layer == self.tenant.layer and not old.deleted)
        rows = await self._tx.rows(
            "UPDATE layer SET resources=resources+?2, bytes=bytes+?3 WHERE layer=?1 RETURNING resources, bytes",
            (self.tenant.layer, alive, size),
        )
        resources, octets = rows[0]
        if resources > self.tenant.max_resources and alive > 0:
            raise QuotaError("resources", self.tenant.max_resources)
        if octets > self.tenant.max_bytes and size > 0:
            raise QuotaError("bytes", self.tenant.max_bytes)


async def begin(store: Store, tx: Transaction, tenant: str, stamp: int) -> Batch:
    """A batch on the Tenant as it stands inside this transaction, so that no write lands in a layer left behind."""
    found = await tenants.get(tx, tenant)
    return Batch(store, tx, found, stamp + found.clock_offset)
