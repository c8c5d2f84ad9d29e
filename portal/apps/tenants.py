"""Tenants of the sandbox as a port: the portal asks an exchange's control plane, never its tables."""

from __future__ import annotations

from typing import Any, Protocol

import httpx

from portal.kernel.errors import Conflict, NotFound


class TenantsUnavailable(Conflict):
    code = "sandbox-unavailable"
    title = "The sandbox does not answer now; try again shortly"
    title_fa = "محیط آزمایشی اکنون پاسخ نمی‌دهد؛ کمی بعد دوباره بکوشید"


class Tenants(Protocol):
    """What the portal asks of a sandbox exchange about Tenants. Every call may raise `TenantsUnavailable`."""

    async def create(self, tenant: str, base: str = "") -> None:
        """Make a Tenant over the shared base population; asking twice is harmless."""
        ...

    async def reset(self, tenant: str) -> None:
        """Throw away all that was written in the Tenant."""
        ...

    async def snapshot(self, tenant: str, name: str = "") -> dict[str, Any]:
        """Keep the Tenant's present state; answers with at least its `snapshot` id."""
        ...

    async def snapshots(self, tenant: str) -> list[dict[str, Any]]:
        """Snapshots kept so far, newest first."""
        ...

    async def restore(self, tenant: str, snapshot: str) -> None:
        """Bring the Tenant back to a snapshot; raises NotFound when there is none."""
        ...


class NoTenants:
    """The twin that keeps only names: for tests of rooms that need no exchange."""

    def __init__(self) -> None:
        self.made: dict[str, list[str]] = {}

    async def create(self, tenant: str, base: str = "") -> None:
        self.made.setdefault(tenant, [])

    async def reset(self, tenant: str) -> None:
        self.made.setdefault(tenant, [])

    async def snapshot(self, tenant: str, name: str = "") -> dict[str, Any]:
        kept = self.made.setdefault(tenant, [])
        kept.append(f"snap_{len(kept) + 1}")
        return {"snapshot": kept[-1], "name": name}

    async def snapshots(self, tenant: str) -> list[dict[str, Any]]:
        return [{"snapshot": each} for each in reversed(self.made.get(tenant, []))]

    async def restore(self, tenant: str, snapshot: str) -> None:
        if snapshot not in self.made.get(tenant, []):
            raise NotFound


class ExchangeTenants:
    """Over the exchange's /admin API; `control` carries the bearer and reaches it in process or over HTTP."""

    def __init__(self, control: httpx.AsyncClient) -> None:
        self._control = control

    async def create(self, tenant: str, base: str = "") -> None:
        await self._call("POST", "/admin/tenants", {"tenant": tenant, **({"base": base} if base else {})})

    async def reset(self, tenant: str) -> None:
        await self._call("POST", f"/admin/tenants/{tenant}/reset", {})

    async def snapshot(self, tenant: str, name: str = "") -> dict[str, Any]:
        made: dict[str, Any] = await self._call(
            "POST", f"/admin/tenants/{tenant}/snapshots", {"name": name} if name else {}
        )
        return made

    async def snapshots(self, tenant: str) -> list[dict[str, Any]]:
        found = await self._call("GET", f"/admin/tenants/{tenant}/snapshots")
        rows: list[dict[str, Any]] = found["snapshots"] if isinstance(found, dict) else found
        return rows

    async def restore(self, tenant: str, snapshot: str) -> None:
        await self._call("POST", f"/admin/tenants/{tenant}/restore", {"snapshot": snapshot})

    async def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        try:
            answer = await self._control.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise TenantsUnavailable from error
        if answer.status_code == 404:
            raise NotFound
        if answer.status_code >= 400:
            raise TenantsUnavailable(f"the sandbox answered {answer.status_code}")
        return answer.json() if answer.content else None
