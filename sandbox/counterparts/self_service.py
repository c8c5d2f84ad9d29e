"""The Tenant's controls for its own App, with its own token: `[base]/$sandbox-clock`, `$sandbox-faults` and the like.

An App's automated tests drive the clock, the Counterparts and the faults of their Tenant without going through the portal. The
bodies are plain JSON, the same as on the control plane; a token that speaks for a person is not enough. Sandbox only.
"""

from __future__ import annotations

from typing import Final

from sandbox.counterparts.control import routes as own_routes
from sandbox.exchange.calls import Call
from sandbox.exchange.control import ROUTES, Order, Problem
from sandbox.exchange.negotiation import read_body
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir.outcomes import BadRequestError, ForbiddenError, Text
from sandbox.kernel.http import Response
from sandbox.storage.encoding import parse
from sandbox.workflows.wiring import Workflows

PREFIX: Final = "sandbox-"
NAMES: Final = ("clock", "faults", "counterparts", "timeline", "deliveries", "reset", "snapshots", "restore")
_MAX_BODY: Final = 64 * 1024


def operations(workflows: Workflows, *, default_base: str) -> dict[OperationKey, Handler]:
    """System-level operations, one for each control."""
    known = ROUTES | own_routes(workflows)

    def handler(name: str) -> Handler:
        async def answer(call: Call) -> Response:
            _own_app(call)
            route = known.get((call.request.method, ("tenants", "*", name)))
            if route is None:
                problem = Problem(405, "method-not-allowed", f"{call.request.method} is not answered here")
                return problem.response()
            order = Order(call.services, default_base, await _body(call), tenant=call.tenant.tenant)
            order.query = dict(call.query)
            try:
                return await route(order)
            except Problem as problem:
                return problem.response()

        return answer

    return {("", "system", PREFIX + name): handler(name) for name in NAMES}


def _own_app(call: Call) -> None:
    if call.access.patient or call.access.subject != call.access.client:
        raise ForbiddenError(
            Text(
                "The Tenant's controls take a token of the App itself (client_credentials).",
                "کنترل‌های فضای آزمایشی توکن خودِ برنامه (client_credentials) را می‌خواهد.",
            )
        )


async def _body(call: Call) -> dict[str, object]:
    if call.request.method != "POST":
        return {}
    raw = await read_body(call.request, _MAX_BODY)
    value = parse(raw) if raw.strip() else {}
    if not isinstance(value, dict):
        raise BadRequestError(Text("The body must be a JSON object.", "بدنه باید شیء JSON باشد."))
    return value
