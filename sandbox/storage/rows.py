"""Index entries of a resource as rows of the index tables, with small numbers for parameters, types and systems."""

from __future__ import annotations

from typing import Any

from sandbox.fhir.entries import IndexEntries
from sandbox.fhir.indexing import index
from sandbox.fhir.positions import unit_vector
from sandbox.kernel.database import Transaction
from sandbox.storage.dictionary import Dictionary

COMPARTMENTS = {"Patient": 1, "Practitioner": 2, "Encounter": 3, "RelatedPerson": 4, "Device": 5}
# The parameter that carries a resource's clinical date, best first.
_CLINICAL = (
    "date",
    "authored-on",
    "authoredon",
    "recorded-date",
    "onset-date",
    "effective",
    "created",
    "issued",
    "period",
)
_CANONICAL = "ucum:"
Row = tuple[Any, ...]


class IndexRows:
    """Rows by table, each without its layer and version number, which are known only when it is written."""

    __slots__ = ("tables",)

    def __init__(self, tables: dict[str, list[Row]]) -> None:
        self.tables = tables

    def place(self, into: dict[str, list[Row]], *, layer: int, vid: int) -> None:
        """Append the rows to `into`, complete: layer and version number lead."""
        head = (layer, vid)
        for table, rows in self.tables.items():
            placed = into.get(table)
            if placed is None:
                placed = into[table] = []
            placed += [head + row for row in rows]


class Indexer:
    """Makes rows from resources. Systems must have their numbers first: `systems` tells which ones are used."""

    def __init__(self, dictionary: Dictionary, *, own_base: str = "") -> None:
        self._dictionary = dictionary
        self._own_base = own_base
        self._params: dict[str, dict[str, int]] = {}

    def entries(self, resource: dict[str, Any]) -> IndexEntries:
        return index(resource["resourceType"], resource, own_base=self._own_base)

    async def extract(self, resource: dict[str, Any]) -> IndexRows:
        """Rows of a resource that has its id, after giving numbers to code systems met for the first time."""
        return await self.numbered(resource["resourceType"], self.entries(resource))

    async def numbered(self, rtype: str, entries: IndexEntries) -> IndexRows:
        """Rows of entries, after giving numbers to the systems that have none."""
        fresh = self.fresh_systems(entries)
        if fresh:
            await self._dictionary.number_systems(fresh)
        return self.rows(rtype, entries)

    async def extract_known(self, tx: Transaction, resource: dict[str, Any]) -> IndexRows:
        """Rows of a resource that is stored already, so that its systems have numbers, perhaps given by another process."""
        entries = self.entries(resource)
        if self.fresh_systems(entries):
            await self._dictionary.refresh(tx)
        return self.rows(resource["resourceType"], entries)

    def fresh_systems(self, entries: IndexEntries) -> set[str]:
        """Code systems without a number."""
        known = self._dictionary.systems
        used = {e[1] for e in entries.tokens}
        used.update(e[1] for e in entries.of_types)
        used.update(e[3] for e in entries.quantities)
        used.update(e[4] for e in entries.references if e[5])
        for composite in entries.composites:
            for part in composite.parts:
                name = type(part).__name__
                if name == "TokenEntry" or name == "QuantityEntry":
                    used.add(part.system)
        return {system for system in used if system not in known}

    def _numbers(self, rtype: str) -> dict[str, int]:
        """Parameter code -> number, for one type."""
        known = self._params.get(rtype)
        if known is None:
            prefix = rtype + "."
            known = {k[len(prefix) :]: n for k, n in self._dictionary.params.items() if k.startswith(prefix)}
            self._params[rtype] = known
        return known

    def rows(self, rtype: str, entries: IndexEntries) -> IndexRows:
        """Rows of entries whose systems all have numbers."""
        param, system, types = self._numbers(rtype), self._dictionary.systems, self._dictionary.types
        tables: dict[str, list[Row]] = {}
        tokens = [(param[c], value, system[s]) for c, s, value in entries.tokens]
        if entries.references:
            references, named = [], []
            for code, kind, fid, url, id_system, id_value in entries.references:
                if fid:
                    references.append((param[code], fid, types[kind]))
                elif url:
                    references.append((param[code], url, 0))
                if id_value:
                    named.append((param[code + ":identifier"], id_value, system[id_system]))
            if references:
                tables["idx_reference"] = list(dict.fromkeys(references))
            tokens += dict.fromkeys(named)
        if tokens:
            tables["idx_token"] = tokens
        if entries.dates:
            tables["idx_date"] = [(param[c], lo, hi) for c, lo, hi in entries.dates]
        if entries.strings:
            tables["idx_string"] = [(param[c], folded, exact) for c, folded, exact in entries.strings]
        if entries.texts:
            tables["idx_text"] = [(param[c], folded) for c, folded in entries.texts]
        if entries.of_types:
            tables["idx_of_type"] = [(param[c], value, code, system[s]) for c, s, code, value in entries.of_types]
        if entries.uris:
            tables["idx_uri"] = [(param[c], value) for c, value in entries.uris]
        if entries.quantities or entries.numbers:
            tables["idx_quantity"] = self._quantities(param, entries)
        if entries.composites or entries.positions:
            tables["idx_composite"] = self._composites(param, entries)
        if entries.compartments:
            date = _clinical_date(entries)
            own = types[rtype]
            tables["idx_compartment"] = [(COMPARTMENTS[kind], owner, own, date) for kind, owner in entries.compartments]
        return IndexRows(tables)

    def _quantities(self, param: dict[str, int], entries: IndexEntries) -> list[Row]:
        system = self._dictionary.systems
        rows: dict[Row, None] = {}
        for code, lo, hi, own_system, unit, base_lo, base_hi, base in entries.quantities:
            rows[(param[code], lo, hi, unit, system[own_system], 0)] = None
            if base:
                rows[(param[code], base_lo, base_hi, base, 0, 1)] = None
        for code, lo, hi in entries.numbers:
            rows[(param[code], lo, hi, "", 0, 0)] = None
        return list(rows)

    def _composites(self, param: dict[str, int], entries: IndexEntries) -> list[Row]:
        """Rows as the table's columns follow layer and vid: param, code, ordinal, system, code2 ... hi3."""
        rows: dict[Row, None] = {}
        for code, parts in entries.composites:
            first, first_system = self._code_columns(parts[0])
            if len(parts) == 3:
                seconds: list[Row] = [("", 0, *parts[1][1:3], *parts[2][1:3])]
            else:
                seconds = self._second_columns(parts[1])
            for second in seconds:
                rows[(param[code], first, first_system, *second)] = None
        for code, latitude, longitude in entries.positions:
            x, y, z = unit_vector(latitude, longitude)
            rows[(param[code], "", 0, "", 0, x, y, z, 0.0)] = None
        # The ordinal only keeps the rows of one resource apart.
        return [(row[0], row[1], n, *row[2:]) for n, row in enumerate(rows)]

    def _code_columns(self, part: Any) -> tuple[str, int]:
        match type(part).__name__:
            case "TokenEntry":
                return part.value, self._dictionary.systems[part.system]
            case "ReferenceEntry":
                return (f"{part.type}/{part.id}" if part.id else part.url), 0
            case _:
                return part.folded, 0

    def _second_columns(self, part: Any) -> list[Row]:
        """(code2, system2, lo2, hi2, lo3, hi3), one row or, for a quantity with a canonical form, two."""
        match type(part).__name__:
            case "DateEntry":
                return [("", 0, float(part.lo), float(part.hi), 0.0, 0.0)]
            case "NumberEntry":
                return [("", 0, part.lo, part.hi, 0.0, 0.0)]
            case "QuantityEntry":
                rows: list[Row] = [(part.unit, self._dictionary.systems[part.system], part.lo, part.hi, 0.0, 0.0)]
                if part.canonical_unit:
                    base = (_CANONICAL + part.canonical_unit, -1, part.canonical_lo, part.canonical_hi, 0.0, 0.0)
                    rows.append(base)
                return rows
            case _:
                return [(*self._code_columns(part), 0.0, 0.0, 0.0, 0.0)]


def _clinical_date(entries: IndexEntries) -> int:
    if not entries.dates:
        return 0
    by_code = {e[0]: e[1] for e in reversed(entries.dates)}
    for code in _CLINICAL:
        if code in by_code:
            return by_code[code]
    return entries.dates[0][1]
