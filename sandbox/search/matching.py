"""A parameter with its modifier and value -> a look-up in the index table of its type."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from sandbox.fhir import definitions, searchvalues
from sandbox.fhir.definitions import SearchParameter
from sandbox.fhir.outcomes import BadRequestError, NotSupportedError, Text
from sandbox.search import terms, values
from sandbox.search.criteria import (
    BROAD,
    CODED,
    OWNED,
    SELECTIVE,
    UNIQUE,
    AnyOf,
    Criterion,
    Match,
    Never,
    Shape,
)
from sandbox.search.request import MAX_ALTERNATIVES

if TYPE_CHECKING:
    from sandbox.search.compile import Compiler

TABLES = {
    "token": "idx_token",
    "string": "idx_string",
    "reference": "idx_reference",
    "date": "idx_date",
    "number": "idx_quantity",
    "quantity": "idx_quantity",
    "uri": "idx_uri",
    "composite": "idx_composite",
}
MODIFIERS = {
    "token": {"not", "text", "in", "not-in", "of-type", "above", "below"},
    "string": {"exact", "contains"},
    "reference": {"identifier"},
    "uri": {"above", "below"},
}
_RANKS = {"string": SELECTIVE, "reference": OWNED, "uri": SELECTIVE, "composite": SELECTIVE, "token": CODED}
_BROAD_CODES = frozenset(
    {"status", "category", "gender", "active", "deceased", "intent", "priority", "class", "clinical-status",
     "verification-status", "use", "type", "_tag", "_security", "_profile"}
)  # fmt: skip


def criterion(compiler: Compiler, rtype: str, parameter: SearchParameter, modifier: str, value: str) -> Criterion:
    kind = parameter.type
    if kind not in TABLES:
        raise NotSupportedError(
            Text(f"{parameter.code} cannot be searched here.", f"پارامتر {parameter.code} در اینجا پشتیبانی نمی‌شود.")
        )
    if (
        modifier
        and modifier not in MODIFIERS.get(kind, ())
        and not (kind == "reference" and modifier in definitions.RESOURCE_TYPES)
    ):
        raise BadRequestError(
            Text(
                f"Modifier :{modifier} does not apply to {parameter.code}, a parameter of type {kind}.",
                f"تغییردهندهٔ ‎:{modifier} برای {parameter.code} از نوع {kind} معنا ندارد.",
            ),
            code="not-supported",
            rule="search-modifier",
        )
    param = compiler.dictionary.params[f"{rtype}.{parameter.code}"]
    if kind == "token" and modifier in ("in", "not-in", "above", "below"):
        return _by_terms(compiler, param, parameter, modifier, value)
    parts = searchvalues.alternatives(value, parameter.code)
    if len(parts) > MAX_ALTERNATIVES:
        raise BadRequestError(
            Text(
                f"{parameter.code} may have {MAX_ALTERNATIVES} alternatives.",
                f"{parameter.code} حداکثر {MAX_ALTERNATIVES} مقدار می‌پذیرد.",
            ),
            code="too-costly",
        )
    table, tests = TABLES[kind], [t for part in parts for t in _tests(compiler, parameter, modifier, part)]
    rank = _RANKS.get(kind, BROAD)
    if kind == "token":
        if modifier == "text":
            table, rank = "idx_text", BROAD
        elif modifier == "of-type":
            table, rank = "idx_of_type", UNIQUE
        elif parameter.code == "identifier":
            rank = UNIQUE
        elif parameter.code in _BROAD_CODES or any(name == "system|" for name, _ in tests):
            rank = BROAD
    elif kind == "reference" and modifier == "identifier":
        table, param = "idx_token", compiler.dictionary.params[f"{rtype}.{parameter.code}:identifier"]
    elif any(name == "contains" for name, _ in tests):
        rank = BROAD
    elif kind == "date" and all(name == "eq" for name, _ in tests):
        rank = CODED
    return _matching(table, param, tests, negated=modifier == "not", rank=rank)


def _tests(compiler: Compiler, parameter: SearchParameter, modifier: str, text: str) -> list[values.Test]:
    code = parameter.code
    match parameter.type:
        case "string":
            return [values.string(text, modifier)]
        case "token":
            if modifier == "text":
                return [values.token_text(text)]
            if modifier == "of-type":
                return [values.of_type(text, code, compiler.system)]
            return [values.token(text, code, compiler.system)]
        case "reference":
            if modifier == "identifier":
                return [values.token(text, code, compiler.system)]
            return [
                values.reference(
                    text, parameter, hint=modifier, own_base=compiler.base_url, find_type=compiler.type_number
                )
            ]
        case "date":
            return [values.date(text, code, compiler.now)]
        case "number":
            return [values.number(text, code)]
        case "quantity":
            return [values.quantity(text, code, compiler.system)]
        case "uri":
            return values.uri(text, code, modifier)
        case "composite":
            return [
                values.composite(
                    text, parameter, now=compiler.now, find_system=compiler.system, find_type=compiler.type_number
                )
            ]
    raise NotSupportedError(Text(f"{code} cannot be searched here.", f"پارامتر {code} در اینجا پشتیبانی نمی‌شود."))


def _by_terms(compiler: Compiler, param: int, parameter: SearchParameter, modifier: str, value: str) -> Criterion:
    """`:in` and `:not-in` name one value set; `:above` and `:below` alternatives of codes."""
    if modifier in ("above", "below"):
        parts = searchvalues.alternatives(value, parameter.code)
        tests = [test for part in parts for test in terms.in_hierarchy(compiler, parameter, modifier, part)]
    else:
        tests = terms.in_value_set(compiler, searchvalues.unescape(value))
    negated = modifier == "not-in"
    if not tests:
        return Criterion(AnyOf(((Never(),),), negated=negated))
    return _matching("idx_token", param, tests, negated=negated, rank=BROAD if len(tests) > _FEW_CODES else CODED)


_FEW_CODES = 50


@lru_cache(maxsize=4096)
def _match_shape(table: str, param: int, tests: tuple[str, ...], negated: bool, rank: int) -> Shape:
    return Match(table, param, tests, negated, rank)


def _matching(table: str, param: int, tests: list[values.Test], *, negated: bool, rank: int) -> Criterion:
    shape = _match_shape(table, param, tuple(name for name, _ in tests), negated, rank)
    return Criterion(shape, tuple(arg for _, args in tests for arg in args))
