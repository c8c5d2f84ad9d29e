"""PATCH bodies: JSON Patch and FHIRPath Patch (http://hl7.org/fhir/R4/http.html#patch), and JSON Merge Patch (RFC 7396).

Clients that say only `application/json` are served by what they send: a list is a JSON Patch, Parameters a FHIRPath Patch, any
other object the members to change (fhirpy, Aidbox and Medplum clients send that).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.exchange.calls import Call
from sandbox.exchange.negotiation import PATCH_JSON, PATCH_MERGE, is_json, media_type, read_body
from sandbox.fhir.outcomes import BadRequestError, Text, UnprocessableError, UnsupportedMediaError
from sandbox.fhir.patches import apply_fhirpath_patch, apply_json_patch, apply_merge_patch
from sandbox.storage.encoding import load, parse

Patcher = Callable[[bytes], dict[str, Any]]


async def patcher(call: Call) -> Patcher:
    """A function from a stored body to the patched resource."""
    kind = media_type(call.request)
    if kind not in (PATCH_JSON, PATCH_MERGE) and not is_json(kind):
        raise UnsupportedMediaError(
            Text(f"A patch of type {kind} is not read.", f"وصلهٔ {kind} خوانده نمی‌شود."),
            hint=Text(
                f"Send {PATCH_JSON}, {PATCH_MERGE}, or Parameters as application/fhir+json.",
                f"از {PATCH_JSON} یا {PATCH_MERGE} یا منبع Parameters با application/fhir+json استفاده کنید.",
            ),
            headers={"Accept-Patch": f"{PATCH_JSON}, {PATCH_MERGE}, application/fhir+json"},
        )
    document = parse(await read_body(call.request))
    if call.header(b"content-type") is None or kind == "application/json":
        kind = _guessed(document)
    if kind == PATCH_MERGE:
        return merge_patcher(document)
    return json_patcher(document) if kind == PATCH_JSON else fhirpath_patcher(document)


def _guessed(document: object) -> str:
    if isinstance(document, list):
        return PATCH_JSON
    return "" if isinstance(document, dict) and document.get("resourceType") == "Parameters" else PATCH_MERGE


def merge_patcher(document: object) -> Patcher:
    """RFC 7396."""
    return lambda body: _patched(body, lambda resource: apply_merge_patch(resource, document))


def json_patcher(operations: object) -> Patcher:
    """RFC 6902."""
    return lambda body: _patched(body, lambda resource: apply_json_patch(resource, operations))


def fhirpath_patcher(document: object) -> Patcher:
    """http://hl7.org/fhir/R4/fhirpatch.html"""
    if not isinstance(document, dict) or document.get("resourceType") != "Parameters":
        raise BadRequestError(
            Text("A FHIRPath Patch is a Parameters resource.", "وصلهٔ FHIRPath یک منبع Parameters است."),
            code="structure",
            hint=Text(
                f"For a JSON Patch send Content-Type: {PATCH_JSON}.",
                f"برای JSON Patch نوع محتوا را {PATCH_JSON} بفرستید.",
            ),
        )
    return lambda body: _patched(body, lambda resource: apply_fhirpath_patch(resource, document))


def _patched(body: bytes, apply: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    """A patch may change anything but what the resource is."""
    before = load(body)
    after = apply(before)
    if not isinstance(after, dict) or any(after.get(k) != before.get(k) for k in ("resourceType", "id")):
        raise UnprocessableError(
            Text("A patch may not change resourceType or id.", "وصله نمی‌تواند resourceType یا id را تغییر دهد."),
            code="business-rule",
        )
    return after
