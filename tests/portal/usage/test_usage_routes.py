"""An App's consumption, as a page and as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from portal.usage.models import QuotaState, UsageHour
from portal.usage.windows import window
from tests.factories.portal_app import PASSWORD, Portal
from tests.factories.rooms import app_of, rooms, sandbox_of


@pytest.fixture
async def all_rooms(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Portal]:
    async with rooms(migrated_portal, tmp_path) as made:
        yield made


async def used(portal: Portal, app: dict[str, Any], opened: dict[str, Any]) -> None:
    """Write what the gateway would have metered."""
    now, subscription = portal.clock.now(), opened["subscriptions"][0]
    async with portal.sessions.begin() as session:
        spent = subscription["limits"]["quota"] * 9 // 10
        session.add(QuotaState(subscription_id=subscription["id"], window=window("month", now).name, spent=spent))
        for days, admitted in ((0, 30), (1, 1200), (20, 999)):
            session.add(
                UsageHour(
                    client_id=opened["environment"]["client_id"],
                    product_id="appointments",
                    hour=now - timedelta(days=days),
                    environment="sandbox",
                    company_id=app["company_id"],
                    app_id=app["id"],
                    admitted=admitted,
                    refused=7,
                    limited=5,
                )
            )


async def test_usage_sums_the_last_fourteen_days_and_the_running_window(all_rooms: Portal) -> None:
    portal = all_rooms
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    path = f"/api/v1/apps/{app['id']}/usage"
    assert (await owner.get(path)).json() == {"quotas": [], "days": [], "products": []}
    opened = await sandbox_of(owner, app["id"])
    await used(portal, app, opened)
    found = (await owner.get(path)).json()
    assert [(row["admitted"], row["refused"]) for row in found["days"][-2:]] == [(1200, 7), (30, 7)]
    assert len(found["days"]) == 14
    assert found["products"] == [
        {
            "environment": "sandbox",
            "product": "appointments",
            "admitted": 1230,
            "refused": 14,
            "limited": 10,
            "failed": 0,
        }
    ]
    quota = found["quotas"][0]
    assert quota["window"] == "1405-09" and quota["resets_at"] == "2026-12-21T20:30:00Z"
    assert quota["spent"] == quota["limit"] * 9 // 10


async def test_the_page_shows_a_high_meter_and_hides_from_strangers(all_rooms: Portal) -> None:
    portal = all_rooms
    owner = await portal.signed_in_script("owner@example.ir")
    app = await app_of(owner)
    browser, stranger = portal.browser(), await portal.signed_in_browser("x@example.ir")
    await browser.submit("/sign-in", email="owner@example.ir", password=PASSWORD)
    assert (await browser.get(f"/apps/{app['id']}/usage")).status_code == 200
    await used(portal, app, await sandbox_of(owner, app["id"]))
    page = (await browser.get(f"/en/apps/{app['id']}/usage")).text
    assert 'class="meter high"' in page and "1,230" in page
    assert (await stranger.get(f"/apps/{app['id']}/usage")).status_code == 404
    async with portal.script() as nobody:
        assert (await nobody.get(f"/api/v1/apps/{app['id']}/usage")).status_code == 401
