"""Files of an export: queries pinned to the version number at which it was asked for, streamed when they are downloaded.

What has been replaced since has no index rows any more; such versions are few, and are asked one by one whether they meet the
limits and filters (`sandbox.search.aside`). A filter that looks behind a reference sees nothing there for them.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from sandbox.exchange.calls import Call
from sandbox.exchange.own_terms import compiler_for
from sandbox.search import aside
from sandbox.search.criteria import Criterion
from sandbox.search.probes import BASE, OWN
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


@dataclass(slots=True)
class File:
    """One type of a job: the alternatives that its resources must meet, the caller's limits in each."""

    call: Call
    job: Job
    rtype: str
    ways: list[list[Criterion]]

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
    "SELECT 1 FROM version n WHERE n.layer=?1 AND n.rtype=v.rtype AND n.fid=v.fid AND n.vid>v.vid AND n.vid<=?2"
)


def _standing(file: File, columns: str, layer: str) -> tuple[str, list[Any]]:
    """Versions of one layer that still have their index rows; ?1 and ?5 are the layers, ?2 to ?4 the job's bounds."""
    call, job = file.call, file.job
    condition, args = file.condition(layer, 6)
    hidden = f" AND NOT EXISTS ({_LATER})" if layer == "?5" else ""
    sql = (
        f"SELECT {columns} FROM version v WHERE v.layer={layer} AND v.rtype={file.number} AND v.live=1 AND v.vid<=?2 "
        f"AND v.updated>=?3 AND v.updated<?4 AND {condition}{hidden} AND CAST(?5 AS BIGINT)>0 AND CAST(?1 AS BIGINT)>0"
    )
    return sql, [call.tenant.layer, job.last, job.since, job.until, call.tenant.base_layer, *args]


async def _replaced(file: File) -> AsyncIterator[tuple[int, bytes]]:
    """Versions that were current when the export was asked for and have been replaced or deleted since, in order."""
    call, job = file.call, file.job
    sql = (
        "SELECT v.vid, v.fid, v.updated, v.body FROM version n JOIN version v ON v.layer=?1 AND v.rtype=n.rtype "
        f"AND v.fid=n.fid AND v.ver=n.ver-1 WHERE n.layer=?1 AND n.rtype={file.number} AND n.vid>?2 AND v.vid<=?2 "
        "AND v.method<4 AND v.updated>=?3 AND v.updated<?4 ORDER BY v.vid"
    )
    args = (call.tenant.layer, job.last, job.since, job.until)
    async for rows in call.services.store.database.stream(sql, args):
        for vid, fid, updated, body in rows:
            if file.met_aside(vid, fid, updated, body):
                yield vid, body


async def measure(file: File) -> int:
    """How many resources the file has."""
    found = 0
    for layer in (OWN, BASE):
        sql, args = _standing(file, "COUNT(*)", _PLACES[layer])
        async for rows in file.call.services.store.database.stream(sql, args):
            found += sum(int(row[0]) for row in rows)
    async for _ in _replaced(file):
        found += 1
    return found


_PLACES: Final = {OWN: "?1", BASE: "?5"}


async def _bodies(file: File, layer: str) -> AsyncIterator[tuple[int, bytes]]:
    sql, args = _standing(file, "v.vid, v.body", _PLACES[layer])
    async for rows in file.call.services.store.database.stream(f"{sql} ORDER BY v.vid", args):
        for vid, body in rows:
            yield vid, body


async def lines(file: File, together: int = 200) -> AsyncIterator[bytes]:
    """The file in chunks, always in the same order: resources by version number, one a line."""
    chunk: list[bytes] = []
    async for _, body in _merged([_bodies(file, OWN), _bodies(file, BASE), _replaced(file)]):
        chunk += (project(body, summary="", elements=file.job.elements), b"\n")
        if len(chunk) >= 2 * together:
            yield b"".join(chunk)
            chunk.clear()
    if chunk:
        yield b"".join(chunk)


async def _merged(sources: Sequence[AsyncIterator[tuple[int, bytes]]]) -> AsyncIterator[tuple[int, bytes]]:
    """Rows of several ordered sources, in order."""
    heads: list[tuple[int, bytes, AsyncIterator[tuple[int, bytes]]]] = []
    for source in sources:
        async for vid, body in source:
            heads.append((vid, body, source))
            break
    while heads:
        least = min(range(len(heads)), key=lambda n: heads[n][0])
        vid, body, source = heads[least]
        yield vid, body
        try:
            following, text = await anext(source)
            heads[least] = (following, text, source)
        except StopAsyncIteration:
            del heads[least]


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
