"""One search value -> the test it becomes and the arguments of that test, per parameter type and modifier."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from sandbox.fhir import searchvalues
from sandbox.fhir.definitions import SearchParameter
from sandbox.fhir.folding import fold
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.fhir.searchvalues import CanonicalRange, NumberValue
from sandbox.search.criteria import composite_test

Test = tuple[str, tuple[Any, ...]]
FindSystem = Callable[[str], int]
FindType = Callable[[str], int]
_TOP = "\U0010ffff"


def like(text: str) -> str:
    """A LIKE pattern for text anywhere, its own wildcards escaped with `!`."""
    return "%" + text.replace("!", "!!").replace("%", "!%").replace("_", "!_") + "%"


def starts(folded: str) -> tuple[str, str]:
    """The range of all texts that start with `folded`."""
    return folded, folded + _TOP


def string(text: str, modifier: str) -> Test:
    if modifier == "exact":
        raw = searchvalues.unescape(text)
        return "exact", (fold(raw), raw)
    folded = searchvalues.string(text)
    if modifier == "contains":
        return "contains", (like(folded),)
    return "starts", starts(folded)


def token(text: str, parameter: str, find_system: FindSystem) -> Test:
    value = searchvalues.token(text, parameter)
    if value.system is None:
        return "code", (value.code,)
    if value.code is None:
        return "system|", (find_system(value.system),)
    if not value.system:
        return "|code", (value.code,)
    return "system|code", (value.code, find_system(value.system))


def token_text(text: str) -> Test:
    """`:text`: displays and texts, from the start of any word."""
    return "contains", (like(searchvalues.string(text)),)


def of_type(text: str, parameter: str, find_system: FindSystem) -> Test:
    value = searchvalues.of_type(text, parameter)
    return "of-type", (value.value, value.type_code, find_system(value.type_system))


def reference(text: str, parameter: SearchParameter, *, hint: str, own_base: str, find_type: FindType) -> Test:
    sole = sole_target(parameter)
    value = searchvalues.reference(text, parameter.code, own_base=own_base, type_hint=hint)
    if value.url:
        return "url", (value.url,)
    kind = value.type or hint or sole
    return ("typed", (value.id, find_type(kind))) if kind else ("any", (value.id,))


@cache
def sole_target(parameter: SearchParameter) -> str:
    """The only type a parameter's index holds, "" when there are several: `patient` is "subject that is a Patient"."""
    found = set(_RESOLVES.findall(parameter.expression))
    if len(found) == 1 and parameter.expression.count("resolve()") == parameter.expression.count("|") + 1:
        return str(found.pop())
    return parameter.targets[0] if len(parameter.targets) == 1 else ""


_RESOLVES = re.compile(r"resolve\(\) is (\w+)")


def date(text: str, parameter: str, now: int) -> Test:
    value = searchvalues.date(text, parameter)
    match value.prefix:
        case "ap":
            return "ap", searchvalues.approximate_date(value, now)
        case "gt" | "sa":
            return value.prefix, (value.hi,)
        case "lt" | "eb":
            return value.prefix, (value.lo,)
        case _:
            return value.prefix, (value.lo, value.hi)


def _number_test(prefix: str, value: NumberValue | CanonicalRange) -> Test:
    match prefix:
        case "ap":
            return "ap", searchvalues.approximate_number(value)
        case "eq" | "ne":
            return prefix, (value.lo, value.hi)
        case "sa":
            return prefix, (value.hi,)
        case "eb":
            return prefix, (value.lo,)
        case _:
            return prefix, (value.exact,)


def number(text: str, parameter: str) -> Test:
    value = searchvalues.number(text, parameter)
    return _number_test(value.prefix, value)


def quantity(text: str, parameter: str, find_system: FindSystem) -> Test:
    value = searchvalues.quantity(text, parameter)
    if value.canonical is not None:
        op, args = _number_test(value.prefix, value.canonical)
        return f"{op}|canonical", (*args, value.canonical.unit)
    op, args = _number_test(value.prefix, NumberValue(value.prefix, value.lo, value.hi, value.exact))
    if not value.code:
        return op, args
    if value.system is None:
        return f"{op}|code", (*args, value.code)
    return f"{op}|system|code", (*args, value.code, find_system(value.system))


def uri(text: str, parameter: str, modifier: str) -> list[Test]:
    value = searchvalues.uri(text)
    if modifier == "below":
        base = value.rstrip("/")
        return [("below", (value, base + "/", base + "/" + _TOP))]
    if modifier == "above":
        return [("equals", (above,)) for above in _above(value)]
    if not value:
        raise BadRequestError(
            Text(f"Search parameter {parameter}: the URI is empty.", f"پارامتر {parameter}: نشانی خالی است.")
        )
    return [("equals", (value,))]


def _above(value: str) -> list[str]:
    """The URI itself and every path above it."""
    scheme, separator, rest = value.partition("://")
    if not separator:
        return [value]
    parts = rest.split("/")
    return [f"{scheme}://{'/'.join(parts[:n])}" for n in range(len(parts), 0, -1)]


def composite(text: str, parameter: SearchParameter, *, now: int, find_system: FindSystem, find_type: FindType) -> Test:
    names: list[str] = []
    args: list[Any] = []
    for part, component in zip(
        searchvalues.composite(text, parameter.code, len(parameter.components)), parameter.components, strict=True
    ):
        match component.type:
            case "token":
                op, own = token(part, parameter.code, find_system)
            case "string":
                op, own = string(part, "")
            case "reference":
                value = searchvalues.reference(part, parameter.code)
                op, own = "exact", (value.url or f"{value.type}/{value.id}",)
            case "date":
                op, own = date(part, parameter.code, now)
                op = f"date:{op}"
            case "quantity":
                op, own = quantity(part, parameter.code, find_system)
                op, own = _composite_quantity(op, own)
            case "number":
                op, own = number(part, parameter.code)
                op = f"number:{op}"
            case other:
                raise BadRequestError(
                    Text(
                        f"Component {component.code} of type {other} cannot be searched.",
                        f"جزء {component.code} جست‌وجوپذیر نیست.",
                    )
                )
        names.append(op)
        args += own
    return composite_test(*names), tuple(args)


def _composite_quantity(op: str, args: tuple[Any, ...]) -> Test:
    kind, _, unit = op.partition("|")
    if not unit:
        return f"quantity:{kind}", args
    if unit == "canonical":
        return f"quantity:{kind}|unit", (*args[:-1], "ucum:" + args[-1])
    if unit == "system|code":
        args = args[:-1]  # the row keeps the unit's code only
    return f"quantity:{kind}|unit", args
