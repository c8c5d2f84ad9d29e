"""JSON Schemas of FHIR's types for the OpenAPI document, from the element table that validation uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sandbox.fhir import definitions
from sandbox.fhir.definitions import Element, Type

Node = dict[str, Any]
# Outcomes are answered everywhere, Parameters asked for by every operation, Bundles by every search.
_EVERYWHERE = ("Bundle", "CapabilityStatement", "OperationOutcome", "Parameters")
_NAMED = 200
"""More codes than this are not listed one by one."""
_YEAR = r"([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_DAY = r"(0[1-9]|1[0-2])(-(0[1-9]|[1-2][0-9]|3[0-1])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?"
_ZONE = r"(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"


def _text(pattern: str) -> Node:
    return {"type": "string", "pattern": f"^{pattern}$"}


DATES: dict[str, Node] = {
    "date": _text(f"{_YEAR}(-{_DAY})?)?"),
    "dateTime": _text(f"{_YEAR}(-{_DAY}(T{_TIME}{_ZONE})?)?)?"),
    "instant": _text(f"{_YEAR}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])T{_TIME}{_ZONE}"),
    "time": _text(_TIME),
}
_PRIMITIVES: dict[str, Node] = DATES | {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "positiveInt": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "unsignedInt": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "decimal": {"type": "number"},
    "id": _text(r"[A-Za-z0-9\-.]{1,64}"),
    "code": _text(r"[^\s]+(\s[^\s]+)*"),
}


def reference(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}


def components(types: Iterable[str]) -> Node:
    """Schemas of `types` and of every type their elements have, by name."""
    made: Node = {}
    waiting = [*_EVERYWHERE, *types]
    while waiting:
        name = waiting.pop()
        if name in made:
            continue
        made[name] = {}
        made[name] = _schema(definitions.type_of(name), waiting)
    return dict(sorted(made.items()))


def _schema(kind: Type, waiting: list[str]) -> Node:
    properties: Node = {}
    required = []
    if kind.kind == "resource":
        properties["resourceType"] = {"const": kind.name}
        required.append("resourceType")
    for element in kind.elements.values():
        for name, code in element.json_names:
            properties[name] = _many(element, _of(element, code, waiting))
        if element.minimum and not element.choice:
            required.append(element.name)
    made: Node = {"type": "object", "properties": properties, "additionalProperties": False}
    made["patternProperties"] = {"^_": {}}
    return made | ({"required": required} if required else {})


def _many(element: Element, schema: Node) -> Node:
    return {"type": "array", "items": schema, "minItems": 1} if element.many else schema


def _of(element: Element, code: str, waiting: list[str]) -> Node:
    if code == "code" and element.binding is not None and element.binding.strength == "required":
        systems = definitions.required_codes(element.binding.value_set)
        codes = sorted({code for found in systems.values() for code in found}) if systems else []
        if 0 < len(codes) <= _NAMED:
            return {"enum": codes}
    if code in _PRIMITIVES:
        return _PRIMITIVES[code]
    if code in definitions.RESOURCE_TYPES or code in ("Resource", "DomainResource"):
        return {"type": "object", "required": ["resourceType"]}
    if definitions.is_type(code) and definitions.type_of(code).kind != "primitive":
        waiting.append(code)
        return reference(code)
    return {"type": "string"}
