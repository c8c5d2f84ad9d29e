"""$validate: what a write of this resource would be told. http://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from typing import Any

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.checking import missing_references
from sandbox.exchange.operations import inputs
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir import definitions, validation
from sandbox.fhir.outcomes import (
    BadRequestError,
    Issue,
    NotSupportedError,
    Text,
    deleted_resource,
    outcome_bytes,
    unknown_resource,
)
from sandbox.kernel.http import Response
from sandbox.storage.encoding import load, plain

_MODES = ("", "create", "update", "delete", "profile")


async def validate(call: Call) -> Response:
    """200 with an OperationOutcome, whatever is found: the operation succeeded in judging."""
    given = await inputs.read(call)
    given.allow(("resource", "mode", "profile"))
    mode = given.one("mode")
    if mode not in _MODES:
        raise inputs.bad("mode", "is one of create, update, delete", "باید create، update یا delete باشد")
    profile = given.one("profile")
    resource = given.resources.get("resource") or given.body
    if resource is None and call.fid:
        resource = await _stored(call)
    if resource is None:
        if mode == "delete" and call.fid:
            return json_response(outcome_bytes((), call.language))
        raise BadRequestError(
            Text("Send the resource to be judged, or name one.", "منبعی برای اعتبارسنجی بفرستید."), code="required"
        )
    if profile and profile != f"http://hl7.org/fhir/StructureDefinition/{call.rtype}":
        raise NotSupportedError(
            Text(f"The profile {profile} is not known here.", f"نمایهٔ {profile} در اینجا شناخته نیست.")
        )
    return json_response(outcome_bytes(await _judge(call, resource), call.language))


async def _stored(call: Call) -> dict[str, Any]:
    call.access.need(call.rtype, "r")
    found = await visible(call)
    if found is None:
        raise unknown_resource(call.rtype, call.fid)
    if found.deleted:
        raise deleted_resource(call.rtype, call.fid, str(found.ver))
    loaded: dict[str, Any] = load(found.body)
    return loaded


async def _judge(call: Call, resource: dict[str, Any]) -> list[Issue]:
    named = resource.get("resourceType")
    if call.rtype and named != call.rtype:
        text = Text(
            f"resourceType is {named!r}, not {call.rtype!r}.", f"resourceType برابر «{named}» است، نه {call.rtype}."
        )
        return [Issue("error", "invalid", text, ("resourceType",))]
    issues = validation.validate(plain(resource))
    if named in definitions.RESOURCE_TYPES:
        issues = issues + await missing_references(call, resource, call.services.store.indexer.entries(resource))
    return issues


OPERATIONS: dict[OperationKey, Handler] = {
    ("", "system", "validate"): validate,
    ("", "type", "validate"): validate,
    ("", "instance", "validate"): validate,
}
