"""One compiled check per type: known elements, cardinality, choices, primitives, references, required bindings, invariants.

A check is built once from the element table and walks a value a single time. Nothing is allocated while all is well.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sandbox.fhir import definitions, references, ucum
from sandbox.fhir.definitions import Element
from sandbox.fhir.outcomes import Text
from sandbox.fhir.validation import findings as report
from sandbox.fhir.validation import invariants
from sandbox.fhir.validation.findings import Check, Finding, Findings
from sandbox.fhir.validation.narrative import check_narrative
from sandbox.fhir.validation.primitives import primitive_check

_CODED: Final = frozenset({"code", "Coding", "CodeableConcept"})
_ANY_RESOURCE: Final = "Resource"


class Context:
    """What a check knows of its surroundings: the resource it stands in, and the one that contains that."""

    __slots__ = ("fragments", "resource", "root")

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.resource = root
        self.fragments: set[str] = set()
        """`#id` references met so far."""

    def contained_type(self, fragment: str) -> str | None:
        """The type of the contained resource `#fragment` names; None when there is none."""
        if not fragment:
            return str(self.root.get("resourceType", ""))
        inner = self.root.get("contained")
        for one in inner if isinstance(inner, list) else ():
            if isinstance(one, dict) and one.get("id") == fragment:
                return str(one.get("resourceType", ""))
        return None


def add(found: Findings, more: Findings, *steps: str | int) -> Findings:
    """Join findings of a child, marking where it stands."""
    if not more:
        return found
    for finding in more:
        finding.steps.extend(steps)
    return [*found, *more] if found else more


@cache
def object_check(type_name: str) -> ObjectCheck:
    """The check of a resource, data type or backbone; built when first called, as types refer to each other."""
    return ObjectCheck(type_name)


class ObjectCheck:
    """Calls as a `Check` on a JSON object of one type."""

    __slots__ = (
        "choice_of",
        "choices",
        "invariants",
        "is_extension",
        "is_quantity",
        "is_resource",
        "ready",
        "required",
        "rules",
        "type_name",
    )

    def __init__(self, type_name: str) -> None:
        self.type_name = type_name
        self.ready = False
        self.rules: dict[str, Check] = {}
        self.required: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = ()
        self.choice_of: dict[str, str] = {}
        self.choices: dict[str, list[str]] = {}
        self.invariants: tuple[tuple[str, invariants.Test], ...] = ()
        self.is_extension = type_name == "Extension"
        self.is_resource = self.is_quantity = False

    def build(self) -> None:
        kind = definitions.type_of(self.type_name)
        self.is_resource = kind.kind == "resource"
        if self.is_resource:
            self.rules["resourceType"] = _nothing
        required = []
        for element in kind.elements.values():
            names = [name for name, _ in element.json_names]
            for name, code in element.json_names:
                self.rules[name] = _element_check(element, code, self.is_resource)
                if _is_primitive(code):
                    self.rules["_" + name] = _companions(element.many)
            if element.choice:
                self.choices[element.name] = names
                self.choice_of |= dict.fromkeys(names, element.name) | {"_" + n: element.name for n in names}
            if element.minimum:
                required.append(
                    (names[0] if not element.choice else f"{element.name}[x]", _either(names), _codes(element))
                )
        self.required = tuple(required)
        tests = [(key, invariants.test_of(key, self.type_name)) for key in kind.constraints]
        self.invariants = tuple((key, test) for key, test in tests if test is not None)
        self.is_quantity = definitions.is_subtype(self.type_name, "Quantity")
        self.ready = True

    def __call__(self, node: Any, ctx: Context) -> Findings:
        if type(node) is not dict:
            return [report.null() if node is None else report.wrong_kind(dict, node, self.type_name)]
        if not self.ready:
            self.build()
        if not node:
            return [report.empty(dict)]
        found: Findings = None
        rules = self.rules
        for key, value in node.items():
            rule = rules.get(key)
            if rule is None:
                found = add(found, [report.unknown_element(key, self.type_name, rules, self.choices)])
            else:
                more = rule(value, ctx)
                if more:
                    found = add(found, _excused(more, key, node), key)
        for label, names, codes in self.required:
            for name in names:
                if name in node:
                    break
            else:
                found = add(found, [report.missing(label, self.type_name, codes)])
        if self.choice_of:
            found = add(found, self._one_of_each_choice(node))
        if not self.is_resource and len(node) == 1 and "id" in node:
            found = add(found, [invariants.finding("ele-1")])
        if self.is_extension and ("extension" in node) is any(k in node for k in node if k in self.choice_of):
            found = add(found, [invariants.finding("ext-1")])
        if self.invariants and not found:
            found = self._broken(node, ctx)
        if self.is_quantity and not found:
            found = _unit_of(node)
        return found

    def _broken(self, node: dict[str, Any], ctx: Context) -> Findings:
        """Invariants presume a sound structure, so they run on what passed every other check."""
        found: Findings = None
        for key, test in self.invariants:
            if not test(node, ctx):
                found = add(found, [invariants.finding(key)])
        return found

    def _one_of_each_choice(self, node: dict[str, Any]) -> Findings:
        seen: dict[str, str] = {}
        found: Findings = None
        for key in node:
            group = self.choice_of.get(key)
            if group is not None:
                name = key.lstrip("_")
                if seen.setdefault(group, name) != name:
                    found = add(found, [report.several_choices(group, [seen[group], name])])
        return found


def _unit_of(node: dict[str, Any]) -> Findings:
    """Quantities in units that UCUM does not know are found by no search in another unit."""
    code = node.get("code")
    if code is None or node.get("system") != ucum.SYSTEM or ucum.is_unit(code):
        return None
    return [report.bad_unit(code)]


def _nothing(value: Any, ctx: Any) -> Findings:
    return None


def _is_primitive(code: str) -> bool:
    return definitions.is_type(code) and definitions.type_of(code).kind == "primitive"


def _either(names: Sequence[str]) -> tuple[str, ...]:
    """A primitive may be represented by its companion alone."""
    return (*names, *("_" + n for n in names))


def _codes(element: Element) -> tuple[str, ...]:
    """Codes to suggest for a missing element: those of a small required value set."""
    bound = _bound(element)
    codes = sorted({c for s in bound.values() for c in s}) if bound else []
    return tuple(codes) if len(codes) <= 12 else ()


def _bound(element: Element) -> dict[str, frozenset[str]] | None:
    if element.binding is None or element.binding.strength != "required":
        return None
    systems = definitions.required_codes(element.binding.value_set)
    return dict(systems) if systems else None


def _excused(more: list[Finding], key: str, node: dict[str, Any]) -> Findings:
    """Nulls in an array of primitives are right where the companion array has an entry."""
    companion = node.get("_" + key)
    if not isinstance(companion, list):
        return more
    kept: list[Finding] = []
    for finding in more:
        at = finding.steps[0] if len(finding.steps) == 1 else None
        if finding.rule == "json-null" and isinstance(at, int) and at < len(companion) and companion[at] is not None:
            continue
        kept.append(finding)
    return kept


def _element_check(element: Element, code: str, of_resource: bool) -> Check:
    check = _with_constraints(_value_check(element, code, of_resource), element, code)
    return _array(check, element) if element.many else check


def _array(check: Check, element: Element) -> Check:
    maximum = element.maximum

    def each(value: Any, ctx: Any) -> Findings:
        if type(value) is not list:
            return [report.null() if value is None else report.wrong_kind(list, value, element.name)]
        if not value:
            return [report.empty(list)]
        found: Findings = None
        i = 0
        for item in value:
            more = check(item, ctx)
            if more:
                found = add(found, more, i)
            i += 1  # noqa: SIM113 (enumerate costs a tuple per item on the hottest loop)
        if maximum is not None and len(value) > maximum:
            found = add(found, [report.too_many(element.name, maximum)])
        return found

    return each


def _companions(many: bool) -> Check:
    """`_name`: the id and extensions of a primitive, or an array of them with gaps."""
    check = object_check("Element")
    if not many:
        return check

    def each(value: Any, ctx: Any) -> Findings:
        if type(value) is not list:
            return [report.wrong_kind(list, value, "Element")]
        found: Findings = None if any(item is not None for item in value) else [report.null()]
        for i, item in enumerate(value):
            if item is not None:
                found = add(found, check(item, ctx), i)
        return found

    return each


def _with_constraints(check: Check, element: Element, code: str) -> Check:
    """Constraints that stand on the element itself rather than on its type."""
    tests = [(key, invariants.test_of(key, code)) for key in element.constraints]
    own = [(key, test) for key, test in tests if test is not None]
    if not own:
        return check

    def constrained(value: Any, ctx: Any) -> Findings:
        found = check(value, ctx)
        if found:
            return found
        broken = [invariants.finding(key) for key, test in own if not test(value, ctx)]
        return broken or None

    return constrained


def _value_check(element: Element, code: str, of_resource: bool) -> Check:
    if code == _ANY_RESOURCE:
        return _contained_check if element.name == "contained" else _entry_check
    if code == "xhtml":
        return check_narrative
    if of_resource and element.name == "id":
        return primitive_check("id")
    bound = _bound(element) if code in _CODED else None
    if bound and element.binding is not None:
        return _bound_check(code, bound, element.binding.value_set)
    if code == "Reference":
        return _reference_check(next(t.targets for t in element.types if t.code == "Reference"))
    return primitive_check(code) if _is_primitive(code) else object_check(code)


def resource_check(value: Any, ctx: Context) -> Findings:
    """A resource of whatever type it says it is."""
    if type(value) is not dict:
        return [report.null() if value is None else report.wrong_kind(dict, value, "Resource")]
    kind = value.get("resourceType")
    if type(kind) is not str or kind not in definitions.RESOURCE_TYPES:
        problem = Text("A resource must say its resourceType.", "منبع باید resourceType خود را بگوید.")
        if kind is not None:
            problem = Text(f"{kind!r} is not a resource type of FHIR R4.", f"«{kind}» نوع منبعی از FHIR R4 نیست.")
        return [Finding("structure", "resource-type", problem, steps=["resourceType"])]
    return object_check(kind)(value, ctx)


def _contained_check(value: Any, ctx: Context) -> Findings:
    outer, ctx.resource = ctx.resource, value if isinstance(value, dict) else ctx.resource
    try:
        return resource_check(value, ctx)
    finally:
        ctx.resource = outer


def _entry_check(value: Any, ctx: Context) -> Findings:
    """A resource of a Bundle or of Parameters stands for itself: its `#` references stay inside it."""
    return resource_check(value, Context(value if isinstance(value, dict) else {}))


def _bound_check(code: str, bound: dict[str, frozenset[str]], value_set: str) -> Check:
    every = frozenset().union(*bound.values())
    if code == "code":
        primitive = primitive_check("code")

        def check_code(value: Any, ctx: Any) -> Findings:
            if type(value) is str and value in every:
                return None
            return primitive(value, ctx) or [report.bad_code(value, every, value_set)]

        return check_code
    structure = object_check(code)

    def belongs(coding: dict[str, Any]) -> bool:
        return coding.get("code") in bound.get(coding.get("system", ""), ())

    def check_coding(value: Any, ctx: Any) -> Findings:
        found = structure(value, ctx)
        codings = [value] if code == "Coding" else value.get("coding", ()) if type(value) is dict else ()
        if found or any(belongs(c) for c in codings):
            return found
        if code == "Coding" and "code" not in value:
            return None
        shown = str(codings[0].get("code", "")) if codings else str(value.get("text", ""))
        return [report.bad_code(shown, every, value_set)]

    return check_coding


def _reference_check(targets: tuple[str, ...]) -> Check:
    structure = object_check("Reference")
    allowed = frozenset() if _ANY_RESOURCE in targets else frozenset(targets)

    def check(value: Any, ctx: Context) -> Findings:
        found = structure(value, ctx)
        if found:
            return found
        raw = value.get("reference")
        if raw is None:
            kind = value.get("type")
            return (
                [report.wrong_target(kind, targets)]
                if allowed and kind in definitions.RESOURCE_TYPES and kind not in allowed
                else None
            )
        kind, slash, _ = raw.partition("/")
        if slash and kind in allowed:
            return None
        if raw[0] == "#":
            ctx.fragments.add(raw)
            actual = ctx.contained_type(raw[1:])
            if actual is None:
                return add(None, [invariants.finding("ref-1")])
            return [report.wrong_target(f"{raw} ({actual})", targets)] if allowed and actual not in allowed else None
        actual = references.parse(raw).type
        if allowed and actual and actual not in allowed:
            return [report.wrong_target(raw, targets)]
        return None

    return check
