"""Invariants: the frequent ones by hand for speed, every other through the FHIRPath engine.

A test takes (node, context) and answers whether the constraint holds. What the engine cannot decide holds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

from sandbox.fhir import dates, definitions
from sandbox.fhir.fhirpath.engine import Environment, EvaluationError, evaluator, truth
from sandbox.fhir.fhirpath.items import IncomparableError, Item
from sandbox.fhir.outcomes import Severity, Text
from sandbox.fhir.validation.findings import Finding
from sandbox.fhir.validation.texts import PERSIAN

Test = Callable[[Any, Any], bool]


def finding(key: str) -> Finding:
    """The report of a broken constraint, in HL7's words and in Persian."""
    c = definitions.constraint(key)
    name = key.partition("@")[0]
    severity: Severity = "warning" if c.severity == "warning" else "error"
    persian = PERSIAN.get(key) or PERSIAN.get(name) or f"قاعدهٔ {name} از FHIR رعایت نشده است."
    return Finding("invariant", name, Text(_sentence(c.human), persian), severity=severity, diagnostics=c.expression)


def _sentence(human: str) -> str:
    return human if human.endswith(".") else human + "."


@cache
def test_of(key: str, type_name: str) -> Test | None:
    """The test of a constraint on values of `type_name`; None for those checked elsewhere or merely advised."""
    if key in _ELSEWHERE or definitions.constraint(key).severity == "advice":
        return None
    return _BY_HAND.get(key) or _by_engine(definitions.constraint(key).expression, type_name)


def _by_engine(expression: str, type_name: str) -> Test:
    evaluate = evaluator(expression)

    def test(node: Any, ctx: Any) -> bool:
        item = Item(node, type_name)
        resource = ctx.resource
        around = item if resource is node else Item(resource, str(resource.get("resourceType", "")))
        try:
            return (
                truth(
                    evaluate([item], Environment(item, around, Item(ctx.root, str(ctx.root.get("resourceType", "")))))
                )
                is not False
            )
        except (EvaluationError, IncomparableError, TypeError, AttributeError, ValueError):
            return True

    return test


def _ordered(start: Any, end: Any) -> bool:
    """Whether a start can be at or before an end, given both precisions."""
    if not isinstance(start, str) or not isinstance(end, str):
        return True
    try:
        return dates.parse_range(start).lo < dates.parse_range(end).hi
    except dates.InvalidDateError:
        return True


def _period(node: Any, ctx: Any) -> bool:
    return _ordered(node.get("start"), node.get("end"))


def _range(node: Any, ctx: Any) -> bool:
    low, high = node.get("low"), node.get("high")
    if not isinstance(low, dict) or not isinstance(high, dict):
        return True
    a, b = low.get("value"), high.get("value")
    units = low.get("code") == high.get("code")
    return not (units and isinstance(a, (int, float)) and isinstance(b, (int, float))) or a <= b


def _has_value(node: Any) -> bool:
    return any(k.startswith("value") for k in node)


def _obs_7(node: Any, ctx: Any) -> bool:
    components = node.get("component")
    if not components or not _has_value(node):
        return True
    own = [(c.get("system"), c.get("code")) for c in node.get("code", {}).get("coding", ())]
    return not any(
        (c.get("system"), c.get("code")) in own for part in components for c in part.get("code", {}).get("coding", ())
    )


def _ratio(node: Any, ctx: Any) -> bool:
    return ("numerator" in node) == ("denominator" in node) and ("numerator" in node or "extension" in node)


def _status_coded(concept: Any, code: str) -> bool:
    return any(c.get("code") == code for c in (concept or {}).get("coding", ()))


def _ait_1(node: Any, ctx: Any) -> bool:
    return "clinicalStatus" in node or _status_coded(node.get("verificationStatus"), "entered-in-error")


def _not_in_error(node: Any, ctx: Any) -> bool:
    return "clinicalStatus" not in node or not _status_coded(node.get("verificationStatus"), "entered-in-error")


def _con_4(node: Any, ctx: Any) -> bool:
    if not any(k.startswith("abatement") for k in node):
        return True
    return any(_status_coded(node.get("clinicalStatus"), c) for c in ("resolved", "remission", "inactive"))


def _bdl_7(node: Any, ctx: Any) -> bool:
    if node.get("type") == "history":
        return True
    seen: set[tuple[str, str]] = set()
    for entry in node.get("entry", ()):
        url = entry.get("fullUrl")
        if url is not None:
            mark = (url, str((entry.get("resource") or {}).get("meta", {}).get("versionId", "")))
            if mark in seen:
                return False
            seen.add(mark)
    return True


def _bundle_entries(part: str, types: frozenset[str]) -> Test:
    """bdl-3 and bdl-4: every entry carries `part` exactly in Bundles of these types."""

    def test(node: Any, ctx: Any) -> bool:
        wanted = node.get("type") in types
        return all((part in entry) is wanted for entry in node.get("entry", ()))

    return test


def _needs(name: str, other: str) -> Test:
    """`name` only together with `other`."""
    return lambda node, ctx: name not in node or other in node or "_" + other in node


def _not_both(name: str, other: str) -> Test:
    return lambda node, ctx: name not in node or other not in node


def _any_of(*names: str) -> Test:
    return lambda node, ctx: any(n in node for n in names)


def _dom_3(node: Any, ctx: Any) -> bool:
    """Every contained resource is pointed at from the container, or points at it."""
    contained = node.get("contained")
    if not contained or ctx.root is not node:
        return True
    # References, which the walk has met already, settle the usual case; canonicals and the rest need a look everywhere.
    if all("#" + str(c.get("id", "")) in ctx.fragments for c in contained):
        return True
    marks = _fragments({k: v for k, v in node.items() if k != "contained"})
    inner = [_fragments(c) for c in contained]
    everywhere = marks.union(*inner)
    return all("#" + str(c.get("id", "")) in everywhere or "#" in own for c, own in zip(contained, inner, strict=True))


def _fragments(node: Any) -> set[str]:
    """Every string that starts with `#`."""
    found: set[str] = set()
    stack = [node]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str) and value.startswith("#"):
            found.add(value)
    return found


def _not_negative(name: str) -> Test:
    return lambda node, ctx: not isinstance(node.get(name), (int, float)) or node[name] >= 0


def _tim_9(node: Any, ctx: Any) -> bool:
    return "offset" not in node or ("when" in node and not {"C", "CM", "CD", "CV"} & set(node["when"]))


def _no_home(node: Any, ctx: Any) -> bool:
    return bool(node.get("use") != "home")


def _app_3(node: Any, ctx: Any) -> bool:
    return ("start" in node and "end" in node) or node.get("status") in {"proposed", "cancelled", "waitlist"}


def _app_4(node: Any, ctx: Any) -> bool:
    return "cancelationReason" not in node or node.get("status") in {"no-show", "cancelled"}


def _document(holds: Test) -> Test:
    return lambda node, ctx: node.get("type") != "document" or holds(node, ctx)


def _first_is(bundle: str, wanted: str) -> Test:
    def test(node: Any, ctx: Any) -> bool:
        if node.get("type") != bundle:
            return True
        entries = node.get("entry") or [{}]
        return bool((entries[0].get("resource") or {}).get("resourceType") == wanted)

    return test


def _bdl_2(node: Any, ctx: Any) -> bool:
    return node.get("type") == "searchset" or not any("search" in entry for entry in node.get("entry", ()))


def _bdl_9(node: Any, ctx: Any) -> bool:
    identifier = node.get("identifier", {})
    return "system" in identifier and "value" in identifier


def _contained(holds: Callable[[Any], bool]) -> Test:
    return lambda node, ctx: "contained" not in node or all(holds(c) for c in node["contained"])


# Checked while walking: references where they stand, narratives by their own module, ele-1 and ext-1 on every node.
_ELSEWHERE: Final = frozenset({"ele-1", "ext-1", "ref-1", "txt-1", "txt-2"})
_BY_HAND: Final[dict[str, Test]] = {
    "dom-2": _contained(lambda c: "contained" not in c),
    "dom-3": _dom_3,
    "dom-4": _contained(lambda c: not {"versionId", "lastUpdated"} & set(c.get("meta", ()))),
    "dom-5": _contained(lambda c: "security" not in c.get("meta", ())),
    "per-1": _period,
    "rng-2": _range,
    "rat-1": _ratio,
    "qty-3": _needs("code", "system"),
    "cpt-2": _needs("value", "system"),
    "att-1": _needs("data", "contentType"),
    "obs-3": _any_of("low", "high", "text"),
    "obs-6": lambda node, ctx: "dataAbsentReason" not in node or not _has_value(node),
    "obs-7": _obs_7,
    "pat-1": _any_of("name", "telecom", "address", "organization"),
    "ait-1": _ait_1,
    "ait-2": _not_in_error,
    "con-1": _any_of("summary", "assessment"),
    "con-2": _any_of("code", "detail"),
    "con-4": _con_4,
    "con-5": _not_in_error,
    "bdl-3": _bundle_entries("request", frozenset({"batch", "transaction", "history"})),
    "bdl-4": _bundle_entries("response", frozenset({"batch-response", "transaction-response", "history"})),
    "bdl-5": _any_of("resource", "request", "response"),
    "bdl-7": _bdl_7,
    "tim-1": _needs("duration", "durationUnit"),
    "tim-2": _needs("period", "periodUnit"),
    "tim-6": _needs("periodMax", "period"),
    "tim-7": _needs("durationMax", "duration"),
    "tim-8": _needs("countMax", "count"),
    "tim-4": _not_negative("duration"),
    "tim-5": _not_negative("period"),
    "tim-9": _tim_9,
    "org-1": _any_of("identifier", "name", "_name"),
    "org-2": _no_home,
    "org-3": _no_home,
    "app-1": _any_of("type", "actor"),
    "app-2": lambda node, ctx: ("start" in node) == ("end" in node),
    "app-3": _app_3,
    "app-4": _app_4,
    "prr-1": _needs("orderDetail", "code"),
    "ppc-1": _any_of("policy", "policyRule"),
    "mdd-1": lambda node, ctx: _ordered(node.get("whenPrepared"), node.get("whenHandedOver")),
    "inv-1@Task": lambda node, ctx: _ordered(node.get("authoredOn"), node.get("lastModified")),
    "bdl-1": lambda node, ctx: "total" not in node or node.get("type") in {"searchset", "history"},
    "bdl-2": _bdl_2,
    "bdl-8": lambda node, ctx: "/_history/" not in node.get("fullUrl", ""),
    "bdl-9": _document(_bdl_9),
    "bdl-10": _document(lambda node, ctx: "timestamp" in node),
    "bdl-11": _first_is("document", "Composition"),
    "bdl-12": _first_is("message", "MessageHeader"),
    "tim-10": _not_both("timeOfDay", "when"),
}
