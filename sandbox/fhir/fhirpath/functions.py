"""FHIRPath's function library. http://hl7.org/fhirpath/N1/#functions, http://hl7.org/fhir/R4/fhirpath.html#functions"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sandbox.fhir import references
from sandbox.fhir.fhirpath import items as tree
from sandbox.fhir.fhirpath.engine import (
    Environment,
    EvaluationError,
    Evaluator,
    Function,
    Items,
    boolean,
    contains,
    distinct,
    single,
    truth,
)
from sandbox.fhir.fhirpath.items import Item, literal

MAX_PATTERN: Final = 500


def _each(focus: Items, env: Environment, argument: Evaluator) -> Iterator[tuple[Item, Items]]:
    """Evaluate an argument with every item in turn as `$this`."""
    this, index = env.this, env.index
    try:
        for i, item in enumerate(focus):
            env.this, env.index = [item], i
            yield item, argument([item], env)
    finally:
        env.this, env.index = this, index


def _where(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    return [item for item, result in _each(focus, env, arguments[0]) if truth(result)]


def _select(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    return [found for _, result in _each(focus, env, arguments[0]) for found in result]


def _exists(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    return boolean(bool(_where(focus, env, arguments) if arguments else focus))


def _all(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    return boolean(all(truth(result) for _, result in _each(focus, env, arguments[0])))


def _repeat(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    found: Items = []
    queue = list(focus)
    while queue:
        fresh = _select(queue, env, arguments)
        env.spend(len(fresh) + 1)
        queue = [item for item in fresh if not contains(found, item)]
        found.extend(queue)
    return found


def _iif(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    this, env.this = env.this, focus
    try:
        if truth(arguments[0](focus, env)):
            return arguments[1](focus, env)
        return arguments[2](focus, env) if len(arguments) > 2 else []
    finally:
        env.this = this


def _descendants(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    found: Items = []
    queue = list(focus)
    while queue:
        queue = [child for item in queue for child in tree.children(item)]
        env.spend(len(queue) + 1)
        found.extend(queue)
    return found


def _integer(env: Environment, focus: Items, argument: Evaluator) -> int:
    item = single(argument(focus, env))
    if item is None or isinstance(item.value, bool) or not isinstance(item.value, int):
        raise EvaluationError("an integer argument is needed")
    return item.value


def _slice(cut: Callable[[Items, int], Items]) -> Function:
    return lambda focus, env, arguments: cut(focus, _integer(env, focus, arguments[0]))


def _text_function(apply: Callable[..., Any]) -> Function:
    """A function of one string and its evaluated arguments; empty in, empty out."""

    def function(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
        item = single(focus)
        values = [single(a(env.this, env)) for a in arguments]
        if item is None or item.value is None or any(v is None for v in values):
            return []
        if not isinstance(item.value, str):
            raise EvaluationError("a string is needed")
        result = apply(item.value, *[v.value for v in values if v is not None])
        return [] if result is None else [literal(result)]

    return function


def _pattern(text: str) -> re.Pattern[str]:
    if len(text) > MAX_PATTERN:
        raise EvaluationError("the regular expression is too long")
    try:
        return re.compile(text)
    except re.error as error:
        raise EvaluationError(f"bad regular expression: {error}") from error


def _substring(text: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


def _math(calculate: Callable[..., Any]) -> Function:
    def function(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
        item = single(focus)
        values = [single(a(focus, env)) for a in arguments]
        if item is None or any(v is None for v in values):
            return []
        try:
            return [literal(calculate(item.value, *[v.value for v in values if v is not None]))]
        except (ValueError, ArithmeticError):
            return []
        except TypeError as error:
            raise EvaluationError("a number is needed") from error

    return function


def _conversion(convert: Callable[[Any], Any]) -> Function:
    def function(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
        item = single(focus)
        if item is None:
            return []
        try:
            value = convert(item.value)
        except (ValueError, TypeError, InvalidOperation):
            return []
        return [] if value is None else [literal(value)]

    return function


def _convertible(convert: Callable[[Any], Any]) -> Function:
    converted = _conversion(convert)
    return lambda focus, env, arguments: boolean(bool(converted(focus, env, arguments))) if focus else []


def _to_integer(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if re.fullmatch(r"[+-]?\d{1,18}", value) else None
    return int(value) if isinstance(value, int) else None


def _to_decimal(value: Any) -> Decimal | None:
    if isinstance(value, str):
        return Decimal(value) if re.fullmatch(r"[+-]?\d{1,40}(\.\d{1,40})?", value) else None
    return Decimal(str(int(value) if isinstance(value, bool) else value))


def _to_boolean(value: Any) -> bool | None:
    known = {"true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True}
    known |= {"false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False}
    return known.get(str(value).lower())


def _to_string(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int, float, Decimal)) else None


def _extension(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    url = single(arguments[0](focus, env))
    wanted = None if url is None else url.value
    return [
        e
        for item in focus
        for e in tree.member(item, "extension")
        if isinstance(e.value, dict) and e.value.get("url") == wanted
    ]


def _resolve(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    """Contained resources for real; for the rest a stand-in that knows only its type, which is what `is` asks for."""
    found: Items = []
    for item in focus:
        raw = item.value.get("reference") if isinstance(item.value, dict) else item.value
        target = references.parse(raw) if isinstance(raw, str) else None
        if target is None:
            continue
        if target.kind == "contained":
            found += [c for c in tree.member(env.root, "contained") if c.value.get("id") == target.id]
        elif target.type:
            found.append(Item({"resourceType": target.type, "id": target.id}, target.type))
    return found


def _has_value(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    return boolean(len(focus) == 1 and focus[0].value is not None and not isinstance(focus[0].value, (dict, list)))


def _aggregate(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    total, env.total = env.total, arguments[1](focus, env) if len(arguments) > 1 else []
    try:
        for _, result in _each(focus, env, arguments[0]):
            env.total = result
        return env.total
    finally:
        env.total = total


def _evaluated(combine: Callable[[Items, Items], Items]) -> Function:
    return lambda focus, env, arguments: combine(focus, arguments[0](env.this, env))


def _truths(verdict: Callable[[list[bool | None]], bool]) -> Function:
    return lambda focus, env, arguments: boolean(verdict([truth([item]) for item in focus]))


def _distinct_only(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    # Strings, the usual case, compare as a set; anything else pairwise.
    if all(isinstance(i.value, str) for i in focus):
        return boolean(len({i.value for i in focus}) == len(focus))
    return boolean(len(distinct(focus)) == len(focus))


def _not(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    value = truth(focus)
    return [] if value is None else boolean(not value)


def _single(focus: Items, env: Environment, arguments: tuple[Evaluator, ...]) -> Items:
    item = single(focus)
    return [] if item is None else [item]


FUNCTIONS: Final[dict[str, Function]] = {
    "empty": lambda focus, env, arguments: boolean(not focus),
    "exists": _exists,
    "all": _all,
    "allTrue": _truths(lambda v: all(v)),
    "anyTrue": _truths(lambda v: any(v)),
    "allFalse": _truths(lambda v: not any(v)),
    "anyFalse": _truths(lambda v: False in v),
    "subsetOf": _evaluated(lambda a, b: boolean(all(contains(b, i) for i in a))),
    "supersetOf": _evaluated(lambda a, b: boolean(all(contains(a, i) for i in b))),
    "count": lambda focus, env, arguments: [literal(len(focus))],
    "distinct": lambda focus, env, arguments: distinct(focus),
    "isDistinct": _distinct_only,
    "where": _where,
    "select": _select,
    "repeat": _repeat,
    "aggregate": _aggregate,
    "single": _single,
    "first": lambda focus, env, arguments: focus[:1],
    "last": lambda focus, env, arguments: focus[-1:],
    "tail": lambda focus, env, arguments: focus[1:],
    "skip": _slice(lambda items, n: items[max(n, 0) :]),
    "take": _slice(lambda items, n: items[: max(n, 0)]),
    "intersect": _evaluated(lambda a, b: distinct([i for i in a if contains(b, i)])),
    "exclude": _evaluated(lambda a, b: [i for i in a if not contains(b, i)]),
    "union": _evaluated(lambda a, b: distinct([*a, *b])),
    "combine": _evaluated(lambda a, b: [*a, *b]),
    "iif": _iif,
    "not": _not,
    "children": lambda focus, env, arguments: [c for item in focus for c in tree.children(item)],
    "descendants": _descendants,
    "trace": lambda focus, env, arguments: focus,
    "extension": _extension,
    "hasExtension": lambda focus, env, arguments: boolean(bool(_extension(focus, env, arguments))),
    "hasValue": _has_value,
    "getValue": lambda focus, env, arguments: focus if truth(_has_value(focus, env, ())) else [],
    "resolve": _resolve,
    # Narratives are checked by the validator itself, which sees the text.
    "htmlChecks": lambda focus, env, arguments: boolean(True),
    "toInteger": _conversion(_to_integer),
    "toDecimal": _conversion(_to_decimal),
    "toBoolean": _conversion(_to_boolean),
    "toString": _conversion(_to_string),
    "convertsToInteger": _convertible(_to_integer),
    "convertsToDecimal": _convertible(_to_decimal),
    "convertsToBoolean": _convertible(_to_boolean),
    "convertsToString": _convertible(_to_string),
    "indexOf": _text_function(lambda text, part: text.find(part)),
    "substring": _text_function(_substring),
    "startsWith": _text_function(lambda text, part: text.startswith(part)),
    "endsWith": _text_function(lambda text, part: text.endswith(part)),
    "contains": _text_function(lambda text, part: part in text),
    "upper": _text_function(str.upper),
    "lower": _text_function(str.lower),
    "replace": _text_function(lambda text, old, new: text.replace(old, new)),
    "matches": _text_function(lambda text, pattern: _pattern(pattern).search(text) is not None),
    "replaceMatches": _text_function(lambda text, pattern, new: _pattern(pattern).sub(new, text)),
    "length": _text_function(len),
    "abs": _math(abs),
    "ceiling": _math(math.ceil),
    "floor": _math(math.floor),
    "truncate": _math(math.trunc),
    "round": _math(lambda value, digits=0: round(Decimal(str(value)), digits)),
    "sqrt": _math(math.sqrt),
    "ln": _math(math.log),
    "exp": _math(math.exp),
    "log": _math(lambda value, base: math.log(value, base)),
    "power": _math(lambda value, exponent: float(value) ** float(exponent)),
}
