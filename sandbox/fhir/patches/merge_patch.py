"""JSON Merge Patch (RFC 7396): the members to change; null removes one, an array replaces the whole array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.fhir.outcomes import BadRequestError, Text


def apply_merge_patch(resource: Mapping[str, Any], document: object) -> dict[str, Any]:
    """A new resource with `document` merged into `resource`. Raises `BadRequestError` when it is no JSON object."""
    if not isinstance(document, dict):
        raise BadRequestError(
            Text("A JSON Merge Patch is a JSON object.", "وصلهٔ JSON Merge Patch یک شیء JSON است."), code="structure"
        )
    return _merged(resource, document)


def _merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """RFC 7396 §2; the depth is bounded where bodies are parsed."""
    made = dict(target)
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        elif isinstance(value, dict):
            below = made.get(name)
            made[name] = _merged(below if isinstance(below, dict) else {}, value)
        else:
            made[name] = value
    return made
