"""Validation against the official R4 definitions, in one compiled pass per resource.

Covers unknown elements, JSON kinds, empty and null values, cardinality, choices, primitive formats, reference targets, required
bindings, narratives and every invariant of the specification. Each issue names the element by FHIRPath, the rule, and how to
mend it, in English and Persian. Strictness is the caller's: `errors` filters what forbids.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sandbox.fhir.outcomes import Issue, Text
from sandbox.fhir.validation.structure import Context, resource_check

__all__ = ["MAX_ISSUES", "errors", "validate"]

MAX_ISSUES: Final = 100
"""More findings than this in one resource help nobody; the list ends by saying so."""

_MORE: Final = Issue(
    "information",
    "incomplete",
    Text("There are more issues; these are the first.", "ایرادهای دیگری هم هست؛ این‌ها نخستین آن‌هاست."),
    rule="more-issues",
)
_TOO_DEEP: Final = Issue(
    "error", "structure", Text("The resource nests too deeply.", "ساختار منبع بیش از اندازه تودرتو است."), rule="depth"
)


def validate(resource: Any) -> list[Issue]:
    """The issues of a parsed JSON resource, in document order; empty when it is valid.

    Entries of a Bundle are validated too. References are checked by type and form, not for existence.
    """
    root = resource if isinstance(resource, dict) else {}
    try:
        found = resource_check(resource, Context(root))
    except RecursionError:
        return [_TOO_DEEP]
    if not found:
        return []
    name = str(root.get("resourceType", "Resource"))
    issues = [finding.issue(name) for finding in found[:MAX_ISSUES]]
    return [*issues, _MORE] if len(found) > MAX_ISSUES else issues


def errors(issues: Iterable[Issue]) -> list[Issue]:
    """The issues that make a resource invalid."""
    return [i for i in issues if i.severity in {"error", "fatal"}]
