"""Values of a resource with their types and places, and how they compare with fixed values and patterns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import orjson

from sandbox.fhir import definitions


class Value(NamedTuple):
    """A JSON value, its FHIR type (`Observation.component` for a backbone), and its FHIRPath."""

    node: Any
    kind: str
    place: str


def values_of(parent: Value, name: str) -> Iterator[Value]:
    """Values of the element `name` of `parent`; `value[x]` and `valueQuantity` find a choice by its type."""
    if not isinstance(parent.node, dict):
        return
    if name == "$this":
        yield parent
        return
    for key, kind in _keys(parent, name):
        found = parent.node.get(key)
        if found is None:
            continue
        if isinstance(found, list):
            for n, item in enumerate(found):
                if item is not None:
                    yield Value(item, _actual(item, kind), f"{parent.place}.{_shown(name, key)}[{n}]")
        else:
            yield Value(found, _actual(found, kind), f"{parent.place}.{_shown(name, key)}")


def _keys(parent: Value, name: str) -> list[tuple[str, str]]:
    """(JSON key, type) under which an element may stand."""
    if not definitions.is_type(parent.kind):
        return [(name.removesuffix("[x]"), "")]
    elements = definitions.type_of(parent.kind).elements
    element = elements.get(name.removesuffix("[x]"))
    if element is not None:
        return list(element.json_names)
    if parent.kind in definitions.RESOURCE_TYPES and name == "resourceType":
        return [(name, "code")]
    # A choice may be named with its type: `valueQuantity`.
    return [pair for e in elements.values() if e.choice for pair in e.json_names if pair[0] == name]


def _actual(node: Any, kind: str) -> str:
    if kind == "Resource" and isinstance(node, dict):
        return str(node.get("resourceType", kind))
    return kind


def _shown(name: str, key: str) -> str:
    """FHIRPath knows a choice by its bare name."""
    return name.removesuffix("[x]") if name.endswith("[x]") else key


def names_of(path: str) -> list[str]:
    """Steps of a discriminator: `code.coding`, `$this`, `extension('url').value`, `resolve()`."""
    return [] if path in ("$this", "") else [part for part in path.split(".") if part != "$this"]


def fits(node: Any, wanted: Any, *, exactly: bool = False) -> bool:
    """Whether a value is `wanted`, or with a pattern at least what `wanted` says (http://hl7.org/fhir/R4/elementdefinition.html)."""
    if isinstance(wanted, dict):
        if not isinstance(node, dict) or (exactly and set(node) != set(wanted)):
            return False
        return all(key in node and fits(node[key], value, exactly=exactly) for key, value in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(node, list) or (exactly and len(node) != len(wanted)):
            return False
        if exactly:
            return all(fits(a, b, exactly=True) for a, b in zip(node, wanted, strict=True))
        return all(any(fits(item, one) for item in node) for one in wanted)
    return bool(node == wanted) and isinstance(node, bool) == isinstance(wanted, bool)


def lacks(pattern: Any) -> str:
    """A pattern as one may type it."""
    return orjson.dumps(pattern).decode() if isinstance(pattern, (dict, list)) else repr(pattern)
