"""`_summary` and `_elements`: parts of a resource, tagged SUBSETTED. http://hl7.org/fhir/R4/search.html#summary"""

from __future__ import annotations

from typing import Any

from sandbox.fhir import definitions
from sandbox.storage.encoding import dump, load

_ALWAYS = frozenset({"resourceType", "id", "meta"})
_SUBSETTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}


def project(body: bytes, *, summary: str, elements: tuple[str, ...]) -> bytes:
    """The wanted part of a stored body; the body itself when all of it is wanted."""
    if summary in ("", "false", "count") and not elements:
        return body
    resource = load(body)
    if elements:
        kept = _elements(resource, elements)
    elif summary == "text":
        kept = _named(resource, frozenset({"text"}) | _mandatory(resource["resourceType"]))
    elif summary == "data":
        kept = {k: v for k, v in resource.items() if k != "text"}
    else:
        kept = _summary(resource, resource["resourceType"])
    meta = dict(kept.get("meta") or {})
    meta["tag"] = [*meta.get("tag", []), _SUBSETTED]
    return dump(kept | {"meta": meta})


def _named(resource: dict[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {k: v for k, v in resource.items() if k in _ALWAYS or k.removeprefix("_") in names}


def _elements(resource: dict[str, Any], elements: tuple[str, ...]) -> dict[str, Any]:
    rtype = resource["resourceType"]
    wanted = set(_mandatory(rtype))
    for element in elements:
        # `Patient.name` asks only about Patients; `value` means every form of value[x].
        head, dot, rest = element.partition(".")
        name = (rest if head == rtype else "") if dot and head in definitions.RESOURCE_TYPES else head
        if name:
            wanted.add(name.partition(".")[0])
    table = definitions.type_of(rtype).elements
    for name in list(wanted):
        element_row = table.get(name.removesuffix("[x]"))
        if element_row is not None:
            wanted.update(json_name for json_name, _ in element_row.json_names)
    return _named(resource, frozenset(wanted))


def _mandatory(rtype: str) -> frozenset[str]:
    """Mandatory elements are never left out."""
    return frozenset(
        json_name
        for element in definitions.type_of(rtype).elements.values()
        if element.minimum > 0 or element.modifier
        for json_name, _ in element.json_names
    )


def _summary(value: dict[str, Any], type_name: str) -> dict[str, Any]:
    """Elements marked as summary, those of backbones by their own marks."""
    kept: dict[str, Any] = {k: v for k, v in value.items() if k in _ALWAYS}
    for element in definitions.type_of(type_name).elements.values():
        if not (element.summary or element.modifier):
            continue
        for name, kind in element.json_names:
            for key in (name, "_" + name):
                if key in value and key not in kept:
                    kept[key] = _nested(value[key], kind)
    return kept


def _nested(value: Any, kind: str) -> Any:
    if "." not in kind:  # a data type is whole; only backbones carry marks of their own
        return value
    if isinstance(value, list):
        return [_nested(item, kind) for item in value]
    return _summary(value, kind) if isinstance(value, dict) else value
