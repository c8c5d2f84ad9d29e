"""Gozar's own hand in a Tenant: FHIR reads and writes that do not pass the gateway and are not the App's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import httpx


class HandFailed(Exception):
    """The exchange did not do what a scenario needs; the message says what it answered."""


class Hand(Protocol):
    """Reads and writes in a Tenant with every right."""

    async def get(self, tenant: str, path: str) -> Any:
        """JSON at `path` below the FHIR base; raises `HandFailed`."""
        ...

    async def send(self, tenant: str, method: str, path: str, resource: dict[str, Any]) -> Any:
        """Write a resource; answers with what the exchange stored; raises `HandFailed`."""
        ...


class ExchangeHand:
    """Over HTTP or in process. `token` mints a short-lived access token of a Tenant with system scopes."""

    def __init__(self, client: httpx.AsyncClient, token: Callable[[str], str]) -> None:
        self._client, self._token = client, token

    async def get(self, tenant: str, path: str) -> Any:
        return await self._call(tenant, "GET", path, None)

    async def send(self, tenant: str, method: str, path: str, resource: dict[str, Any]) -> Any:
        return await self._call(tenant, method, path, resource)

    async def _call(self, tenant: str, method: str, path: str, resource: dict[str, Any] | None) -> Any:
        headers = {"authorization": f"Bearer {self._token(tenant)}", "accept": "application/fhir+json"}
        if resource is not None:
            headers |= {"content-type": "application/fhir+json", "prefer": "return=representation"}
        try:
            answer = await self._client.request(
                method, f"/fhir/R4/{path}", json=resource, headers=headers, auth=None, follow_redirects=False
            )
        except httpx.HTTPError as error:
            raise HandFailed(f"the exchange did not answer: {error}") from error
        if answer.status_code >= 400:
            raise HandFailed(f"{method} {path} was answered with {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None
