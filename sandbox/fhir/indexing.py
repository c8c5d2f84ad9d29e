"""A resource -> typed index entries for every search parameter of its type, by one plan compiled per type.

The plan maps each top-level property to the steps that start there, so parameters whose element is absent cost nothing.
Query values are parsed to the same forms by `sandbox.fhir.searchvalues`. http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from sandbox.fhir import definitions, emitters, references
from sandbox.fhir.definitions import Element, SearchParameter
from sandbox.fhir.entries import IndexEntries, ReferenceEntry
from sandbox.fhir.fhirpath.paths import Step, build_step
from sandbox.fhir.fhirpath.syntax import Binary, Call, Indexer, Member, Node, TypeTest, parse

__all__ = ["IndexEntries", "index", "indexed_parameters"]

# The resource table has columns of its own for these.
_STORED_ELSEWHERE: Final = frozenset({"_id", "_lastUpdated"})
_MALFORMED: Final = (AttributeError, TypeError, ValueError, KeyError, ArithmeticError, RecursionError)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Steps by the top-level property they need, and those that run whatever is present."""

    by_key: Mapping[str, tuple[Step, ...]]
    always: tuple[Step, ...]
    memberships: frozenset[tuple[str, str]]
    """(parameter, compartment) pairs that make a member."""


def index(resource_type: str, resource: dict[str, Any], *, own_base: str = "") -> IndexEntries:
    """The index entries of a resource. `own_base`: absolute references below it count as local ones.

    Never raises on a resource that is malformed (a Tenant may store such things in warn mode): what cannot be read
    is not indexed.
    """
    plan = _plan(resource_type)
    entries = IndexEntries(own_base, resource)
    try:
        for key in resource:
            for step in plan.by_key.get(key, ()):
                step(resource, entries)
        for step in plan.always:
            step(resource, entries)
    except _MALFORMED:
        entries = _salvage(plan, resource, own_base)
    if resource_type == "Binary":
        _add_security_context(resource, entries)
    entries.settle()
    _add_compartments(resource_type, resource, plan, entries)
    return entries


def _salvage(plan: _Plan, resource: dict[str, Any], own_base: str) -> IndexEntries:
    """Every step on its own, so that one malformed element does not hide the others."""
    entries = IndexEntries(own_base, resource)
    steps = [s for key in resource for s in plan.by_key.get(key, ())]
    for step in [*steps, *plan.always]:
        try:
            step(resource, entries)
        except _MALFORMED:
            continue
    return entries


def _add_compartments(resource_type: str, resource: dict[str, Any], plan: _Plan, entries: IndexEntries) -> None:
    """Membership by the parameters CompartmentDefinition names, and the compartment's own resource in itself."""
    memberships = plan.memberships
    for code, target, fid, *_ in entries.references:
        if fid and (code, target) in memberships:
            entries.compartments.append((target, fid))
    if resource_type in _COMPARTMENTS and isinstance(resource.get("id"), str):
        entries.compartments.append((resource_type, resource["id"]))
    if len(entries.compartments) > 1:
        entries.compartments = list(dict.fromkeys(entries.compartments))


def _add_security_context(resource: dict[str, Any], entries: IndexEntries) -> None:
    """Whom a Binary is guarded as (http://hl7.org/fhir/R4/binary.html#security), which no parameter of R4 asks for."""
    context = resource.get("securityContext")
    raw = context.get("reference") if isinstance(context, dict) else None
    if isinstance(raw, str) and raw:
        found = references.parse(raw, own_base=entries.own_base)
        local = found.kind == "relative"
        target = (found.type, found.id, "") if local else ("", "", raw)
        entries.references.append(ReferenceEntry("securityContext", *target, "", ""))


_COMPARTMENTS: Final = ("Patient", "Practitioner", "Encounter", "RelatedPerson", "Device")


@cache
def indexed_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters `index` can produce entries for; for any other, `:missing` has no meaning."""
    return {
        code: p
        for code, p in definitions.search_parameters(resource_type).items()
        if p.expression and code not in _STORED_ELSEWHERE
    }


@cache
def _plan(resource_type: str) -> _Plan:
    by_key: dict[str, list[Step]] = {}
    always: list[Step] = []
    for parameter in indexed_parameters(resource_type).values():
        for part in _union(parse(parameter.expression)):
            keys, step = _compiled(part, parameter, resource_type)
            if step is not None:
                for steps in [by_key.setdefault(k, []) for k in keys] or [always]:
                    steps.append(step)
    memberships = frozenset(
        (code, compartment)
        for compartment in _COMPARTMENTS
        for code in definitions.compartment_parameters(compartment, resource_type)
    )
    return _Plan({k: tuple(v) for k, v in by_key.items()}, tuple(always), memberships)


def _union(node: Node) -> list[Node]:
    if isinstance(node, Binary) and node.operator == "|":
        return [*_union(node.left), *_union(node.right)]
    return [node]


def _compiled(part: Node, parameter: SearchParameter, resource_type: str) -> tuple[list[str], Step | None]:
    """A part's step, and the top-level properties without which it yields nothing ([]: it may always yield)."""
    if parameter.type == "composite":
        step = build_step(part, resource_type, lambda t, e: _composite(parameter, t, resource_type))
        # A composite of the whole resource needs its last component, the choice of value, most of all.
        keys = _top_keys(part, resource_type) or _top_keys(parse(parameter.components[-1].expression), resource_type)
        return keys, step
    step = build_step(part, resource_type, lambda t, e: emitters.emitter(parameter, t, e))
    return _top_keys(part, resource_type), step


def _top_keys(node: Node, resource_type: str) -> list[str]:
    """JSON names of the root element an expression starts from; [] when it has no single start."""
    match node:
        case Binary("|", left, right):
            first, second = _top_keys(left, resource_type), _top_keys(right, resource_type)
            return [*first, *second] if first and second else []
        case Member(Member(None, root), name) if definitions.is_subtype(resource_type, root):
            return _json_names(resource_type, name)
        case Member(None, name):
            return _json_names(resource_type, name)
        case TypeTest("as" | "ofType", operand, wanted):
            keys = _top_keys(operand, resource_type)
            narrowed = [k for k in keys if k.lower().endswith(wanted.lower())]
            return narrowed if isinstance(operand, Member) and narrowed else keys
        case Member(target, _) | Call(target, "where" | "extension" | "first", _) | Indexer(target, _) if target:
            return _top_keys(target, resource_type)
    return []


def _json_names(resource_type: str, name: str) -> list[str]:
    element = definitions.type_of(resource_type).elements.get(name)
    return [key for key, _ in element.json_names] if element else []


def _composite(parameter: SearchParameter, type_name: str, resource_type: str) -> Step | None:
    """One row per combination of the components' entries within one element (a value belongs to its own code)."""
    gatherers: list[tuple[bool, Step, str]] = []
    for component in parameter.components:
        rooted = component.expression.startswith("%resource.")
        expression = component.expression.removeprefix("%resource.")
        part = SearchParameter("", component.type, expression, (), (), component.url)

        def choose(kind: str, element: Element | None, part: SearchParameter = part) -> Step | None:
            return emitters.emitter(part, kind, element)

        step = build_step(parse(expression), resource_type if rooted else type_name, choose)
        if step is None:
            return None
        gatherers.append((rooted, step, component.type))
    return emitters.composite(parameter.code, gatherers)
