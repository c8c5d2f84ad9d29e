"""Files of an export: queries pinned to the version number at which it was asked for, streamed when they are downloaded.

What has been replaced since has no index rows any more; such versions are few, and are asked one by one whether they meet the
limits and filters (`sandbox.search.aside`). A filter that looks behind a reference sees nothing there for them.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

import orjson

from sandbox.exchange.calls import Call
from sandbox.exchange.own_terms import compiler_for
from sandbox.search import aside
from sandbox.search.criteria import Criterion
from sandbox.search.projection import project
from sandbox.search.request import pairs, understand
from sandbox.search.sql import met_sql
from sandbox.storage.encoding import load


@dataclass(frozen=True, slots=True)
class Job:
    """An export as asked for: `last` pins it, `patients` (Group level) names its members."""

    job: str
    request_url: str
    level: str
    types: tuple[str, ...]
    since: int
    until: int
    filters: tuple[tuple[str, str], ...]
    patients: tuple[str, ...]
    last: int
    at: int
    revision: int
    elements: tuple[str, ...] = ()
    masked: bool = False
    """De-identified (`sandbox.population`): the caller's token asked for it by its scope."""


@dataclass(slots=True)
class File:
    """One type of a job: the alternatives that its resources must meet, the caller's limits in each."""

    call: Call
    job: Job
    rtype: str
    ways: list[list[Criterion]]

    @property
    def plain(self) -> bool:
        """Whether nothing but the job's moment picks the versions, so that no index is asked."""
        return not all(self.ways) and self.job.level != "group"

    @property
    def number(self) -> int:
        return self.call.services.store.dictionary.types[self.rtype]

    def condition(self, layer: str, first: int) -> tuple[str, list[Any]]:
        """SQL on `v.vid` of a layer with its arguments, the first of them `?first`."""
        dialect = self.call.services.store.database.dialect
        parts, args = [], list[Any]()
        for way in self.ways:
            shapes = tuple(c.shape for c in way)
            parts.append(f"({met_sql(shapes, layer, 'v.vid', first + len(args), self.number, dialect)})")
            args += [arg for c in way for arg in c.args]
        found = " OR ".join(parts)
        if self.job.level == "group":
            listed = (
                f"SELECT value FROM json_each(?{first + len(args)})"
                if dialect == "sqlite"
                else f"SELECT json_array_elements_text(CAST(?{first + len(args)} AS json))"
            )
            args.append(orjson.dumps(list(self.job.patients)).decode())
            found = (
                f"({found}) AND v.vid IN (SELECT t.vid FROM idx_compartment t WHERE t.layer={layer} AND t.kind=1 "
                f"AND t.rtype={self.number} AND t.owner IN ({listed}))"
            )
        return f"({found})", args

    def met_aside(self, vid: int, fid: str, updated: int, body: bytes) -> bool:
        """As `condition`, for a version that has no index rows any more."""
        indexer = self.call.services.store.indexer
        entries = indexer.entries(load(body))
        if self.job.level == "group" and not any(("Patient", p) in entries.compartments for p in self.job.patients):
            return False
        if not all(self.ways):
            return True
        if indexer.fresh_systems(entries):
            return False  # its systems have numbers, which another process gave; ours are learnt ahead of this
        rows = indexer.rows(self.rtype, entries)
        return any(
            aside.meets(
                tuple(c.shape for c in way),
                [arg for c in way for arg in c.args],
                rtype=self.number,
                fid=fid,
                updated=updated,
                body=body,
                rows=rows,
            )
            for way in self.ways
        )


async def file_of(call: Call, job: Job, rtype: str) -> File:
    """The file of one type, as this caller may see it."""
    await call.services.store.dictionary.refresh(call.services.store.database)
    asked = [understand((rtype,), pairs(query)).criteria for own, query in job.filters if own == rtype] or [[]]
    ways = []
    for criteria in asked:
        compiler = await compiler_for(call, criteria, letter="r")
        compiler.now = job.at
        ways.append(compiler.conjunction(rtype, criteria))
    return File(call, job, rtype, ways)


_LATER: Final = (
    "SELECT 1 FROM version n WHERE n.layer=?1 AND n.rtype=v.rtype AND n.fid=v.fid AND n.vid>v.vid AND n.vid<=?3"
)
_REPLACED: Final = (
    "SELECT v.vid, 0 FROM version n JOIN version v ON v.layer=?1 AND v.rtype=n.rtype AND v.fid=n.fid AND v.ver=n.ver-1 "
    "WHERE n.layer=?1 AND n.rtype={number} AND n.vid>?3 AND v.vid<=?3 AND v.method<4 AND v.updated>=?4 AND v.updated<?5"
)
_ALL: Final = 9_000_000_000_000_000_000


def _standing(file: File, columns: str, layer: str) -> tuple[str, list[Any]]:
    """Versions of one layer that still have their index rows; ?1 and ?2 are the layers, ?3 to ?5 the job's bounds.

    Where nothing is asked of an index, all that were current at the job's moment.
    """
    call, job = file.call, file.job
    condition, args = ("v.method<4", []) if file.plain else file.condition(layer, 6)
    hidden = f" AND NOT EXISTS ({_LATER})" if layer == "?2" or file.plain else " AND v.live=1"
    sql = (
        f"SELECT {columns} FROM version v WHERE v.layer={layer} AND v.rtype={file.number} AND v.vid<=?3 "
        f"AND v.updated>=?4 AND v.updated<?5 AND {condition}{hidden} AND CAST(?2 AS BIGINT)>0 AND CAST(?1 AS BIGINT)>0"
    )
    return sql, [call.tenant.layer, call.tenant.base_layer, job.last, job.since, job.until, *args]


async def _versions(file: File) -> AsyncIterator[tuple[int, bytes]]:
    """(vid, body) of the file, those of the base first, each part in the order of writing."""
    database = file.call.services.store.database
    for layer in ("?2", "?1"):
        picked, args = _standing(file, "v.vid AS vid, 1 AS standing", layer)
        if layer == "?1" and not file.plain:
            picked = f"{picked} UNION ALL {_REPLACED.format(number=file.number)}"
        # Numbers alone are put in order; bodies are fetched as they are needed.
        order = " ORDER BY c.vid" if database.dialect == "postgresql" else ""
        sql = (
            f"SELECT c.vid, c.standing, v.fid, v.updated, v.body FROM (SELECT * FROM ({picked}) u ORDER BY vid LIMIT {_ALL}) c "
            f"CROSS JOIN version v WHERE v.vid=c.vid{order}"
        )
        async for rows in database.stream(sql, args):
            for vid, standing, fid, updated, body in rows:
                if standing or file.met_aside(vid, fid, updated, body):
                    yield vid, body


async def measure(file: File) -> int:
    """How many resources the file has."""
    found = 0
    if not file.plain:
        async for _ in _versions(file):
            found += 1
        return found
    for layer in ("?2", "?1"):
        sql, args = _standing(file, "COUNT(*)", layer)
        async for rows in file.call.services.store.database.stream(sql, args):
            found += sum(int(row[0]) for row in rows)
    return found


async def bodies(file: File) -> AsyncIterator[bytes]:
    """The stored resources of the file, whole, in its order."""
    async for _, body in _versions(file):
        yield body


async def lines(file: File, together: int = 200) -> AsyncIterator[bytes]:
    """The file in chunks, always in the same order, one resource a line."""
    chunk: list[bytes] = []
    async for _, body in _versions(file):
        chunk += (project(body, summary="", elements=file.job.elements), b"\n")
        if len(chunk) >= 2 * together:
            yield b"".join(chunk)
            chunk.clear()
    if chunk:
        yield b"".join(chunk)


async def zipped(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    async for chunk in chunks:
        packed = packer.compress(chunk)
        if packed:
            yield packed
    yield packer.flush()


async def part_of(chunks: AsyncIterator[bytes], first: int, last: int) -> AsyncIterator[bytes]:
    at = 0
    async for chunk in chunks:
        low, high = max(first - at, 0), min(last + 1 - at, len(chunk))
        if low < high:
            yield chunk[low:high]
        at += len(chunk)
        if at > last:
            return
