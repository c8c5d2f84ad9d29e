"""The Tenant controls of a sandbox exchange as a port: the portal asks its control plane, never its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import httpx
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from portal.apps.tenants import TenantsUnavailable
from portal.kernel.errors import Conflict, Invalid, NotFound

Part = Literal["", "clock", "faults", "counterparts", "timeline", "deliveries", "snapshots", "bases"]
Verb = Literal["clock", "faults", "counterparts", "reset", "snapshots", "restore", "fork"]


class TenantRefused(Conflict):
    code = "tenant-refused"
    title = "The sandbox refuses this in the Tenant's present state"
    title_fa = "محیط آزمایشی در وضعیت کنونی فضا این کار را نمی‌پذیرد"


class Controls(Protocol):
    """What the portal asks about one Tenant. Calls raise `NotFound`, `Invalid` naming a field, or `TenantsUnavailable`."""

    async def read(self, tenant: str, part: Part, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """A part of a Tenant as the exchange tells it; "" is the Tenant itself."""
        ...

    async def change(self, tenant: str, verb: Verb, body: Mapping[str, Any]) -> dict[str, Any]:
        """Do something to a Tenant; answers with how it stands then."""
        ...

    async def drop_snapshot(self, tenant: str, snapshot: str) -> None:
        """Forget a snapshot."""
        ...


class ExchangeControls:
    """Over the exchange's /admin API; `control` carries the bearer and reaches it in process or over HTTP."""

    def __init__(self, control: httpx.AsyncClient) -> None:
        self._control = control

    async def read(self, tenant: str, part: Part, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        path = f"/admin/tenants/{tenant}" + (f"/{part}" if part else "")
        return await self._call("GET", path, query={k: v for k, v in (query or {}).items() if v})

    async def change(self, tenant: str, verb: Verb, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._call("POST", f"/admin/tenants/{tenant}/{verb}", dict(body))

    async def drop_snapshot(self, tenant: str, snapshot: str) -> None:
        if not snapshot.isascii() or not snapshot.replace("-", "").isalnum():
            raise NotFound
        await self._call("DELETE", f"/admin/tenants/{tenant}/snapshots/{snapshot}")

    async def _call(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, str] | None = None
    ) -> dict[str, Any]:
        try:
            answer = await self._control.request(method, path, json=body, params=query)
        except httpx.HTTPError as error:
            raise TenantsUnavailable from error
        if answer.status_code == 404:
            raise NotFound
        said: Any = answer.json() if answer.content else {}
        if answer.status_code in (409, 422):
            raise _refusal(answer.status_code, said)
        if answer.status_code >= 400:
            raise TenantsUnavailable(f"the sandbox answered {answer.status_code}")
        found: dict[str, Any] = said
        return found


def _refusal(status: int, problem: Mapping[str, Any]) -> Invalid | TenantRefused:
    """The exchange's words, at the field they are about."""
    text = str(problem.get("detail") or problem.get("title") or "")
    if status == 409:
        return TenantRefused(text)
    field = str(problem.get("field", ""))
    return Invalid(text, fa=_persian(field, text), field=field)


_PERSIAN = {
    "kind": "نوع خطا را از فهرست برگزینید",
    "route": "مسیر، متنی کوتاه مانند Appointment/*‎ است",
    "method": "روش HTTP را از فهرست برگزینید",
    "status": "وضعیت باید عددی از ۴۰۰ تا ۵۹۹ باشد",
    "seconds": "ثانیه باید عددی از ۰ تا ۱۲۰ باشد",
    "left": "شمار باید ‎-1‎ (همیشه) یا عددی درست باشد",
    "skip": "شمار گذشت باید صفر یا بیشتر باشد",
    "probability": "احتمال باید عددی بیش از ۰ تا ۱ باشد",
    "starts": "آغاز باید لحظه‌ای با منطقهٔ زمانی باشد",
    "ends": "پایان باید لحظه‌ای با منطقهٔ زمانی باشد",
    "mode": "رفتار را از فهرست برگزینید",
    "after": "تأخیر باید شمار ثانیه‌ها، از صفر تا یک سال باشد",
    "options": "گزینه‌ها باید یک شیء JSON باشد",
    "advance_seconds": "شمار ثانیه‌ها باید عددی درست، از صفر تا پنج سال باشد",
    "to": "زمان باید جلوتر از ساعت فضا و حداکثر تا پنج سال پس از آن باشد",
    "offset_seconds": "اختلاف باید شمار ثانیه‌ها و حداکثر پنج سال باشد",
    "base": "جمعیت پایه‌ای با این نام نیست",
    "faults": "حداکثر ۵۰ خطا، هر یک با شناسهٔ یکتا",
}


def _persian(field: str, text: str) -> str:
    return _PERSIAN.get(field.rpartition(".")[2], text)


ControlsPort = NamedDependency[SkipValidation[Controls]]


def controls_dependency(controls: Controls) -> dict[str, Provide]:
    """`dependencies` of an application whose sandbox is behind `controls`."""

    def provide() -> Controls:
        return controls

    return {"controls": Provide(provide, sync_to_thread=False)}
