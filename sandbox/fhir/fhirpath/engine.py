"""The whole of FHIRPath as closures over typed items: invariants, FHIRPath Patch, anything beyond plain paths.

http://hl7.org/fhirpath/N1; environment and additions: http://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from sandbox.fhir.fhirpath.items import Item, compare, equal, is_a, literal, member, of_resource
from sandbox.fhir.fhirpath.syntax import (
    Binary,
    Call,
    Indexer,
    Literal,
    Member,
    Node,
    Quantity,
    TypeTest,
    Unary,
    Variable,
    parse,
)

Items = list[Item]
Evaluator = Callable[[Items, "Environment"], Items]
Function = Callable[[Items, "Environment", tuple[Evaluator, ...]], Items]

MAX_ITEMS: Final = 100_000
"""An expression that touches more is refused: it would be a way to keep the server busy."""


class EvaluationError(ValueError):
    """The expression does not apply to this data; the message says why."""


class Environment:
    """What `%resource`, `$this` and the rest mean during one evaluation."""

    __slots__ = ("budget", "context", "index", "resource", "root", "this", "total", "variables")

    def __init__(
        self,
        context: Item,
        resource: Item | None = None,
        root: Item | None = None,
        variables: dict[str, Any] | None = None,
    ) -> None:
        self.context = context
        self.resource = resource or context
        self.root = root or self.resource
        self.this: Items = [context]
        self.index: int = 0
        self.total: Items = []
        self.variables = variables or {}
        self.budget = MAX_ITEMS

    def spend(self, items: int) -> None:
        self.budget -= items
        if self.budget < 0:
            raise EvaluationError("the expression visits too many elements")


_CONSTANTS: Final = {
    "%ucum": "http://unitsofmeasure.org",
    "%sct": "http://snomed.info/sct",
    "%loinc": "http://loinc.org",
}
TRUE: Final = [literal(True)]
FALSE: Final = [literal(False)]


def truth(items: Items) -> bool | None:
    """A collection in a boolean place: empty is None, one non-boolean item counts as true."""
    if not items:
        return None
    if len(items) > 1:
        raise EvaluationError("a single true or false is needed, found several items")
    value = items[0].value
    return value if isinstance(value, bool) else True


def boolean(value: bool | None) -> Items:
    return [] if value is None else TRUE if value else FALSE


def single(items: Items) -> Item | None:
    if len(items) > 1:
        raise EvaluationError("one item is needed, found several")
    return items[0] if items else None


def functions() -> dict[str, Function]:
    # Imported late: the function library is written in terms of this module.
    from sandbox.fhir.fhirpath.functions import FUNCTIONS

    return FUNCTIONS


@lru_cache(maxsize=4096)
def evaluator(expression: str) -> Evaluator:
    """The compiled expression. Raises `FhirPathSyntaxError`, or `EvaluationError` for an unknown function."""
    return _compile(parse(expression))


def evaluate(expression: str, resource: dict[str, Any]) -> list[Any]:
    """The values an expression yields on a resource. Raises `EvaluationError`."""
    root = of_resource(resource)
    return [item.value for item in evaluator(expression)([root], Environment(root))]


def _compile(node: Node) -> Evaluator:
    match node:
        case Literal(value, kind):
            return _constant(value, kind)
        case Quantity():
            constant = [literal(node)]
            return lambda focus, env: constant
        case Variable(name):
            return _variable(name)
        case Member(target, name):
            return _navigation(None if target is None else _compile(target), name)
        case Indexer(target, index):
            return _indexer(_compile(target), _compile(index))
        case Unary(sign, operand):
            return _unary(sign, _compile(operand))
        case TypeTest(kind, operand, wanted):
            return _type_test(kind, _compile(operand), wanted)
        case Call(target, name, arguments):
            return _call(None if target is None else _compile(target), name, tuple(_compile(a) for a in arguments))
        case Binary(symbol, left, right):
            return _binary(symbol, _compile(left), _compile(right))
    raise EvaluationError(f"cannot evaluate {node}")


def _constant(value: Any, kind: str) -> Evaluator:
    if kind == "empty":
        return lambda focus, env: []
    names = {"date": "System.Date", "dateTime": "System.DateTime", "time": "System.Time"}
    items = [Item(value, names[kind])] if kind in names else [literal(value)]
    return lambda focus, env: items


def _variable(name: str) -> Evaluator:
    if name in _CONSTANTS:
        items = [literal(_CONSTANTS[name])]
        return lambda focus, env: items
    if name.startswith(("%vs-", "%ext-")):
        kind, _, tail = name[1:].partition("-")
        base = "http://hl7.org/fhir/ValueSet/" if kind == "vs" else "http://hl7.org/fhir/StructureDefinition/"
        items = [literal(base + tail)]
        return lambda focus, env: items
    readers: dict[str, Evaluator] = {
        "$this": lambda focus, env: env.this,
        "$index": lambda focus, env: [literal(env.index)],
        "$total": lambda focus, env: env.total,
        "%resource": lambda focus, env: [env.resource],
        "%rootResource": lambda focus, env: [env.root],
        "%context": lambda focus, env: [env.context],
    }
    if name in readers:
        return readers[name]

    def named(focus: Items, env: Environment) -> Items:
        if name[1:] not in env.variables:
            raise EvaluationError(f"{name} is not defined")
        return [literal(env.variables[name[1:]])]

    return named


def _navigation(target: Evaluator | None, name: str) -> Evaluator:
    def navigate(focus: Items, env: Environment) -> Items:
        found: Items = []
        for item in focus if target is None else target(focus, env):
            if target is None and item.parent is None and item.type and is_a(item, name):
                found.append(item)
            else:
                found.extend(member(item, name))
        env.spend(len(found) + 1)
        return found

    return navigate


def _indexer(target: Evaluator, index: Evaluator) -> Evaluator:
    def nth(focus: Items, env: Environment) -> Items:
        at = single(index(focus, env))
        items = target(focus, env)
        if at is None or not isinstance(at.value, int) or not 0 <= at.value < len(items):
            return []
        return [items[at.value]]

    return nth


def _unary(sign: str, operand: Evaluator) -> Evaluator:
    def signed(focus: Items, env: Environment) -> Items:
        item = single(operand(focus, env))
        if item is None:
            return []
        if isinstance(item.value, bool) or not isinstance(item.value, (int, float, Decimal)):
            raise EvaluationError(f"{sign} needs a number")
        return [literal(-item.value if sign == "-" else item.value)]

    return signed


def _type_test(kind: str, operand: Evaluator, wanted: str) -> Evaluator:
    if kind == "is":

        def test(focus: Items, env: Environment) -> Items:
            item = single(operand(focus, env))
            return [] if item is None else boolean(is_a(item, wanted))

        return test
    # R4 uses `as` on collections too, meaning a filter.
    return lambda focus, env: [i for i in operand(focus, env) if is_a(i, wanted)]


def _call(target: Evaluator | None, name: str, arguments: tuple[Evaluator, ...]) -> Evaluator:
    function = functions().get(name)
    if function is None:
        raise EvaluationError(f"unknown function {name}()")

    def call(focus: Items, env: Environment) -> Items:
        subject = focus if target is None else target(focus, env)
        env.spend(len(subject) + 1)
        return function(subject, env, arguments)

    return call


def _binary(symbol: str, left: Evaluator, right: Evaluator) -> Evaluator:
    if symbol in _LOGIC:
        return _logic(symbol, left, right)
    operation = _OPERATIONS[symbol]

    def apply(focus: Items, env: Environment) -> Items:
        return operation(left(focus, env), right(focus, env))

    return apply


_LOGIC: Final = frozenset({"and", "or", "xor", "implies"})


def _logic(symbol: str, left: Evaluator, right: Evaluator) -> Evaluator:
    """Three-valued logic; the right side is not evaluated when the left decides."""

    def decide(focus: Items, env: Environment) -> Items:
        a = truth(left(focus, env))
        if (symbol == "and" and a is False) or (symbol == "or" and a is True):
            return boolean(a)
        if symbol == "implies" and a is False:
            return TRUE
        b = truth(right(focus, env))
        return boolean(_TABLES[symbol](a, b))

    return decide


def _and(a: bool | None, b: bool | None) -> bool | None:
    return False if a is False or b is False else None if a is None or b is None else True


def _or(a: bool | None, b: bool | None) -> bool | None:
    return True if a or b else None if a is None or b is None else False


_TABLES: Final[dict[str, Callable[[bool | None, bool | None], bool | None]]] = {
    "and": _and,
    "or": _or,
    "xor": lambda a, b: None if a is None or b is None else a != b,
    "implies": lambda a, b: _or(None if a is None else not a, b),
}


def same(left: Items, right: Items) -> bool | None:
    """`=` of collections: as many items, pairwise equal."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    verdicts = [equal(a, b) for a, b in zip(left, right, strict=True)]
    return False if False in verdicts else None if None in verdicts else True


def equivalent(left: Items, right: Items) -> bool:
    """`~`: order, case and white space do not matter."""

    def key(item: Item) -> str:
        return " ".join(str(item.value).lower().split())

    return sorted(map(key, left)) == sorted(map(key, right))


def contains(items: Items, one: Item) -> bool:
    return any(equal(item, one) for item in items)


def distinct(items: Items) -> Items:
    found: Items = []
    for item in items:
        if not contains(found, item):
            found.append(item)
    return found


def _invert(value: bool | None) -> bool | None:
    return None if value is None else not value


def _ordering(test: Callable[[int, int], bool]) -> Callable[[Items, Items], Items]:
    def order(left: Items, right: Items) -> Items:
        a, b = single(left), single(right)
        if a is None or b is None:
            return []
        verdict = compare(a, b)
        return [] if verdict is None else boolean(test(verdict, 0))

    return order


def _membership(one: Items, many: Items) -> Items:
    item = single(one)
    return [] if item is None else boolean(contains(many, item))


def _arithmetic(calculate: Callable[[Any, Any], Any]) -> Callable[[Items, Items], Items]:
    def operation(left: Items, right: Items) -> Items:
        a, b = single(left), single(right)
        if a is None or b is None:
            return []
        first, second = a.value, b.value
        if isinstance(first, float) or isinstance(second, float):
            first, second = Decimal(str(first)), Decimal(str(second))
        try:
            return [literal(calculate(first, second))]
        except ArithmeticError:
            return []
        except TypeError as error:
            raise EvaluationError("these values do not calculate") from error

    return operation


def _concatenate(left: Items, right: Items) -> Items:
    a, b = single(left), single(right)
    return [literal(("" if a is None else str(a.value)) + ("" if b is None else str(b.value)))]


_OPERATIONS: Final[dict[str, Callable[[Items, Items], Items]]] = {
    "=": lambda a, b: boolean(same(a, b)),
    "!=": lambda a, b: boolean(_invert(same(a, b))),
    "~": lambda a, b: boolean(equivalent(a, b)),
    "!~": lambda a, b: boolean(not equivalent(a, b)),
    "<": _ordering(operator.lt),
    "<=": _ordering(operator.le),
    ">": _ordering(operator.gt),
    ">=": _ordering(operator.ge),
    "|": lambda a, b: distinct([*a, *b]),
    "in": _membership,
    "contains": lambda a, b: _membership(b, a),
    "+": _arithmetic(operator.add),
    "-": _arithmetic(operator.sub),
    "*": _arithmetic(operator.mul),
    "/": _arithmetic(lambda a, b: Decimal(str(a)) / Decimal(str(b))),
    "div": _arithmetic(lambda a, b: int(Decimal(str(a)) // Decimal(str(b)))),
    "mod": _arithmetic(lambda a, b: a % b),
    "&": _concatenate,
}
