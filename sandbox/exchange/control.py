"""The control plane at `/admin`: Tenants over JSON, for the portal and its operators. Errors are RFC 9457 problems."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from sandbox.exchange.negotiation import read_body
from sandbox.exchange.services import Services
from sandbox.fhir.outcomes import FhirError
from sandbox.kernel.clock import instant
from sandbox.kernel.database import Transaction
from sandbox.kernel.errors import BusyError, StoreError
from sandbox.kernel.http import BadPath, Receive, Request, Response, Scope, Send, segments
from sandbox.kernel.ids import is_fhir_id
from sandbox.search.request import pairs
from sandbox.security.tokens import TokenVerifier, bearer
from sandbox.storage.layers import copy_rows
from sandbox.tenants import service as tenants
from sandbox.tenants.service import (
    QuotaError,
    Snapshot,
    Tenant,
    UnknownBaseError,
    UnknownSnapshotError,
    UnknownTenantError,
)

log = logging.getLogger("gozar.exchange")
SCOPE = "exchange.admin"
_MAX_BODY = 64 * 1024


class Problem(Exception):
    """An answer of the control plane that is no success."""

    def __init__(self, status: int, code: str, title: str, detail: str = "", *, field: str = "") -> None:
        super().__init__(title)
        self.status, self.code, self.title, self.detail, self.field = status, code, title, detail, field

    def response(self) -> Response:
        body = {"type": f"urn:gozar:problem:{self.code}", "title": self.title, "status": self.status}
        if self.detail:
            body["detail"] = self.detail
        if self.field:
            body["field"] = self.field  # where in the body it went wrong: `faults[2].seconds`
        return Response(self.status, orjson.dumps(body), [(b"content-type", b"application/problem+json")])


@dataclass(slots=True)
class Order:
    """One request to the control plane."""

    services: Services
    default_base: str
    body: dict[str, Any]
    tenant: str = ""
    item: str = ""
    query: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> int:
        return self.services.now()

    def text(self, name: str, default: str = "") -> str:
        value = self.body.get(name, default)
        if not isinstance(value, str) or len(value) > 200:
            raise Problem(422, "invalid-field", f"{name!r} must be a short text", field=name)
        return value

    async def write(self, job: Callable[[Transaction], Awaitable[Any]], tenant: str = "") -> Any:
        return await self.services.store.database.write(job, lock=tenants.lock_of(tenant or self.tenant), weight=500)


class Control:
    """ASGI application of `/admin`."""

    def __init__(
        self, services: Services, verifier: TokenVerifier, *, default_base: str, routes: Routes | None = None
    ) -> None:
        self._services, self._verifier, self._default_base = services, verifier, default_base
        self._routes = ROUTES | (routes or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except Problem as problem:
            response = problem.response()
        except FhirError as error:
            response = Problem(error.status, error.code, str(error)).response()
            response.headers += [(k.lower().encode(), v.encode()) for k, v in error.headers.items()]
        except StoreError as error:
            response = _problem_of(error).response()
        except Exception:
            log.exception("unexpected error on %s %s", request.method, request.path.decode("latin-1"))
            response = Problem(500, "internal", "Something went wrong here; it has been recorded").response()
        await response.send(send, head=request.method == "HEAD")

    async def _answer(self, request: Request) -> Response:
        await self._admit(request)
        try:
            parts = segments(request.path.removeprefix(b"/admin").removeprefix(b"/"))
        except BadPath:
            raise Problem(400, "bad-path", "The path is ambiguous") from None
        handler, order = self._route(request.method, parts)
        order.query = dict(pairs(request.query))
        if request.method in ("POST", "PUT"):
            order.body = _json(await read_body(request, _MAX_BODY))
        return await handler(order)

    async def _admit(self, request: Request) -> None:
        audience = f"urn:gozar:exchange:{self._services.environment}"
        claims = await self._verifier.claims(bearer(request.headers.get(b"authorization")), audience=audience)
        if SCOPE not in str(claims.get("scope", "")).split():
            raise Problem(403, "insufficient-scope", f"The token lacks the scope {SCOPE}")

    def _route(self, method: str, parts: list[str]) -> tuple[Handler, Order]:
        if parts[:1] != ["tenants"] or len(parts) > 4:
            raise Problem(404, "not-found", "There is nothing here")
        order = Order(self._services, self._default_base, {})
        if len(parts) > 1:
            order.tenant = parts[1]
        if len(parts) > 3:
            order.item = parts[3]
        key = tuple(part if n in (0, 2) else "*" for n, part in enumerate(parts))
        allowed = {m: handler for (m, path), handler in self._routes.items() if path == key}
        if not allowed:
            raise Problem(404, "not-found", "There is nothing here")
        if method not in allowed:
            raise Problem(405, "method-not-allowed", f"{method} is not answered here", f"Allowed: {', '.join(allowed)}")
        return allowed[method], order


def _json(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "malformed-json", "The body is not valid JSON", str(error)) from error
    if not isinstance(value, dict):
        raise Problem(422, "invalid-body", "The body must be a JSON object")
    return value


def _problem_of(error: StoreError) -> Problem:
    match error:
        case UnknownTenantError():
            return Problem(404, "unknown-tenant", "There is no such Tenant")
        case UnknownSnapshotError():
            return Problem(404, "unknown-snapshot", "The Tenant has no such snapshot")
        case UnknownBaseError():
            return Problem(422, "unknown-base", "There is no base population of that name", field="base")
        case QuotaError():
            return Problem(409, "quota", f"At most {error.limit} {error.resource}")
        case BusyError():
            return Problem(503, "busy", "The store is busy; try again shortly")
    return Problem(409, "conflict", str(error))


def _answer(value: Any, status: int = 200) -> Response:
    return Response(status, orjson.dumps(value), [(b"content-type", b"application/json")])


async def _shown(order: Order, tenant: Tenant) -> dict[str, Any]:
    rows = await order.services.store.database.rows(
        "SELECT resources, bytes FROM layer WHERE layer=?1", (tenant.layer,)
    )
    resources, size = rows[0] if rows else (0, 0)
    return {
        "tenant": tenant.tenant,
        "base": tenant.base,
        "created": instant(tenant.created),
        "now": instant(order.now + tenant.clock_offset),
        "offset_seconds": round(tenant.clock_offset / 1_000_000),
        "revision": tenant.revision,
        "validation": tenant.validation,
        "resources": resources,
        "bytes": size,
        "max_resources": tenant.max_resources,
        "max_bytes": tenant.max_bytes,
        "fhir_base_url": order.services.base_url,
    }


def _snapshot(snapshot: Snapshot) -> dict[str, Any]:
    kept = {k: v for k, v in asdict(snapshot).items() if k not in ("layer", "base_layer", "clock_offset")}
    return kept | {"created": instant(snapshot.created)}


async def _open(order: Order) -> Response:
    named, base = order.text("tenant"), order.text("base") or order.default_base
    if not is_fhir_id(named):
        raise Problem(422, "invalid-field", "'tenant' must be 1 to 64 letters, digits, '-' and '.'")

    async def job(tx: Transaction) -> tuple[Tenant, bool]:
        return await tenants.open_tenant(tx, tenant=named, base=base, now=order.now)

    made, fresh = await order.write(job, named)
    return _answer(await _shown(order, made), 201 if fresh else 200)


async def _get(order: Order) -> Response:
    return _answer(await _shown(order, await tenants.get(order.services.store.database, order.tenant)))


async def _reset(order: Order) -> Response:
    base = order.text("base")

    async def job(tx: Transaction) -> Tenant:
        return await tenants.reset(tx, tenant=order.tenant, base=base)

    return _answer(await _shown(order, await order.write(job)))


async def _take_snapshot(order: Order) -> Response:
    name = order.text("name")

    async def job(tx: Transaction) -> Snapshot:
        return await tenants.take_snapshot(tx, copy=copy_rows, tenant=order.tenant, name=name, now=order.now)

    return _answer(_snapshot(await order.write(job)), 201)


async def _snapshots(order: Order) -> Response:
    database = order.services.store.database
    await tenants.get(database, order.tenant)
    found = await tenants.snapshots(database, tenant=order.tenant)
    return _answer({"snapshots": [_snapshot(s) for s in found]})


async def _restore(order: Order) -> Response:
    wanted = order.text("snapshot")

    async def job(tx: Transaction) -> Tenant:
        return await tenants.restore(tx, copy=copy_rows, tenant=order.tenant, snapshot=wanted)

    return _answer(await _shown(order, await order.write(job)))


async def _drop_snapshot(order: Order) -> Response:
    async def job(tx: Transaction) -> None:
        await tenants.get(tx, order.tenant)
        await tenants.drop_snapshot(tx, tenant=order.tenant, snapshot=order.item)

    await order.write(job)
    return Response(204)


async def _fork(order: Order) -> Response:
    """`{"tenant": into, "replace": false}`: a copy of this Tenant; `replace` lets it take the place of an open one's data."""
    into, replace = order.text("tenant"), order.body.get("replace", False)
    if not is_fhir_id(into) or into == order.tenant:
        raise Problem(422, "invalid-field", "'tenant' must be another, of 1 to 64 letters, digits, '-' and '.'")
    if not isinstance(replace, bool):
        raise Problem(422, "invalid-field", "'replace' must be true or false", field="replace")

    async def job(tx: Transaction) -> Tenant:
        return await tenants.fork(tx, copy=copy_rows, tenant=order.tenant, into=into, now=order.now, replace=replace)

    return _answer(await _shown(order, await order.write(job)), 201)


async def _bases(order: Order) -> Response:
    """The populations that a Tenant can be reset to."""
    return _answer({"bases": await tenants.bases(order.services.store.database)})


async def _delete(order: Order) -> Response:
    async def job(tx: Transaction) -> None:
        await tenants.delete(tx, tenant=order.tenant)

    await order.write(job)
    return Response(204)


async def _set_clock(order: Order) -> Response:
    """`{"offset_seconds": n}`: how far the Tenant's clock runs ahead (or, negative, behind)."""
    offset = order.body.get("offset_seconds", 0)
    if not isinstance(offset, int) or isinstance(offset, bool) or abs(offset) > 100 * 366 * 86_400:
        raise Problem(422, "invalid-field", "'offset_seconds' must be a whole number, at most a century")

    async def job(tx: Transaction) -> Tenant:
        return await tenants.set_clock(tx, tenant=order.tenant, offset=offset * 1_000_000)

    return _answer(await _shown(order, await order.write(job)))


async def _set_validation(order: Order) -> Response:
    """`{"mode": "strict" | "warn" | "off"}`"""
    mode = order.text("mode")
    if mode not in ("strict", "warn", "off"):
        raise Problem(422, "invalid-field", "'mode' must be strict, warn or off")

    async def job(tx: Transaction) -> Tenant:
        return await tenants.set_validation(tx, tenant=order.tenant, mode=mode)

    return _answer(await _shown(order, await order.write(job)))


Handler = Callable[[Order], Awaitable[Response]]
Routes = dict[tuple[str, tuple[str, ...]], Handler]
ROUTES: Routes = {
    ("POST", ("tenants",)): _open,
    ("GET", ("tenants", "*")): _get,
    ("DELETE", ("tenants", "*")): _delete,
    ("POST", ("tenants", "*", "reset")): _reset,
    ("POST", ("tenants", "*", "snapshots")): _take_snapshot,
    ("GET", ("tenants", "*", "snapshots")): _snapshots,
    ("GET", ("tenants", "*", "bases")): _bases,
    ("DELETE", ("tenants", "*", "snapshots", "*")): _drop_snapshot,
    ("POST", ("tenants", "*", "restore")): _restore,
    ("POST", ("tenants", "*", "fork")): _fork,
    ("POST", ("tenants", "*", "clock")): _set_clock,
    ("POST", ("tenants", "*", "validation")): _set_validation,
}
