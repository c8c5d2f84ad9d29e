"""Plays a Tenant's fault plans, in the sandbox only: the first plan in order that means a request, and still has calls left, happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from sandbox.exchange.calls import Call
from sandbox.exchange.negotiation import FHIR_JSON, answer_format
from sandbox.exchange.seams import Handler
from sandbox.exchange.xml_bodies import as_xml
from sandbox.fhir.outcomes import FhirError, Text, ThrottledError, UnauthorizedError, UnavailableError
from sandbox.kernel.http import Response
from sandbox.tenants import service as tenants
from sandbox.workflows import controls
from sandbox.workflows.engine import Engine
from sandbox.workflows.fault_plans import Fault, fault_of
from sandbox.workflows.tx_records import ExchangeRecords

_FRESH_SECONDS: Final = 1.0
_AS_IT_IS: Final = b"application/fhir+json;charset=utf-8"


@dataclass(slots=True)
class _Plans:
    faults: list[Fault] = field(default_factory=list)
    read_at: float = 0.0


class FaultEdge:
    """The exchange's edge in the sandbox: plays a planned fault, or lets the call through."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._plans: dict[str, _Plans] = {}

    def forget(self, tenant: str) -> None:
        """Read a Tenant's plans anew at its next request: they have just been set."""
        self._plans.pop(tenant, None)

    async def __call__(self, call: Call, handler: Handler) -> Response:
        plans = await self._plans_of(call.tenant.tenant)
        if not plans.faults or (not call.rtype and call.tail.startswith("sandbox-")):  # the way out is never blocked
            return await handler(call)
        path = "/".join(part for part in (call.rtype, call.fid, _tail(call)) if part)
        for fault in plans.faults:
            if fault.matches(call.request.method, path, call.now) and await self._counted(call, fault, path):
                return await _play(fault, call, handler)
        return await handler(call)

    async def _plans_of(self, tenant: str) -> _Plans:
        plans = self._plans.get(tenant)
        if plans is None or time.monotonic() - plans.read_at > _FRESH_SECONDS:
            if len(self._plans) > 10_000:
                self._plans.clear()
            raw = await controls.faults_of(self._engine.services.store.database, tenant)
            plans = self._plans[tenant] = _Plans([fault_of(one, 0) for one in raw], time.monotonic())
        return plans

    async def _counted(self, call: Call, fault: Fault, path: str) -> bool:
        """Step the plan's counters, in a transaction so that workers share them, and note what happens; whether it does."""
        happens: list[bool] = []

        async def verb(records: ExchangeRecords) -> None:
            happens.clear()
            stored = [fault_of(one, 0) for one in await controls.faults_of(records.tx, call.tenant.tenant)]
            current = next((one for one in stored if one.id == fault.id), None)
            stepped, now = (current, False) if current is None else current.step()
            happens.append(now)
            if now:
                subject = {"resourceType": call.rtype or "CapabilityStatement", "id": call.fid or "-"}
                records.tell("fault", subject, {"fault": fault.id, "kind": fault.kind, "route": path})
            if stepped is not None and stepped != current:
                plans = [(stepped if one.id == fault.id else one).as_json() for one in stored]
                await controls.save(records.tx, call.tenant.tenant, faults=plans)

        await self._engine.run(call.tenant.tenant, verb)
        self.forget(call.tenant.tenant)
        return happens[0]


def _tail(call: Call) -> str:
    raw = call.request.path.decode("latin-1").rstrip("/").rpartition("/")[2]
    return raw if raw.startswith(("$", "_")) else call.tail


class PlannedError(FhirError):
    """The status a plan asks for."""

    def __init__(self, status: int) -> None:
        super().__init__(_PLANNED, code="transient" if status >= 500 else "processing")
        self.status = status  # type: ignore[misc]  # the one error whose status is data


_PLANNED: Final = Text("A planned fault of this Tenant.", "خطای برنامه‌ریزی‌شدهٔ این فضای آزمایشی.")


async def _play(fault: Fault, call: Call, handler: Handler) -> Response:
    match fault.kind:
        case "status":
            raise PlannedError(fault.status)
        case "burst":
            raise ThrottledError(_PLANNED, headers={"Retry-After": str(max(1, int(fault.seconds)))})
        case "expired-token":
            challenge = 'Bearer error="invalid_token", error_description="The access token expired"'
            raise UnauthorizedError(_PLANNED, code="expired", headers={"WWW-Authenticate": challenge})
        case "down":
            raise UnavailableError(_PLANNED, headers={"Retry-After": str(max(1, int(fault.seconds)))})
        case "latency":
            await asyncio.sleep(fault.seconds)
            return await handler(call)
        case "timeout":
            await handler(call)
            await asyncio.sleep(fault.seconds)
            raise PlannedError(504)
        case "truncated":
            return _truncated(call, await handler(call))


def _truncated(call: Call, response: Response) -> Response:
    """Half the body, in the format that was asked for: what is cut can no longer be translated."""
    if response.stream is not None:
        response.stream = _first(response.stream)
        return response
    asked = [value for name, value in call.query if name == "_format"]
    if answer_format(call.header(b"accept"), asked) == "xml":
        response = as_xml(response)
    response.body = response.body[: len(response.body) // 2]
    # Spelt so that the edge neither translates nor indents it: the half goes out as it is.
    response.headers = [(k, _AS_IT_IS if v == FHIR_JSON else v) for k, v in response.headers]
    return response


async def _first(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The first chunk's first half."""
    async for chunk in stream:
        yield chunk[: len(chunk) // 2]
        return


async def set_faults(engine: Engine, tenant: str, faults: list[Fault]) -> None:
    """Replace a Tenant's plans."""

    async def job(records: ExchangeRecords) -> None:
        await controls.save(records.tx, tenant, faults=[fault.as_json() for fault in faults])

    await tenants.get(engine.services.store.database, tenant)
    await engine.run(tenant, job)
