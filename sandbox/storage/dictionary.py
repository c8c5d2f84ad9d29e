"""Small numbers for the texts that every row would repeat: resource types, search parameters, code systems.

Numbers are given out once and kept for good in the `dictionary` table, in a transaction of their own, so that what a process
remembers is always on disk.
"""

from __future__ import annotations

from collections.abc import Iterable

from sandbox.fhir import definitions
from sandbox.kernel.database import Database, Transaction

DICTIONARY_LOCK = -1
NO_SYSTEM = 0
UNKNOWN = -1
SECURITY_CONTEXT = "Binary.securityContext"
"""No search parameter, but an index of its own: whom a Binary is guarded as."""


class FreshSystemsError(Exception):
    """Code systems without a number were met inside a transaction: give them numbers and run it again."""

    def __init__(self, systems: set[str]) -> None:
        super().__init__(", ".join(sorted(systems)))
        self.systems = systems


class Dictionary:
    """Numbers of types, parameters (`Patient.name`) and systems, shared by everything that reads or writes rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.types: dict[str, int] = {}
        self.type_names: dict[int, str] = {}
        self.params: dict[str, int] = {}
        self.systems: dict[str, int] = {"": NO_SYSTEM}

    async def start(self) -> None:
        """Load all numbers, giving new ones to types and parameters that the definitions gained."""
        await self.refresh(self._database)
        types = sorted(definitions.RESOURCE_TYPES)
        params = [f"{t}.{code}" for t in types for code in definitions.search_parameters(t)]
        # A logical reference (Reference.identifier) is found by `subject:identifier`: tokens under a number of their own.
        params += [
            f"{t}.{code}:identifier"
            for t in types
            for code, parameter in definitions.search_parameters(t).items()
            if parameter.type == "reference"
        ]
        params.append(SECURITY_CONTEXT)
        await self._add("type", [t for t in types if t not in self.types])
        await self._add("param", [p for p in params if p not in self.params])

    async def number_systems(self, uris: Iterable[str]) -> None:
        """Make sure each of `uris` has its number before rows that use it are made."""
        fresh = [uri for uri in uris if uri not in self.systems]
        if fresh:
            await self._add("system", sorted(set(fresh)))

    async def find_systems(self, uris: Iterable[str]) -> bool:
        """Look up systems that another process may have numbered; whether any was found."""
        found = False
        for uri in uris:
            rows = await self._database.rows("SELECT number FROM dictionary WHERE kind='system' AND name=?1", (uri,))
            if rows:
                self.systems[uri], found = rows[0][0], True
        return found

    async def refresh(self, source: Database | Transaction) -> None:
        """Learn all numbers that other processes gave."""
        for kind, name, number in await source.rows("SELECT kind, name, number FROM dictionary"):
            self._remember(kind, name, number)

    def _remember(self, kind: str, name: str, number: int) -> None:
        if kind == "type":
            self.types[name] = number
            self.type_names[number] = name
        elif kind == "param":
            self.params[name] = number
        else:
            self.systems[name] = number

    async def _add(self, kind: str, names: list[str]) -> None:
        if not names:
            return

        async def add(transaction: Transaction) -> list[tuple[str, int]]:
            rows = await transaction.rows("SELECT name, number FROM dictionary WHERE kind=?1", (kind,))
            known: dict[str, int] = dict(rows)
            following = max(known.values(), default=0) + 1
            fresh = [(kind, name, following + n) for n, name in enumerate(x for x in names if x not in known)]
            await transaction.many("INSERT INTO dictionary (kind, name, number) VALUES (?1, ?2, ?3)", fresh)
            return [*known.items(), *((name, number) for _, name, number in fresh)]

        for name, number in await self._database.write(add, lock=DICTIONARY_LOCK, weight=len(names)):
            self._remember(kind, name, number)
