"""PATCH bodies: JSON Patch and FHIRPath Patch. http://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jsonpatch
import jsonpointer

from sandbox.exchange.calls import Call
from sandbox.exchange.negotiation import PATCH_JSON, media_type, read_body
from sandbox.fhir.outcomes import BadRequestError, Text, UnprocessableError, UnsupportedMediaError
from sandbox.storage.encoding import load, parse

MAX_OPERATIONS = 1000


async def patcher(call: Call) -> Callable[[bytes], dict[str, Any]]:
    """A function from a stored body to the patched resource."""
    kind = media_type(call.request)
    if kind != PATCH_JSON:
        raise UnsupportedMediaError(
            Text(
                f"A patch of type {kind} is not read; send {PATCH_JSON}.",
                f"وصلهٔ {kind} خوانده نمی‌شود؛ {PATCH_JSON} بفرستید.",
            ),
            headers={"Accept-Patch": PATCH_JSON},
        )
    return json_patcher(parse(await read_body(call.request)))


def json_patcher(operations: object) -> Callable[[bytes], dict[str, Any]]:
    """RFC 6902. Raises `BadRequestError` for what is no JSON Patch."""
    if not isinstance(operations, list) or not all(isinstance(o, dict) for o in operations):
        raise BadRequestError(
            Text("A JSON Patch is an array of operations.", "وصلهٔ JSON آرایه‌ای از عملیات است."), code="structure"
        )
    if len(operations) > MAX_OPERATIONS:
        raise BadRequestError(
            Text(f"A patch may have {MAX_OPERATIONS} operations.", f"وصله حداکثر {MAX_OPERATIONS} عملیات دارد."),
            code="too-costly",
        )
    try:
        made = jsonpatch.JsonPatch(operations)
    except (jsonpatch.InvalidJsonPatch, jsonpointer.JsonPointerException, TypeError, KeyError) as error:
        raise BadRequestError(
            Text(f"The JSON Patch is malformed: {error}.", "وصلهٔ JSON درست نیست."), code="structure"
        ) from error

    def apply(body: bytes) -> dict[str, Any]:
        before = load(body)
        try:
            after = made.apply(before)
        except (
            jsonpatch.JsonPatchConflict,
            jsonpatch.JsonPatchTestFailed,
            jsonpointer.JsonPointerException,
            TypeError,
            KeyError,
        ) as error:
            raise UnprocessableError(
                Text(f"The patch cannot be applied: {str(error)[:300]}.", "وصله بر این منبع اعمال‌پذیر نیست."),
                code="processing",
            ) from error
        return same_identity(before, after)

    return apply


def same_identity(before: dict[str, Any], after: Any) -> dict[str, Any]:
    """A patch may change anything but what the resource is."""
    kept = isinstance(after, dict) and all(after.get(k) == before.get(k) for k in ("resourceType", "id"))
    if not kept:
        raise UnprocessableError(
            Text("A patch may not change resourceType or id.", "وصله نمی‌تواند resourceType یا id را تغییر دهد."),
            code="business-rule",
        )
    return dict(after)
