"""Faults a developer plans for a Tenant: what goes wrong, on which route, when and how often. Sandbox only.

A plan is tried in order; the first that matches a request and still has calls left happens. Kinds: `status` (an error instead of
the answer), `latency`, `timeout` (the write takes effect, the answer does not come in time), `truncated` (half the body), `burst`
(429 with Retry-After), `expired-token` (401) and `down` (503).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, get_args

from sandbox.exchange.calls import Call
from sandbox.exchange.seams import Handler
from sandbox.fhir.outcomes import (
    FhirError,
    Text,
    ThrottledError,
    UnauthorizedError,
    UnavailableError,
)
from sandbox.kernel.clock import micros
from sandbox.kernel.http import Response
from sandbox.tenants import service as tenants
from sandbox.workflows import controls
from sandbox.workflows.engine import Engine
from sandbox.workflows.tx_records import ExchangeRecords

Kind = Literal["status", "latency", "timeout", "truncated", "burst", "expired-token", "down"]
KINDS: Final = get_args(Kind)
MAX_FAULTS: Final = 50
MAX_SECONDS: Final = 120.0
_FRESH_SECONDS: Final = 1.0
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "*")


@dataclass(frozen=True, slots=True)
class Fault:
    """One plan. `route` is a glob over the path below the base (`Appointment/*`, `*/$dispense`); `left` -1 means always."""

    id: str
    kind: Kind
    route: str = "*"
    method: str = "*"
    status: int = 500
    seconds: float = 0.0
    left: int = -1
    skip: int = 0
    starts: str = ""
    ends: str = ""

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def matches(self, method: str, path: str, now: int) -> bool:
        """Whether a request at `now` (microseconds, the Tenant's time) is meant, counters apart."""
        if self.left == 0 or self.method not in {"*", method}:
            return False
        if (self.starts and now < _stamp(self.starts)) or (self.ends and now >= _stamp(self.ends)):
            return False
        return _glob(self.route).fullmatch(path) is not None


class BadFaultError(ValueError):
    """A plan that cannot be followed; the message says what is wrong."""


def _stamp(text: str) -> int:
    return micros(datetime.fromisoformat(text))


def _glob(route: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in route.strip("/").split("*")))


def fault_of(raw: object, number: int) -> Fault:
    """A plan from JSON. Raises `BadFaultError`."""
    if not isinstance(raw, Mapping):
        raise BadFaultError("each fault is an object")
    unknown = set(raw) - set(Fault.__slots__)
    if unknown:
        raise BadFaultError(f"unknown field {sorted(unknown)[0]!r}: a fault has {', '.join(Fault.__slots__)}")
    if raw.get("kind") not in KINDS:
        raise BadFaultError(f"kind is one of {', '.join(KINDS)}, not {raw.get('kind')!r}")
    try:
        fault = Fault(**({"id": f"fault-{number}"} | dict(raw)))
        _check(fault)
    except TypeError as error:
        raise BadFaultError(f"a field has the wrong type: {error}") from error
    return fault


def _check(fault: Fault) -> None:
    texts = (fault.id, fault.route, fault.method, fault.starts, fault.ends)
    if not all(isinstance(text, str) and len(text) <= 200 for text in texts):
        raise BadFaultError("id, route, method, starts and ends are short texts")
    if fault.method not in _METHODS:
        raise BadFaultError(f"method is one of {', '.join(_METHODS)}")
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in (fault.status, fault.left, fault.skip)):
        raise BadFaultError("status, left and skip are whole numbers")
    if not 400 <= fault.status <= 599:
        raise BadFaultError("status is an error status, 400 to 599")
    if fault.left < -1 or fault.skip < 0:
        raise BadFaultError("left is -1 (always) or a count; skip is a count")
    if isinstance(fault.seconds, bool) or not 0 <= fault.seconds <= MAX_SECONDS:
        raise BadFaultError(f"seconds is 0 to {MAX_SECONDS:g}")
    for text in (fault.starts, fault.ends):
        try:
            if text and datetime.fromisoformat(text).tzinfo is None:
                raise ValueError("no zone")
        except ValueError as error:
            raise BadFaultError(f"starts and ends are instants with a zone, not {text!r}") from error


def checked(raw: object) -> list[Fault]:
    """Plans as a developer sends them. Raises `BadFaultError`."""
    if not isinstance(raw, list) or len(raw) > MAX_FAULTS:
        raise BadFaultError(f"faults are a list of at most {MAX_FAULTS}")
    return [fault_of(one, number) for number, one in enumerate(raw, 1)]


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
            happens.append(current is not None and current.left != 0 and current.skip == 0)
            if current is None:
                return
            if current.skip:
                stepped = replace(current, skip=current.skip - 1)
            else:
                stepped = replace(current, left=current.left - 1 if current.left > 0 else current.left)
                subject = {"resourceType": call.rtype or "CapabilityStatement", "id": call.fid or "-"}
                records.tell("fault", subject, {"fault": fault.id, "kind": fault.kind, "route": path})
            if stepped != current:
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
            response = await handler(call)
            response.body = response.body[: len(response.body) // 2]
            return response


async def set_faults(engine: Engine, tenant: str, faults: list[Fault]) -> None:
    """Replace a Tenant's plans."""

    async def job(records: ExchangeRecords) -> None:
        await controls.save(records.tx, tenant, faults=[fault.as_json() for fault in faults])

    await tenants.get(engine.services.store.database, tenant)
    await engine.run(tenant, job)
