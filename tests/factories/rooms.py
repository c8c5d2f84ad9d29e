"""Every room of the portal that people use, over a migrated database with the catalogue in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from portal.apps import api as apps_api
from portal.apps import pages as apps_pages
from portal.apps.dependencies import tenants_dependency
from portal.apps.tenants import NoTenants
from portal.companies import api as companies_api
from portal.companies import pages as companies_pages
from portal.dashboard import pages as dashboard_pages
from portal.gateway import rules_api as gateway_rules_api
from portal.products import api as products_api
from portal.products import catalogue
from portal.products import pages as products_pages
from portal.subscriptions import api as subscriptions_api
from portal.subscriptions import pages as subscriptions_pages
from portal.tenants import api as tenants_api
from portal.tenants import pages as tenants_pages
from portal.tenants.controls import controls_dependency
from portal.tenants.twin import NoControls
from portal.traffic import api as traffic_api
from portal.traffic import pages as traffic_pages
from portal.usage import api as usage_api
from portal.usage import pages as usage_pages
from portal.users import api as users_api
from portal.users import pages as users_pages
from tests.factories.companies import registered
from tests.factories.portal_app import Portal, portal_app

ROOMS = (
    (users_api, users_pages),
    (companies_api, companies_pages),
    (products_api, products_pages),
    (apps_api, apps_pages),
    (subscriptions_api, subscriptions_pages),
    (usage_api, usage_pages),
    (traffic_api, traffic_pages),
    (tenants_api, tenants_pages),
)


@asynccontextmanager
async def rooms(migrated: Path, folder: Path) -> AsyncIterator[Portal]:
    """A Portal with all rooms; its Tenants twin lies in `extras["tenants"]`."""
    tenants = NoTenants()
    routes: list[Any] = [route for api, pages in ROOMS for route in (*api.routes, *pages.routes)]
    routes += [*dashboard_pages.routes, *gateway_rules_api.routes]
    menus = [*dashboard_pages.navigation, *(item for _, pages in ROOMS for item in pages.navigation)]
    ports = {**tenants_dependency(tenants), **controls_dependency(NoControls())}
    made = portal_app(migrated, folder, routes, dependencies=ports, navigation=menus)
    async with made as portal:
        portal.extras["tenants"] = tenants
        async with portal.sessions.begin() as session:
            await catalogue.sync(session)
        yield portal


async def app_of(client: httpx.AsyncClient, *, number: int = 1, name: str = "Noskhe", **more: Any) -> dict[str, Any]:
    """Register a Company and an App of it; returns the App as the API tells it."""
    company = await registered(client, number=number)
    answer = await client.post(f"/api/v1/companies/{company['id']}/apps", json={"name": name, **more})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()["app"]
    return made


async def sandbox_of(client: httpx.AsyncClient, app_id: str, *products: str) -> dict[str, Any]:
    """Open the sandbox of an App on `products` (default: appointments)."""
    answer = await client.post(f"/api/v1/apps/{app_id}/sandbox", json={"products": list(products or ["appointments"])})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made
