"""Search-parameter paths -> closures that feed an emitter, typed at compile time by the element tables.

Every step knows the FHIR type it stands on, so `Observation.value as Quantity` becomes one look-up of `valueQuantity` and a
branch that cannot exist costs nothing. A path is built backwards, in continuation-passing style: each step is a function
`(node, out)` that hands its children to the next one; the last is the emitter the caller chose for the type that arrives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.fhir import definitions, references
from sandbox.fhir.definitions import Element
from sandbox.fhir.fhirpath.syntax import Binary, Call, Indexer, Literal, Member, Node, TypeTest, Variable, parse

Sink = Any
"""Whatever the emitter writes to: a list, or the entries of an index."""
Step = Callable[[Any, Sink], None]
Test = Callable[[Any], bool]
Emitter = Callable[[str, Element | None], Step | None]
"""Chooses the last step for a FHIR type and the element that holds it (None at the root).

Answering None refuses the type, and the whole branch disappears."""

_LOWER_CASED = {"DateTime": "dateTime", "Date": "date", "String": "string", "Uri": "uri", "Boolean": "boolean"}


class UnsupportedPathError(ValueError):
    """Beyond the subset that search parameters use; the full evaluator takes it."""


def compile_path(expression: str, type_name: str, emitter: Emitter) -> Step | None:
    """One step for the whole expression on a value of `type_name`; None when nothing could ever match."""
    return build_step(parse(expression), type_name, emitter)


def build_step(node: Node, type_name: str, emitter: Emitter) -> Step | None:
    """`compile_path` for an expression already parsed."""
    return _build(node, type_name, emitter, type_name)


def _build(node: Node, type_name: str, emit: Emitter, root: str) -> Step | None:
    match node:
        case Variable("$this"):
            return emit(type_name, None)
        case Member(None, name):
            if definitions.is_subtype(root, name) and type_name == root:
                return emit(type_name, None)
            return _member(type_name, name, emit)
        case Member(target, name) if target is not None:
            return _build(target, type_name, lambda t, _: _member(t, name, emit), root)
        case Binary("|", left, right):
            return _both(_build(left, type_name, emit, root), _build(right, type_name, emit, root))
        case TypeTest("as" | "ofType", operand, wanted):
            kind = _LOWER_CASED.get(wanted, wanted)
            return _build(
                operand, type_name, lambda t, e: emit(t, e) if definitions.is_subtype(t, kind) else None, root
            )
        case Call(target, "where", (criterion,)) if target is not None:
            return _build(target, type_name, lambda t, e: _guarded(_test(criterion, t, root), emit(t, e)), root)
        case Call(target, "extension", (Literal(str(url)),)):
            return _build(target or Variable("$this"), type_name, lambda t, _: _extension(t, url, emit), root)
        case Indexer(target, Literal(int(n))):
            return _nth(_build(target, type_name, lambda t, _: _collect, root), n, target, type_name, emit, root)
        case Call(target, "first", ()) if target is not None:
            return _nth(_build(target, type_name, lambda t, _: _collect, root), 0, target, type_name, emit, root)
        case Binary("and" | "or" | "=" | "!=") | Call(_, "exists" | "empty" | "not") | TypeTest("is"):
            return _truth(_test(node, type_name, root), emit("boolean", None))
    raise UnsupportedPathError(str(node))


def _collect(value: Any, out: Sink) -> None:
    out.append(value)


def _both(left: Step | None, right: Step | None) -> Step | None:
    if left is None or right is None:
        return left or right

    def both(node: Any, out: Sink) -> None:
        left(node, out)
        right(node, out)

    return both


def _guarded(test: Test, following: Step | None) -> Step | None:
    if following is None:
        return None

    def guarded(node: Any, out: Sink) -> None:
        if test(node):
            following(node, out)

    return guarded


def _truth(test: Test, following: Step | None) -> Step | None:
    if following is None:
        return None
    return lambda node, out: following(test(node), out)


def _nth(gather: Step | None, n: int, target: Node, type_name: str, emit: Emitter, root: str) -> Step | None:
    """`path[n]`: gather the path's values first; all branches of an indexed path share one static type."""
    kinds: list[tuple[str, Element | None]] = []

    def note(kind: str, element: Element | None) -> Step:
        kinds.append((kind, element))
        return _collect

    _build(target, type_name, note, root)
    following = emit(*kinds[0]) if len(kinds) == 1 else None
    if gather is None or following is None:
        return None

    def nth(node: Any, out: Sink) -> None:
        values: list[Any] = []
        gather(node, values)
        if len(values) > n:
            following(values[n], out)

    return nth


def _member(type_name: str, name: str, emit: Emitter) -> Step | None:
    if not definitions.is_type(type_name):
        return None
    element = definitions.type_of(type_name).elements.get(name)
    if element is None:
        return None
    steps = [(key, emit(kind, element)) for key, kind in element.json_names]
    found = [(key, step) for key, step in steps if step is not None]
    if not found:
        return None
    if len(found) > 1:
        return _choice(found)
    return (_each if element.many else _one)(*found[0])


def _one(key: str, following: Step) -> Step:
    def one(node: Any, out: Sink) -> None:
        value = node.get(key)
        if value is not None:
            following(value, out)

    return one


def _each(key: str, following: Step) -> Step:
    def each(node: Any, out: Sink) -> None:
        values = node.get(key)
        if values is not None:
            for value in values:
                if value is not None:
                    following(value, out)

    return each


def _choice(options: list[tuple[str, Step]]) -> Step:
    def choice(node: Any, out: Sink) -> None:
        for key, following in options:
            value = node.get(key)
            if value is not None:
                following(value, out)
                return

    return choice


def _extension(type_name: str, url: str, emit: Emitter) -> Step | None:
    following = emit("Extension", None)
    if following is None or not definitions.is_type(type_name):
        return None

    def extension(node: Any, out: Sink) -> None:
        for item in node.get("extension", ()):
            if item.get("url") == url:
                following(item, out)

    return extension


def _test(node: Node, type_name: str, root: str) -> Test:
    """A criterion as a Python predicate; an empty result counts as false, as `where` demands."""
    match node:
        case TypeTest("is", Call(None, "resolve", ()), wanted):
            return _resolves_to(type_name, wanted)
        case Binary("and", left, right):
            first, second = _test(left, type_name, root), _test(right, type_name, root)
            return lambda value: first(value) and second(value)
        case Binary("or", left, right):
            first, second = _test(left, type_name, root), _test(right, type_name, root)
            return lambda value: first(value) or second(value)
        case Binary("=", Member(None, name), Literal(expected)) if _is_plain(type_name, name):
            # where(system = 'phone'), the usual criterion, is one look-up.
            return lambda value: bool(value.get(name) == expected)
        case Binary("=" | "!=" as operator, left, Literal(expected)):
            values = _values(left, type_name, root)
            if operator == "=":
                return lambda value: values(value) == [expected]
            return lambda value: len(found := values(value)) > 0 and found != [expected]
        case Call(target, "exists", ()):
            values = _values(target or Variable("$this"), type_name, root)
            return lambda value: bool(values(value))
        case Call(target, "empty", ()):
            values = _values(target or Variable("$this"), type_name, root)
            return lambda value: not values(value)
        case Call(target, "not", ()) if target is not None:
            inner = _test(target, type_name, root)
            return lambda value: not inner(value)
    raise UnsupportedPathError(str(node))


def _is_plain(type_name: str, name: str) -> bool:
    element = definitions.type_of(type_name).elements.get(name) if definitions.is_type(type_name) else None
    return element is not None and not element.choice and not element.many


def _values(node: Node, type_name: str, root: str) -> Callable[[Any], list[Any]]:
    step = _build(node, type_name, lambda t, _: _collect, root)

    def values(value: Any) -> list[Any]:
        out: list[Any] = []
        if step is not None:
            step(value, out)
        return out

    return values


def _resolves_to(type_name: str, wanted: str) -> Test:
    """`resolve() is Patient` without fetching: by the reference's own text, else its `type`, else nothing."""
    prefix = wanted + "/"

    def resolves(value: Any) -> bool:
        if not isinstance(value, dict):
            return references.parse(value).type == wanted if isinstance(value, str) else False
        raw = value.get("reference")
        if raw is None:
            return bool(value.get("type") == wanted)
        return bool(raw.startswith(prefix)) or (references.parse(raw).type or value.get("type")) == wanted

    return resolves
