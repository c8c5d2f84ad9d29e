"""Versions by number, those used last kept in this process: what a version says never changes.

Who may see a version is decided where its number is found, never here.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from sandbox.kernel.database import Database

MAX_BYTES = 32 * 1024 * 1024
Found = tuple[int, int, str, bytes]
"""vid, type number, id and body."""
_ON_SQLITE = "SELECT vid, rtype, fid, body FROM version WHERE vid IN (SELECT value FROM json_each(?1))"
_ON_POSTGRES = "SELECT vid, rtype, fid, body FROM version WHERE vid = ANY(?1::bigint[])"


class Bodies:
    """Looks versions up, all of a page at once."""

    def __init__(self, database: Database, *, most: int = MAX_BYTES) -> None:
        self._database, self._most = database, most
        self._kept: dict[int, Found] = {}
        self._bytes = 0

    async def of(self, vids: Sequence[int]) -> list[Found]:
        """The versions in the order of `vids`; one that was swept meanwhile is left out."""
        kept = self._kept
        fresh = [vid for vid in vids if vid not in kept]
        found = kept if not fresh else {**{v: kept[v] for v in vids if v in kept}, **await self._look_up(fresh)}
        return [found[vid] for vid in vids if vid in found]

    async def _look_up(self, vids: list[int]) -> dict[int, Found]:
        if self._database.dialect == "sqlite":
            rows = await self._database.rows(_ON_SQLITE, (orjson.dumps(vids).decode(),))
        else:
            rows = await self._database.rows(_ON_POSTGRES, (vids,))
        found: dict[int, Found] = {row[0]: (row[0], row[1], row[2], row[3]) for row in rows}
        self._kept.update(found)
        self._bytes += sum(len(row[3]) for row in found.values())
        while self._bytes > self._most:
            self._bytes -= len(self._kept.pop(next(iter(self._kept)))[3])  # the one that came first
        return found
