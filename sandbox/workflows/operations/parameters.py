"""Reading an operation's input: a Parameters resource (or a query string), checked against what the operation declares.

http://hl7.org/fhir/R4/parameters.html, http://hl7.org/fhir/R4/operations.html#request
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.workflows.codes import Resource

Kind = Literal[
    "string", "code", "reference", "integer", "decimal", "boolean", "instant", "concept", "attachment", "dosage", "resource", "parts"
]  # fmt: skip
_VALUES: Final[dict[str, tuple[str, ...]]] = {
    "string": ("valueString", "valueCode", "valueId", "valueUri", "valueUrl", "valueMarkdown"),
    "code": ("valueCode", "valueString", "valueId"),
    "reference": ("valueReference", "valueString", "valueUri"),
    "integer": ("valueInteger", "valuePositiveInt", "valueUnsignedInt"),
    "decimal": ("valueDecimal", "valueInteger", "valueQuantity", "valuePositiveInt", "valueUnsignedInt"),
    "boolean": ("valueBoolean",),
    "instant": ("valueInstant", "valueDateTime", "valueDate"),
    "concept": ("valueCodeableConcept", "valueCoding"),
    "attachment": ("valueAttachment",),
    "dosage": ("valueDosage",),
}


_TEXT: Final = "text of a query"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One input. `many` makes it a list (empty when absent); `parts` are the inputs of a `parts` parameter."""

    name: str
    kind: Kind = "string"
    required: bool = False
    many: bool = False
    parts: tuple[Parameter, ...] = ()


def needed(name: str, kind: Kind = "string", *, parts: tuple[Parameter, ...] = ()) -> Parameter:
    return Parameter(name, kind, required=True, parts=parts)


def optional(name: str, kind: Kind = "string") -> Parameter:
    return Parameter(name, kind)


def several(
    name: str, kind: Kind = "string", *, required: bool = False, parts: tuple[Parameter, ...] = ()
) -> Parameter:
    return Parameter(name, kind, required=required, many=True, parts=parts)


def from_query(pairs: Iterable[tuple[str, str]]) -> list[Resource]:
    """A query string as parameters: simple values, given as text."""
    return [{"name": name, _TEXT: value} for name, value in pairs if name not in {"_format", "_pretty"}]


def listed(body: object) -> list[Resource]:
    """The `parameter` list of a Parameters resource. Raises `BadRequestError` on anything else."""
    if not isinstance(body, Mapping) or body.get("resourceType") != "Parameters":
        raise _bad("The body must be a Parameters resource.", "بدنه باید منبع Parameters باشد.", "Parameters")
    entries = body.get("parameter", [])
    if not isinstance(entries, list) or not all(
        isinstance(e, dict) and isinstance(e.get("name"), str) for e in entries
    ):
        raise _bad("Each parameter needs a name.", "هر پارامتر نام می‌خواهد.", "Parameters.parameter.name")
    return entries


def read(
    entries: Sequence[Resource], declared: Sequence[Parameter], *, path: str = "Parameters.parameter"
) -> dict[str, Any]:
    """Values by name: scalars, `Type/id` strings for references, dicts for parts. Raises `BadRequestError` naming the parameter."""
    known = {parameter.name: parameter for parameter in declared}
    values: dict[str, Any] = {p.name: [] for p in declared if p.many}
    for entry in entries:
        parameter = known.get(entry["name"])
        if parameter is None:
            names = ", ".join(known) or "none"
            raise _bad(
                f"Unknown parameter '{entry['name']}'. This operation takes: {names}.",
                f"پارامتر «{entry['name']}» شناخته نیست. پارامترهای این عملیات: {names}.",
                path,
            )
        where = f"{path}.where(name='{parameter.name}')"
        value = _value(entry, parameter, where)
        if parameter.many:
            values[parameter.name].append(value)
        elif parameter.name in values:
            raise _bad(f"'{parameter.name}' is given twice.", f"«{parameter.name}» دو بار داده شده است.", where)
        else:
            values[parameter.name] = value
    for parameter in declared:
        if parameter.required and not values.get(parameter.name) and values.get(parameter.name) not in (0, False):
            raise _bad(
                f"Parameter '{parameter.name}' ({parameter.kind}) is required.",
                f"پارامتر «{parameter.name}» ({parameter.kind}) الزامی است.",
                path,
                code="required",
            )
    return values


def _value(entry: Resource, parameter: Parameter, where: str) -> Any:
    if parameter.kind == "parts":
        inner = entry.get("part")
        if not isinstance(inner, list) or not all(
            isinstance(e, dict) and isinstance(e.get("name"), str) for e in inner
        ):
            raise _bad(f"'{parameter.name}' needs its parts.", f"«{parameter.name}» بخش‌های خود را می‌خواهد.", where)
        return read(inner, parameter.parts, path=f"{where}.part")
    if parameter.kind == "resource":
        resource = entry.get("resource")
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise _bad(f"'{parameter.name}' needs a resource.", f"«{parameter.name}» یک منبع می‌خواهد.", where)
        return resource
    if _TEXT in entry:
        text = entry[_TEXT]
        return _converted(
            {"true": True, "false": False}.get(text, text) if parameter.kind == "boolean" else text, parameter, where
        )
    name = next((n for n in _VALUES[parameter.kind] if n in entry), "")
    if not name:
        given = next((n for n in entry if n.startswith("value")), "no value")
        wanted = _VALUES[parameter.kind][0]
        raise _bad(
            f"'{parameter.name}' must be given as {wanted}, not {given}.",
            f"«{parameter.name}» باید با {wanted} داده شود، نه {given}.",
            where,
            code="value",
        )
    return _converted(entry[name], parameter, where)


def _converted(value: Any, parameter: Parameter, where: str) -> Any:
    """The value in Python's terms, or a `BadRequestError`: a query string gives every value as text."""
    found: Any = None
    try:
        match parameter.kind:
            case "string" | "code":
                found = str(value).strip() if isinstance(value, str) else None
            case "reference":
                found = value if isinstance(value, str) else value.get("reference")
            case "integer":
                found = None if isinstance(value, bool) else int(value)
            case "decimal":
                number = value.get("value") if isinstance(value, dict) else value
                found = None if isinstance(number, bool) or number is None else float(number)
            case "boolean":
                found = value if isinstance(value, bool) else None
            case "instant":
                datetime.fromisoformat(value)
                found = value
            case "concept":
                found = value if "coding" in value or "text" in value else {"coding": [value]}
            case _:
                found = value if isinstance(value, dict) else None
    except (TypeError, ValueError, AttributeError):
        found = None
    if found is None or found != found:  # NaN is no number
        raise _bad(
            f"'{parameter.name}' is no {parameter.kind}.",
            f"مقدار «{parameter.name}» از نوع {parameter.kind} نیست.",
            where,
            code="value",
        )
    return found


def _bad(en: str, fa: str, where: str, *, code: Literal["invalid", "required", "value"] = "invalid") -> BadRequestError:
    return BadRequestError(Text(en, fa), code=code, expression=(where,))


def answer(**named: Any) -> Resource:
    """A Parameters resource of resources (or lists of them) by name."""
    entries: list[Resource] = []
    for name, value in named.items():
        found = value if isinstance(value, list) else [value]
        entries += [{"name": name, "resource": resource} for resource in found]
    return {"resourceType": "Parameters", "parameter": entries}
