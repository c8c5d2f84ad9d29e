"""The shipped code systems and value sets as frozen tables, and the same made from a Tenant's own resources.

What ships: HL7's systems of R4 (v2, v3, FHIR) and ISO 4217. UCUM, media types and language tags are checked by grammar.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import orjson

from sandbox.fhir import ucum

_DATA: Final = Path(__file__).with_name("data") / "terminology.json.gz"


@dataclass(frozen=True, slots=True)
class Concept:
    code: str
    display: str
    definition: str
    parents: tuple[str, ...]
    selectable: bool = True
    """False for what only groups others, or was retired."""


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """`value_set` is the canonical of the set of all its codes, when it names one."""

    url: str
    name: str
    version: str
    case_sensitive: bool
    value_set: str
    concepts: Mapping[str, Concept]

    def find(self, code: str) -> Concept | None:
        """A concept by code; by any case when the system does not tell cases apart."""
        found = self.concepts.get(code)
        if found is None and not self.case_sensitive:
            wanted = code.casefold()
            found = next((c for c in self.concepts.values() if c.code.casefold() == wanted), None)
        return found

    def is_a(self, code: str, ancestor: str) -> bool:
        """Whether `code` is `ancestor` or below it."""
        seen: set[str] = set()
        queue = [code]
        while queue:
            current = queue.pop()
            if current == ancestor:
                return True
            concept = self.concepts.get(current)
            if concept is not None and current not in seen:
                seen.add(current)
                queue.extend(concept.parents)
        return False


@dataclass(frozen=True, slots=True)
class Inclusion:
    """One include or exclude. `codes` None: not enumerated; `external`: enumerates codes of a system that does not ship."""

    system: str
    codes: tuple[tuple[str, str], ...] | None
    filters: tuple[tuple[str, str, str], ...]
    value_sets: tuple[str, ...]
    external: bool = False


@dataclass(frozen=True, slots=True)
class ValueSet:
    url: str
    name: str
    version: str
    include: tuple[Inclusion, ...]
    exclude: tuple[Inclusion, ...]


@cache
def _tables() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = orjson.loads(gzip.decompress(_DATA.read_bytes()))
    return tables


@cache
def code_system(url: str) -> CodeSystem | None:
    """A shipped code system by its URL."""
    row = _tables()["codeSystems"].get(url)
    if row is None:
        return None
    concepts = {c[0]: Concept(c[0], c[1], c[2], tuple(c[3]), not c[4]) for c in row["concepts"]}
    return CodeSystem(
        url, row["name"], row["version"], row["caseSensitive"], row["valueSet"], MappingProxyType(concepts)
    )


@cache
def value_set(url: str) -> ValueSet | None:
    """A shipped value set by its canonical URL, or the set of all codes that a shipped system names."""
    row = _tables()["valueSets"].get(url)
    if row is None:
        system = _systems_by_value_set().get(url)
        return system and ValueSet(url, system, "", (Inclusion(system, None, (), ()),), ())
    return ValueSet(url, row["name"], row["version"], _inclusions(row["include"]), _inclusions(row["exclude"]))


@cache
def _systems_by_value_set() -> dict[str, Any]:
    return {row["valueSet"]: url for url, row in _tables()["codeSystems"].items() if row["valueSet"]}


def _inclusions(rows: Iterable[dict[str, Any]]) -> tuple[Inclusion, ...]:
    return tuple(
        Inclusion(
            row.get("system", ""),
            tuple((c[0], c[1]) for c in row["concept"]) if "concept" in row else None,
            tuple((f[0], f[1], f[2]) for f in row.get("filter", ())),
            tuple(row.get("valueSet", ())),
            bool(row.get("external")),
        )
        for row in rows
    )


def code_system_of(resource: Mapping[str, Any]) -> CodeSystem:
    """A CodeSystem resource as a table."""
    concepts: dict[str, Concept] = {}
    queue: list[tuple[Any, tuple[str, ...]]] = [(c, ()) for c in resource.get("concept", ())]
    while queue:
        row, parents = queue.pop(0)
        code = str(row.get("code", ""))
        known = concepts.get(code)
        inherited = (*known.parents, *parents) if known else parents
        concepts[code] = Concept(code, row.get("display", ""), row.get("definition", ""), inherited, _selectable(row))
        queue.extend((c, (code,)) for c in row.get("concept", ()))
    return CodeSystem(
        str(resource.get("url", "")), resource.get("title") or resource.get("name", ""), resource.get("version", ""),
        bool(resource.get("caseSensitive", False)), resource.get("valueSet", ""), MappingProxyType(concepts),
    )  # fmt: skip


def _selectable(row: Mapping[str, Any]) -> bool:
    properties = {p.get("code"): p for p in row.get("property", ())}
    return not any(properties.get(name, {}).get("valueBoolean") for name in ("notSelectable", "inactive"))


def value_set_of(resource: Mapping[str, Any]) -> ValueSet:
    """A ValueSet resource as a table."""
    compose = resource.get("compose") or {}

    def parts(name: str) -> tuple[Inclusion, ...]:
        return tuple(
            Inclusion(
                row.get("system", ""),
                tuple((c.get("code", ""), c.get("display", "")) for c in row["concept"]) if "concept" in row else None,
                tuple((f.get("property", ""), f.get("op", ""), f.get("value", "")) for f in row.get("filter", ())),
                tuple(row.get("valueSet", ())),
            )
            for row in compose.get(name, ())
        )

    name = resource.get("title") or resource.get("name", "")
    return ValueSet(str(resource.get("url", "")), name, resource.get("version", ""), parts("include"), parts("exclude"))


GRAMMARS: Final[dict[str, Callable[[str], bool]]] = {
    ucum.SYSTEM: ucum.is_unit,
    "urn:ietf:bcp:13": lambda code: (
        re.fullmatch(r"[\w.+-]{1,64}/[\w.+-]{1,100}(;.{0,100})?", code, re.ASCII) is not None
    ),
    "urn:ietf:bcp:47": lambda code: re.fullmatch(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,6}", code) is not None,
}
"""Systems without a list: a code belongs when it is well formed."""
