"""FHIRPath text -> syntax tree, by precedence climbing. http://hl7.org/fhirpath/N1 (grammar in appendix B)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final


class FhirPathSyntaxError(ValueError):
    """The expression is not FHIRPath; the message says where it stops being so."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant; `{}` is None. Dates and times stay text with their `@`, as their precision matters."""

    value: str | bool | int | Decimal | None
    kind: str


@dataclass(frozen=True, slots=True)
class Quantity:
    value: Decimal
    unit: str


@dataclass(frozen=True, slots=True)
class Variable:
    """`$this`, `$index`, `$total`, or an environment variable such as `%resource`."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`target.name`; without a target, a name looked up on the focus (or naming its type)."""

    target: Node | None
    name: str


@dataclass(frozen=True, slots=True)
class Call:
    target: Node | None
    name: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Indexer:
    target: Node
    index: Node


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class TypeTest:
    """`operand is T` or `operand as T`; also the function forms `is(T)`, `as(T)` and `ofType(T)`."""

    operator: str
    operand: Node
    type: str


Node = Literal | Quantity | Variable | Member | Call | Indexer | Unary | Binary | TypeTest

_TOKEN: Final = re.compile(
    r"""\s+|//[^\n]*|/\*.*?\*/
    |(?P<datetime>@\d{4}(?:-\d\d(?:-\d\d)?)?(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:\d\d)?)?)?)
    |(?P<time>@T\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<string>'(?:[^'\\]|\\.)*')
    |(?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    |(?P<external>%(?:[A-Za-z_][\w-]*|`[^`]*`|'[^']*'))
    |(?P<name>\$?[A-Za-z_]\w*)
    |(?P<op><=|>=|!=|!~|[-+*/&|<>=~.,()\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}
_PRECEDENCE: Final = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, "<=": 6, ">": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9,
    "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
_UNITS: Final = {"year", "month", "week", "day", "hour", "minute", "second", "millisecond"}
_MAX_DEPTH: Final = 100


def unescape(text: str) -> str:
    r"""The value of a quoted FHIRPath token: `\'`, `\n`, `é` and so on resolved."""

    def resolve(match: re.Match[str]) -> str:
        code = match[1]
        return chr(int(code[1:], 16)) if len(code) == 5 else _ESCAPES.get(code, code)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", resolve, text[1:-1], flags=re.DOTALL)


def _tokens(text: str) -> list[tuple[str, str, int]]:
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise FhirPathSyntaxError(f"unexpected {text[at]!r} at position {at + 1}")
        if match.lastgroup is not None:
            found.append((match.lastgroup, match[0], at))
        at = match.end()
    return [*found, ("end", "", len(text))]


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0
        self.depth = 0

    def fail(self, wanted: str) -> FhirPathSyntaxError:
        _, text, position = self.tokens[self.at]
        return FhirPathSyntaxError(f"expected {wanted}, found {text or 'the end'!r} at position {position + 1}")

    def take(self, text: str) -> bool:
        if self.tokens[self.at][1] == text and self.tokens[self.at][0] in {"op", "name"}:
            self.at += 1
            return True
        return False

    def need(self, text: str) -> None:
        if not self.take(text):
            raise self.fail(repr(text))

    def expression(self, floor: int = 0) -> Node:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise FhirPathSyntaxError(f"nested deeper than {_MAX_DEPTH} levels")
        left = self.unary()
        while True:
            kind, operator, _ = self.tokens[self.at]
            level = _PRECEDENCE.get(operator, -1) if kind in {"op", "name"} else -1
            if level <= floor:
                break
            self.at += 1
            if operator in {"is", "as"}:
                left = TypeTest(operator, left, self.type_name())
            else:
                left = Binary(operator, left, self.expression(level))
        self.depth -= 1
        return left

    def unary(self) -> Node:
        for sign in ("+", "-"):
            if self.take(sign):
                return Unary(sign, self.unary())
        return self.postfix(self.term())

    def postfix(self, node: Node) -> Node:
        while True:
            if self.take("."):
                node = self.invocation(node)
            elif self.take("["):
                node = Indexer(node, self.expression())
                self.need("]")
            else:
                return node

    def term(self) -> Node:
        kind, text, _ = self.tokens[self.at]
        if self.take("("):
            inner = self.expression()
            self.need(")")
            return inner
        if self.take("{"):
            self.need("}")
            return Literal(None, "empty")
        if kind in {"name", "quoted"} and text not in {"true", "false"} and not text.startswith("$"):
            return self.invocation(None)
        self.at += 1
        if kind == "number":
            return self.number(text)
        if kind in {"datetime", "time"}:
            return Literal(text, "time" if kind == "time" else "dateTime" if "T" in text else "date")
        if kind == "string":
            return Literal(unescape(text), "string")
        if kind == "external":
            return Variable("%" + (unescape(text[1:]) if text[1] in "`'" else text[1:]))
        if text in {"true", "false"}:
            return Literal(text == "true", "boolean")
        if text in {"$this", "$index", "$total"}:
            return Variable(text)
        self.at -= 1
        raise self.fail("an expression")

    def number(self, text: str) -> Node:
        kind, unit, _ = self.tokens[self.at]
        if kind == "string":
            self.at += 1
            return Quantity(Decimal(text), unescape(unit))
        if kind == "name" and unit.removesuffix("s") in _UNITS:
            self.at += 1
            return Quantity(Decimal(text), unit.removesuffix("s"))
        return Literal(Decimal(text), "decimal") if "." in text else Literal(int(text), "integer")

    def name(self) -> str:
        kind, text, _ = self.tokens[self.at]
        if kind not in {"name", "quoted"}:
            raise self.fail("a name")
        self.at += 1
        return unescape(text) if kind == "quoted" else text

    def type_name(self) -> str:
        """A type specifier, its namespace dropped except for `System`, whose types differ from FHIR's."""
        bracket = self.take("(")
        name = self.name()
        while self.take("."):
            following = self.name()
            name = f"System.{following}" if name == "System" else following
        if bracket:
            self.need(")")
        return name

    def invocation(self, target: Node | None) -> Node:
        if self.tokens[self.at][1] in {"$this", "$index", "$total"}:
            self.at += 1
            return Variable(self.tokens[self.at - 1][1])
        name = self.name()
        if not self.take("("):
            return Member(target, name)
        if name in {"is", "as", "ofType"}:
            kind = self.type_name()
            self.need(")")
            return TypeTest(name, Variable("$this") if target is None else target, kind)
        arguments = []
        if not self.take(")"):
            arguments.append(self.expression())
            while self.take(","):
                arguments.append(self.expression())
            self.need(")")
        return Call(target, name, tuple(arguments))


@lru_cache(maxsize=4096)
def parse(text: str) -> Node:
    """The syntax tree of an expression. Raises `FhirPathSyntaxError`."""
    parser = _Parser(text)
    node = parser.expression()
    if parser.tokens[parser.at][0] != "end":
        raise parser.fail("the end of the expression")
    return node
