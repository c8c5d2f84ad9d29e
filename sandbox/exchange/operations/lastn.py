"""Observation/$lastn: the latest of each kind. http://hl7.org/fhir/R4/observation-operation-lastn.html"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.operations import inputs
from sandbox.exchange.own_terms import compiler_for
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.kernel.http import Response
from sandbox.search import service
from sandbox.search.includes import Found
from sandbox.search.request import understand
from sandbox.storage.encoding import load

_SCANNED = 5_000


async def lastn(call: Call) -> Response:
    """For each code the `max` latest Observations (one by default) among those that the other parameters find."""
    call.access.need("Observation", "s")
    given = await inputs.read(call)
    most = given.number("max", 1, least=1, most=100)
    asked = [(n, v) for n, values in given.values.items() for v in values if n not in ("max", "_format", "_pretty")]
    if not any(n.partition(":")[0].partition(".")[0] in ("patient", "subject") for n, _ in asked):
        raise BadRequestError(
            Text("$lastn needs patient or subject.", "‎$lastn به patient یا subject نیاز دارد."), code="required"
        )
    request = understand(("Observation",), [*asked, ("_sort", "-date")])
    request.count = _SCANNED
    store = call.services.store
    compiler = await compiler_for(call, request.criteria)
    question = service.compile_question(compiler, request, "Observation/$lastn")
    page = await service.find(store, call.tenant, request, question, call.services.cursors, call.now)
    kept: list[Found] = []
    seen: dict[str, int] = {}
    for row in page.rows:
        kind = _kind(load(row[3]))
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= most:
            kept.append(row)
    request.used = [*asked, *([("max", str(most))] if "max" in given.values else [])]
    rendering = service.Rendering(call.services.base_url, "Observation/$lastn", call.language)
    shown = service.Page(kept, len(kept), None, None)
    return json_response(service.bundle(shown, None, request, rendering, store.dictionary.type_names, ("", "")))


def _kind(observation: dict[str, Any]) -> str:
    """What makes two Observations alike: their first coding, else their text."""
    code = observation.get("code") or {}
    for coding in code.get("coding") or ():
        return urlencode({"system": coding.get("system", ""), "code": coding.get("code", "")})
    return str(code.get("text", ""))


OPERATIONS: dict[OperationKey, Handler] = {("Observation", "type", "lastn"): lastn}
