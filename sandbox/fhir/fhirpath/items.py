"""Typed nodes over a resource's JSON: what the full evaluator walks. A node knows its FHIR type and where it hangs."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from typing import Any, Final

from sandbox.fhir import dates, definitions
from sandbox.fhir.fhirpath.syntax import Quantity

SYSTEM_TYPES: Final = {
    "boolean": "Boolean", "integer": "Integer", "positiveInt": "Integer", "unsignedInt": "Integer", "decimal": "Decimal",
    "date": "Date", "dateTime": "DateTime", "instant": "DateTime", "time": "Time", "string": "String", "code": "String",
    "id": "String", "uri": "String", "url": "String", "canonical": "String", "markdown": "String", "oid": "String",
    "uuid": "String", "base64Binary": "String", "xhtml": "String", "Quantity": "Quantity",
}  # fmt: skip
DATE_TYPES: Final = frozenset({"date", "dateTime", "instant", "System.Date", "System.DateTime"})


class Item:
    """One value of a FHIRPath collection. `extra` is the `_name` companion of a primitive; `parent` and `key` its place."""

    __slots__ = ("extra", "index", "key", "parent", "type", "value")

    def __init__(
        self,
        value: Any,
        kind: str = "",
        extra: Any = None,
        parent: Item | None = None,
        key: str = "",
        index: int | None = None,
    ) -> None:
        self.value, self.type, self.extra = value, kind, extra
        self.parent, self.key, self.index = parent, key, index

    def path(self) -> str:
        """Where the item hangs: `Patient.name[0].family`."""
        if self.parent is None:
            return self.type
        place = f"[{self.index}]" if self.index is not None else ""
        return f"{self.parent.path()}.{self.key}{place}"


def of_resource(resource: dict[str, Any]) -> Item:
    return Item(resource, str(resource.get("resourceType", "")))


def literal(value: Any) -> Item:
    """A value of FHIRPath's own System types."""
    if isinstance(value, bool):
        return Item(value, "System.Boolean")
    if isinstance(value, int):
        return Item(value, "System.Integer")
    if isinstance(value, (float, Decimal)):
        return Item(value, "System.Decimal")
    return Item(value, "System.Quantity" if isinstance(value, Quantity) else "System.String")


@cache
def _steps(type_name: str, name: str) -> tuple[tuple[str, str], ...]:
    """JSON names and types under which an element may appear."""
    if not definitions.is_type(type_name):
        return ((name, ""),)
    element = definitions.type_of(type_name).elements.get(name)
    return element.json_names if element is not None else ()


def member(item: Item, name: str) -> Iterator[Item]:
    """The children of one name; a choice element answers to its bare name (`value`)."""
    node = item.value
    if not isinstance(node, dict):
        # A primitive's id and extensions live in its companion.
        if isinstance(item.extra, dict):
            yield from _expand(
                item, name, item.extra.get(name), None, {"id": "string", "extension": "Extension"}.get(name, "")
            )
        return
    for key, kind in _steps(item.type, name):
        value, extra = node.get(key), node.get("_" + key)
        if value is not None or extra is not None:
            yield from _expand(item, key, value, extra, kind)


def _expand(parent: Item, key: str, value: Any, extra: Any, kind: str) -> Iterator[Item]:
    if isinstance(value, list) or isinstance(extra, list):
        values = value if isinstance(value, list) else [None] * len(extra)
        extras = extra if isinstance(extra, list) else []
        for i, one in enumerate(values):
            companion = extras[i] if i < len(extras) else None
            if one is not None or companion is not None:
                yield Item(one, _actual(one, kind), companion, parent, key, i)
    elif value is not None or extra is not None:
        yield Item(value, _actual(value, kind), extra, parent, key)


def _actual(value: Any, kind: str) -> str:
    if kind in {"Resource", ""} and isinstance(value, dict) and isinstance(value.get("resourceType"), str):
        return str(value["resourceType"])
    return kind


@cache
def _element_names(type_name: str) -> dict[str, str]:
    """JSON name -> element name."""
    if not definitions.is_type(type_name):
        return {}
    return {key: e.name for e in definitions.type_of(type_name).elements.values() for key, _ in e.json_names}


def children(item: Item) -> Iterator[Item]:
    node = item.value
    if not isinstance(node, dict):
        if isinstance(item.extra, dict):
            for name in item.extra:
                yield from member(item, name)
        return
    names = _element_names(item.type)
    seen: set[str] = set()
    for key in node:
        name = names.get(key.lstrip("_"), key.lstrip("_"))
        if key != "resourceType" and name not in seen:
            seen.add(name)
            yield from member(item, name)


def is_a(item: Item, wanted: str) -> bool:
    """`is`: FHIR types by inheritance; `System.String` and capitalised `String` by the primitive's system type."""
    if item.type.startswith("System."):
        return item.type == wanted or item.type[7:] == wanted
    if definitions.is_subtype(item.type, wanted):
        return True
    return SYSTEM_TYPES.get(item.type) == wanted and wanted != "Quantity"


def equal(left: Item, right: Item) -> bool | None:
    """`=` of two items; None when dates of different precision leave it open."""
    first, second = left.value, right.value
    if isinstance(first, Quantity) or isinstance(second, Quantity):
        return bool(_plain(left) == _plain(right))
    if isinstance(first, str) and isinstance(second, str) and (left.type in DATE_TYPES or right.type in DATE_TYPES):
        return _same_moment(first.lstrip("@"), second.lstrip("@"))
    if isinstance(first, bool) is not isinstance(second, bool):
        return False
    return bool(_number(first) == _number(second))


def _number(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, float) else value


def _plain(item: Item) -> Any:
    if isinstance(item.value, Quantity):
        return float(item.value.value), item.value.unit
    if isinstance(item.value, dict):
        return item.value.get("value"), item.value.get("code") or item.value.get("unit") or "1"
    return item.value, "1"


def _same_moment(first: str, second: str) -> bool | None:
    try:
        a, b = dates.parse_range(first), dates.parse_range(second)
    except dates.InvalidDateError:
        return first == second
    if a == b:
        return True
    return None if a.lo < b.hi and b.lo < a.hi else False


class IncomparableError(TypeError):
    """The two values have no order."""


def compare(left: Item, right: Item) -> int | None:
    """Negative, zero or positive; None when precision leaves it open. Raises `IncomparableError`."""
    first, second = left.value, right.value
    if isinstance(first, str) and isinstance(second, str):
        if left.type in DATE_TYPES or right.type in DATE_TYPES:
            return _order_of_moments(first.lstrip("@"), second.lstrip("@"))
        return (first > second) - (first < second)
    if isinstance(first, (dict, Quantity)) and isinstance(second, (dict, Quantity)):
        (a, unit), (b, other) = _plain(left), _plain(right)
        if unit != other or a is None or b is None:
            return None
        return int((a > b) - (a < b))
    numbers = (int, float, Decimal)
    if isinstance(first, numbers) and isinstance(second, numbers):
        one, two = _number(first), _number(second)
        return int((one > two) - (one < two))
    raise IncomparableError(f"cannot order {left.type} and {right.type}")


def _order_of_moments(first: str, second: str) -> int | None:
    try:
        a, b = dates.parse_range(first), dates.parse_range(second)
    except dates.InvalidDateError:
        return None
    if a == b:
        return 0
    if a.hi <= b.lo:
        return -1
    return 1 if b.hi <= a.lo else None
