"""Tenants of the sandbox as a port: the portal asks an exchange's control plane, never its tables."""

from __future__ import annotations

from typing import Protocol

import httpx

from portal.kernel.errors import Conflict


class TenantsUnavailable(Conflict):
    code = "sandbox-unavailable"
    title = "The sandbox does not answer now; try again shortly"
    title_fa = "محیط آزمایشی اکنون پاسخ نمی‌دهد؛ کمی بعد دوباره بکوشید"


class Tenants(Protocol):
    """What opening an App's sandbox asks of an exchange; `portal.tenants` asks the rest."""

    async def create(self, tenant: str, base: str = "") -> None:
        """Make a Tenant over the shared base population; asking twice is harmless. May raise `TenantsUnavailable`."""
        ...


class NoTenants:
    """The twin that keeps only names: for tests of rooms that need no exchange."""

    def __init__(self) -> None:
        self.made: list[str] = []

    async def create(self, tenant: str, base: str = "") -> None:
        if tenant not in self.made:
            self.made.append(tenant)


class ExchangeTenants:
    """Over the exchange's /admin API; `control` carries the bearer and reaches it in process or over HTTP."""

    def __init__(self, control: httpx.AsyncClient) -> None:
        self._control = control

    async def create(self, tenant: str, base: str = "") -> None:
        body = {"tenant": tenant, **({"base": base} if base else {})}
        try:
            answer = await self._control.post("/admin/tenants", json=body)
        except httpx.HTTPError as error:
            raise TenantsUnavailable from error
        if answer.status_code >= 400:
            raise TenantsUnavailable(f"the sandbox answered {answer.status_code}")
