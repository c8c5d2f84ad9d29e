"""The official R4 definitions, as frozen tables loaded once (about 10 ms, the rest on first use).

Element rules come from the StructureDefinitions, search parameters from the SearchParameters, membership from the
CompartmentDefinitions of http://hl7.org/fhir/R4; `sandbox/fhir/data/SOURCE.md` names package, version and licence.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import orjson

FHIR_VERSION: Final = "4.0.1"
_DATA = Path(__file__).with_name("data")

ParameterType = Literal["string", "token", "reference", "date", "number", "quantity", "uri", "composite", "special"]
Compartment = Literal["Patient", "Practitioner", "Encounter", "RelatedPerson", "Device"]
Kind = Literal["resource", "complex", "primitive", "backbone", "abstract"]


@dataclass(frozen=True, slots=True)
class SearchComponent:
    """One component of a composite parameter: the parameter that defines it, and its path relative to the composite."""

    url: str
    code: str
    type: ParameterType
    expression: str


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """A search parameter as it applies to one resource type: `expression` holds only that type's parts of the union."""

    code: str
    type: ParameterType
    expression: str
    targets: tuple[str, ...]
    components: tuple[SearchComponent, ...]
    url: str


@dataclass(frozen=True, slots=True)
class ElementType:
    """A type an element may take; `targets` are the resource types a reference may point at (empty: any)."""

    code: str
    targets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binding:
    strength: Literal["required", "extensible", "preferred", "example"]
    value_set: str


@dataclass(frozen=True, slots=True)
class Element:
    """One row of the element table. `name` lacks the `[x]` of a choice; `maximum` is None when unbounded.

    A backbone's type code is its own path (`Observation.component`); `constraints` are keys for `constraint()`.
    """

    name: str
    path: str
    minimum: int
    maximum: int | None
    types: tuple[ElementType, ...]
    choice: bool
    summary: bool
    modifier: bool
    binding: Binding | None
    constraints: tuple[str, ...]

    @property
    def many(self) -> bool:
        return self.maximum != 1

    @property
    def json_names(self) -> tuple[tuple[str, str], ...]:
        """Property names in JSON with the type each one carries: (("valueQuantity", "Quantity"), ...)."""
        if not self.choice:
            return ((self.name, self.types[0].code if self.types else ""),)
        return tuple((self.name + t.code[0].upper() + t.code[1:], t.code) for t in self.types)


@dataclass(frozen=True, slots=True)
class Type:
    """A resource, data type or backbone: its elements by name, inherited ones included."""

    name: str
    kind: Kind
    base: str
    elements: Mapping[str, Element]
    constraints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """An invariant. `advice` marks the specification's best practices, never grounds for refusal."""

    key: str
    severity: Literal["error", "warning", "advice"]
    human: str
    expression: str


class UnknownTypeError(LookupError):
    """Not a type of FHIR R4."""


def _load(name: str) -> Any:
    return orjson.loads(gzip.decompress((_DATA / name).read_bytes()))


@cache
def _structures() -> dict[str, Any]:
    structures: dict[str, Any] = _load("elements.json.gz")
    return structures


@cache
def _search_rows() -> tuple[dict[str, list[list[Any]]], dict[str, tuple[str, ParameterType]]]:
    """Rows by base type, and (code, type) by URL for resolving components."""
    by_base: dict[str, list[list[Any]]] = {}
    by_url: dict[str, tuple[str, ParameterType]] = {}
    for row in _load("search-parameters.json.gz"):
        by_base.setdefault(row[3], []).append(row)
        by_url[row[0]] = (row[1], row[2])
    return by_base, by_url


RESOURCE_TYPES: Final[frozenset[str]] = frozenset(
    n for n, t in _structures()["types"].items() if t["kind"] == "resource"
)
"""The 146 concrete resource types."""

# Parameters the server evaluates by itself: result control and named queries, not index look-ups.
_CONTROL: Final = frozenset({"_query"})


def _parameter(row: list[Any], by_url: dict[str, tuple[str, ParameterType]]) -> SearchParameter:
    url, code, kind, _, expression, targets, components = row
    parts = tuple(SearchComponent(u, *by_url[u], e) for u, e in components)
    return SearchParameter(code, kind, expression, tuple(targets), parts, url)


@cache
def search_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """Code -> parameter for a resource type, the common ones (`_id`, `_lastUpdated`, `_tag`, `_text`, ...) included.

    `resource_type` may be "Resource" for what every type shares. Raises `UnknownTypeError`.
    """
    by_base, by_url = _search_rows()
    if resource_type not in RESOURCE_TYPES and resource_type != "Resource":
        raise UnknownTypeError(resource_type)
    bases = ["Resource", resource_type] if resource_type != "Resource" else ["Resource"]
    if resource_type != "Resource" and _structures()["types"][resource_type]["base"] == "DomainResource":
        bases.insert(1, "DomainResource")
    rows = (row for base in bases for row in by_base.get(base, ()) if row[1] not in _CONTROL)
    return MappingProxyType({row[1]: _parameter(row, by_url) for row in rows})


@cache
def _compartments() -> dict[str, dict[str, list[str]]]:
    tables: dict[str, dict[str, list[str]]] = _load("compartments.json.gz")
    return tables


def compartment_types(compartment: str) -> tuple[str, ...]:
    """Types that can be members of a compartment, its own type included. Raises `UnknownTypeError`."""
    try:
        members = _compartments()[compartment]
    except KeyError:
        raise UnknownTypeError(compartment) from None
    return tuple(sorted({*members, compartment}))


@cache
def naming_patients() -> frozenset[str]:
    """Types that no Patient compartment holds though they have a reference parameter `patient`: Task, for one."""
    inside = compartment_types("Patient")
    return frozenset(
        name
        for name in RESOURCE_TYPES
        if name not in inside and (p := search_parameters(name).get("patient")) and p.type == "reference"
    )


def compartment_parameters(compartment: str, resource_type: str) -> tuple[str, ...]:
    """Codes of the reference parameters that put a resource into a compartment; empty when it never is a member.

    The compartment's own resource (the Patient itself) is a member by identity, which no parameter expresses.
    Raises `UnknownTypeError` for a compartment R4 does not define.
    """
    try:
        members = _compartments()[compartment]
    except KeyError:
        raise UnknownTypeError(compartment) from None
    return tuple(members.get(resource_type, ()))


def _element(path: str, field: str, row: list[Any]) -> Element:
    minimum, maximum, kinds, marks, bound, constraints = row
    types = tuple(ElementType(k[0], tuple(k[1])) if isinstance(k, list) else ElementType(k) for k in kinds)
    return Element(
        name=field.removesuffix("[x]"),
        path=f"{path}.{field}",
        minimum=minimum,
        maximum=None if maximum < 0 else maximum,
        types=types,
        choice=field.endswith("[x]"),
        summary=bool(marks & 1),
        modifier=bool(marks & 2),
        binding=Binding(*bound) if bound else None,
        constraints=tuple(constraints),
    )


@cache
def type_of(name: str) -> Type:
    """The element table of a resource, data type or backbone (`Observation.component`). Raises `UnknownTypeError`."""
    row = _structures()["types"].get(name)
    if row is None:
        raise UnknownTypeError(name)
    elements = {f.removesuffix("[x]"): _element(name, f, e) for f, e in row["elements"].items()}
    return Type(name, row["kind"], row["base"], MappingProxyType(elements), tuple(row["constraints"]))


def is_type(name: str) -> bool:
    """Whether R4 defines a resource, data type or backbone of this name."""
    return name in _structures()["types"]


@cache
def is_subtype(name: str, ancestor: str) -> bool:
    """Whether a value of type `name` is also an `ancestor` (itself, or along the base definitions)."""
    types = _structures()["types"]
    current = name
    while current:
        if current == ancestor:
            return True
        current = types.get(current, {}).get("base", "")
    return False


@cache
def constraint(key: str) -> Constraint:
    severity, human, expression = _structures()["constraints"][key]
    return Constraint(key, severity, human, expression)


@cache
def primitive_regex(name: str) -> str:
    """The specification's regular expression for a primitive; empty for xhtml. Raises `UnknownTypeError`."""
    try:
        regex: str = _structures()["regexes"][name]
    except KeyError:
        raise UnknownTypeError(name) from None
    return regex


@cache
def _required_codes() -> dict[str, dict[str, list[str]]]:
    codes: dict[str, dict[str, list[str]]] = _load("required-codes.json.gz")
    return codes


@cache
def required_codes(value_set: str) -> Mapping[str, frozenset[str]] | None:
    """System -> codes of a value set that a required binding names; None when R4 offers no complete expansion."""
    systems = _required_codes().get(value_set)
    if systems is None:
        return None
    return MappingProxyType({system: frozenset(codes) for system, codes in systems.items()})
