"""FHIR's XML format to and from its JSON form, by the element tables. http://hl7.org/fhir/R4/xml.html

Elements come out in the order of their definitions, as the format demands. Decimals keep the digits they were written with.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any, Final
from xml.etree import ElementTree

import orjson

from sandbox.fhir import definitions
from sandbox.fhir.definitions import RESOURCE_TYPES, Element
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.fhir.validation import narrative

FHIR: Final = "http://hl7.org/fhir"
XHTML: Final = "http://www.w3.org/1999/xhtml"
MAX_DEPTH: Final = 64
_INTEGERS: Final = frozenset({"integer", "positiveInt", "unsignedInt"})
_ATTRIBUTE: Final = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}
)
# Characters that XML 1.0 has no way to say.
_UNSAYABLE: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])


@cache
def _fields(type_name: str) -> Mapping[str, tuple[Element, str]]:
    """JSON name -> element and type code, in the order of the definition."""
    return {name: (e, code) for e in definitions.type_of(type_name).elements.values() for name, code in e.json_names}


@cache
def _is_primitive(code: str) -> bool:
    return definitions.type_of(code).kind == "primitive"


# --- JSON to XML --------------------------------------------------------------------------------------------------------


def to_xml(resource: Mapping[str, Any]) -> bytes:
    """A resource as an XML document. What the definitions do not know is left out."""
    out = ['<?xml version="1.0" encoding="UTF-8"?>']
    _write_resource(resource, out, f' xmlns="{FHIR}"')
    return "".join(out).encode("utf-8", "replace")


def _write_resource(resource: Mapping[str, Any], out: list[str], namespace: str = "") -> None:
    name = resource.get("resourceType")
    if isinstance(name, str) and name in RESOURCE_TYPES:
        out.append(f"<{name}{namespace}>")
        _write_children(name, resource, out)
        out.append(f"</{name}>")


def _write_children(type_name: str, node: Mapping[str, Any], out: list[str]) -> None:
    for name, (element, code) in _fields(type_name).items():
        value, extra = node.get(name), node.get("_" + name)
        if (value is None and extra is None) or _is_attribute(type_name, name):
            continue
        if not element.many:
            _write(name, code, value, extra, out)
            continue
        values, extras = _listed(value), _listed(extra)
        for i in range(max(len(values), len(extras))):
            _write(name, code, values[i] if i < len(values) else None, extras[i] if i < len(extras) else None, out)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_attribute(type_name: str, name: str) -> bool:
    """Ids of elements and the url of an extension are attributes; the id of a resource is an element."""
    if name == "url" and type_name == "Extension":
        return True
    return name == "id" and type_name not in RESOURCE_TYPES


def _attribute(name: str, value: object) -> str:
    return f' {name}="{_text(value).translate(_UNSAYABLE).translate(_ATTRIBUTE)}"'


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return orjson.dumps(value).decode() if isinstance(value, float) else str(value)


def _write(name: str, code: str, value: Any, extra: Any, out: list[str]) -> None:
    if code == "Resource":
        if isinstance(value, dict):
            out.append(f"<{name}>")
            _write_resource(value, out)
            out.append(f"</{name}>")
        return
    if code == "xhtml":
        out.append(_narrative(str(value).strip()))
        return
    if _is_primitive(code):
        companion = extra if isinstance(extra, dict) else {}
        attributes = "" if value is None or isinstance(value, (dict, list)) else _attribute("value", value)
        _write_element(name, "Element", companion, attributes, out)
    elif isinstance(value, dict):
        _write_element(name, code, value, "", out)


def _narrative(text: str) -> str:
    """The narrative in its own namespace, which JSON may leave out; as plain text when it is not well formed."""
    text = narrative.with_characters(text).translate(_UNSAYABLE)
    if not text.startswith("<div") or narrative.malformed(text):
        return f'<div xmlns="{XHTML}">{_escaped(text)}</div>'
    return text if "xmlns" in text.partition(">")[0] else text.replace("<div", f'<div xmlns="{XHTML}"', 1)


def _write_element(name: str, type_name: str, node: Mapping[str, Any], attributes: str, out: list[str]) -> None:
    if node.get("id") is not None:
        attributes += _attribute("id", node["id"])
    if type_name == "Extension" and node.get("url") is not None:
        attributes += _attribute("url", node["url"])
    mark = len(out)
    out.append("")
    _write_children(type_name, node, out)
    empty = len(out) == mark + 1
    if not empty or attributes:
        out[mark] = f"<{name}{attributes}{'/' if empty else ''}>"
        if not empty:
            out.append(f"</{name}>")


# --- XML to JSON --------------------------------------------------------------------------------------------------------


def from_xml(raw: bytes) -> dict[str, Any]:
    """The resource of an XML document, in JSON form with exact decimals. Raises `BadRequestError` saying where it errs."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused(Text(f"it is not UTF-8 (byte {error.start})", f"UTF-8 نیست (بایت {error.start})")) from error
    # Entities could read files or unfold without end; FHIR has no use for them (http://hl7.org/fhir/R4/security.html#narrative).
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise _refused(Text("a document type is not allowed", "تعریف DOCTYPE مجاز نیست"))
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 (document types are refused above)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise _refused(
            Text(
                f"it is not well formed at line {line}, column {column + 1}",
                f"در سطر {line}، ستون {column + 1} خوش‌ساخت نیست",
            )
        ) from error
    return _read_resource(root, "", 0)


def _refused(why: Text, path: str = "") -> BadRequestError:
    return BadRequestError(
        Text(f"The XML body cannot be read: {why.en}.", f"بدنهٔ XML خوانده نشد: {why.fa}."),
        code="structure",
        rule="xml",
        expression=(path,) if path else (),
    )


def _name(node: ElementTree.Element, path: str) -> str:
    namespace, _, name = node.tag.rpartition("}")
    if namespace != "{" + FHIR:
        raise _refused(Text(f"<{name}> is not in the namespace {FHIR}", f"<{name}> در فضای نام {FHIR} نیست"), path)
    return name


def _read_resource(node: ElementTree.Element, path: str, depth: int) -> dict[str, Any]:
    name = _name(node, path)
    if name not in RESOURCE_TYPES:
        raise _refused(Text(f"<{name}> is not a resource of R4", f"<{name}> از منابع R4 نیست"), path)
    made: dict[str, Any] = {"resourceType": name}
    _read_children(node, name, made, path or name, depth)
    return made


def _read_children(node: ElementTree.Element, type_name: str, made: dict[str, Any], path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise _refused(Text(f"it nests deeper than {MAX_DEPTH} levels", f"بیش از {MAX_DEPTH} سطح تودرتوست"), path)
    if (node.text or "").strip():
        raise _refused(Text("text may not stand between elements", "متن میان عنصرها مجاز نیست"), path)
    fields = _fields(type_name)
    gathered: dict[str, list[tuple[Any, Any]]] = {}
    for child in node:
        if (child.tail or "").strip():
            raise _refused(Text("text may not stand between elements", "متن میان عنصرها مجاز نیست"), path)
        if child.tag == f"{{{XHTML}}}div" and type_name == "Narrative":
            gathered.setdefault("div", []).append((_xhtml(child, root=True), None))
            continue
        name = _name(child, path)
        if name not in fields or _is_attribute(type_name, name):
            raise _refused(
                Text(f"{type_name} has no element <{name}>", f"در {type_name} عنصر <{name}> نیست"), f"{path}.{name}"
            )
        gathered.setdefault(name, []).append(_read(child, fields[name][1], f"{path}.{name}", depth + 1))
    for name, found in gathered.items():
        _place(name, fields[name][0], found, made, path)


def _place(name: str, element: Element, found: list[tuple[Any, Any]], made: dict[str, Any], path: str) -> None:
    if element.many:
        if any(value is not None for value, _ in found):
            made[name] = [value for value, _ in found]
        if any(extra is not None for _, extra in found):
            made["_" + name] = [extra for _, extra in found]
        return
    if len(found) > 1:
        raise _refused(Text(f"<{name}> does not repeat", f"<{name}> تکرار نمی‌شود"), f"{path}.{name}")
    value, extra = found[0]
    if value is not None:
        made[name] = value
    if extra is not None:
        made["_" + name] = extra


def _read(node: ElementTree.Element, code: str, path: str, depth: int) -> tuple[Any, Any]:
    """(value, companion) of one element."""
    if code == "Resource":
        if len(node) != 1:
            raise _refused(Text("exactly one resource belongs here", "در اینجا دقیقاً یک منبع لازم است"), path)
        return _read_resource(node[0], path, depth), None
    primitive = _is_primitive(code)
    allowed = {"id", "value"} if primitive else {"id", "url"} if code == "Extension" else {"id"}
    if unknown := set(node.attrib) - allowed:
        raise _refused(Text(f"the attribute {min(unknown)} is not known", f"ویژگی {min(unknown)} شناخته نیست"), path)
    made: dict[str, Any] = {k: v for k, v in node.attrib.items() if k != "value"}
    _read_children(node, "Element" if primitive else code, made, path, depth)
    if not primitive:
        return made, None
    raw = node.attrib.get("value")
    return None if raw is None else _primitive(raw, code), made or None


def _primitive(raw: str, code: str) -> Any:
    """The JSON value; what does not convert stays text, for the validator to name."""
    if code == "boolean" and raw in {"true", "false"}:
        return raw == "true"
    try:
        if code in _INTEGERS and len(raw) <= 18 and raw.isascii():
            return int(raw)
        if code == "decimal" and len(raw) <= 60 and raw.isascii():
            value = Decimal(raw)
            return value if value.is_finite() and abs(value.adjusted()) <= 308 else raw
    except (ValueError, InvalidOperation):
        return raw
    return raw


def _xhtml(node: ElementTree.Element, *, root: bool = False, depth: int = 0) -> str:
    """A narrative as text again, its namespace stated once."""
    if depth > MAX_DEPTH:
        raise _refused(
            Text(f"the narrative nests deeper than {MAX_DEPTH} levels", f"متن روایت بیش از {MAX_DEPTH} سطح تودرتوست")
        )
    namespace, _, name = node.tag.rpartition("}")
    if namespace != "{" + XHTML:
        raise _refused(Text(f"<{name}> in the narrative is not XHTML", f"<{name}> در متن روایت XHTML نیست"))
    attributes = f' xmlns="{XHTML}"' if root else ""
    attributes += "".join(
        _attribute("xml:" + k.rpartition("}")[2] if k[0] == "{" else k, v) for k, v in node.attrib.items()
    )
    inner = _escaped(node.text) + "".join(_xhtml(c, depth=depth + 1) + _escaped(c.tail) for c in node)
    return f"<{name}{attributes}>{inner}</{name}>" if inner else f"<{name}{attributes}/>"


def _escaped(text: str | None) -> str:
    return (text or "").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
