"""Consumption as its App's people see it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.kernel.database import transaction
from portal.products.models import QuotaPeriod
from portal.usage import service
from portal.usage.quota import DatabaseQuotaStore
from portal.usage.service import Consumption
from portal.usage.windows import TEHRAN, window
from tests.factories.portal_app import NOW, Portal
from tests.factories.rooms import app_of, sandbox_of


def used(client_id: str, app_id: str, hour: datetime, **sums: int) -> Consumption:
    return Consumption("sandbox", "co", app_id, client_id, "appointments", "sub", hour, **sums)


async def an_app(portal: Portal) -> tuple[Any, str, dict[str, Any]]:
    client = await portal.signed_in_script("owner@example.ir")
    app = await app_of(client)
    return client, app["id"], await sandbox_of(client, app["id"])


async def test_usage_sums_hours_and_days_of_tehran(portal: Portal) -> None:
    client, app_id, opened = await an_app(portal)
    client_id = opened["environment"]["client_id"]
    hour = NOW.replace(minute=0)
    async with transaction(portal.sessions) as session:
        for number, (back, calls) in enumerate(((0, 3), (1, 4), (30, 5), (24 * 29, 6), (24 * 40, 7))):
            sums = [used(client_id, app_id, hour - timedelta(hours=back), admitted=calls, duration_us=calls * 1000)]
            assert await service.record(session, batch=f"b{number}", sums=sums, now=NOW)
            assert not await service.record(session, batch=f"b{number}", sums=sums, now=NOW), "twice is once"
    told = (await client.get(f"/api/v1/apps/{app_id}/environments/sandbox/usage")).json()
    assert len(told["days"]) == 30
    assert len(told["hours"]) == 24
    assert told["days"][-1] == {
        "day": "2026-11-22",
        "sums": {**told["days"][-1]["sums"], "admitted": 7, "mean_ms": 1.0},
    }
    assert sum(day["sums"]["admitted"] for day in told["days"]) == 18
    assert [hour["sums"]["admitted"] for hour in told["hours"][-2:]] == [4, 3]


async def test_the_quota_meter_shows_what_was_handed_out_and_warns_at_80_and_100_percent(portal: Portal) -> None:
    client, app_id, opened = await an_app(portal)
    subscription = opened["subscriptions"][0]
    limit = subscription["limits"]["quota"]
    store = DatabaseQuotaStore(portal.sessions)
    name = window(subscription["limits"]["quota_period"], NOW).name
    browser = portal.browser()
    await browser.submit("/sign-in", email="owner@example.ir", password="seven quiet rivers")
    expected = ((limit // 2, "fine", ""), (limit * 4 // 5, "near", "۸۰٪"), (limit, "exhausted", "تمام شده"))
    spent = 0
    for target, state, text in expected:
        while spent < target:
            granted, spent = await store.reserve(subscription["id"], name, limit=limit, units=target - spent)
            assert granted
        told = (await client.get(f"/api/v1/apps/{app_id}/environments/sandbox/usage")).json()["quotas"][0]
        assert (told["used"], told["remaining"], told["state"]) == (target, limit - target, state)
        page = await browser.get(f"/apps/{app_id}/usage")
        assert page.status_code == 200, page.text[:500]
        assert text in page.text
        assert (await browser.get(f"/en/apps/{app_id}/usage")).status_code == 200


async def test_the_page_opens_before_and_after_the_sandbox_and_its_meters_alone(portal: Portal) -> None:
    browser = await portal.signed_in_browser("pages@example.ir")
    answer = await portal.script().post(
        "/api/v1/sessions", json={"email": "pages@example.ir", "password": "seven quiet rivers"}
    )
    client = portal.script(answer.json()["token"])
    app = await app_of(client)
    for prefix in ("", "/en"):
        assert (await browser.get(f"{prefix}/apps/{app['id']}/usage")).status_code == 200
    await sandbox_of(client, app["id"])
    for prefix in ("", "/en"):
        assert (await browser.get(f"{prefix}/apps/{app['id']}/usage")).status_code == 200
        meters = await browser.get(f"{prefix}/apps/{app['id']}/usage/sandbox/meters")
        assert meters.status_code == 200
        assert "<html" not in meters.text
    assert (await browser.get(f"/apps/{app['id']}/usage/production/meters")).status_code == 404


async def test_another_companys_usage_is_not_found(portal: Portal) -> None:
    _, app_id, _ = await an_app(portal)
    stranger = await portal.signed_in_script("stranger@example.ir")
    assert (await stranger.get(f"/api/v1/apps/{app_id}/environments/sandbox/usage")).status_code == 404
    assert (await portal.script().get(f"/api/v1/apps/{app_id}/environments/sandbox/usage")).status_code == 401


@pytest.mark.parametrize("bad", [{"days": 0}, {"days": 91}, {"hours": "x"}])
async def test_spans_out_of_range_are_refused(portal: Portal, bad: dict[str, Any]) -> None:
    client, app_id, _ = await an_app(portal)
    answer = await client.get(f"/api/v1/apps/{app_id}/environments/sandbox/usage", params=bad)
    assert answer.status_code in (400, 422)
    assert answer.headers["content-type"].startswith("application/problem+json")


@given(st.integers(1_767_225_600, 2_208_988_800), st.sampled_from(list(QuotaPeriod)))
def test_windows_hold_their_instant_and_follow_each_other_without_gap(moment: int, period: QuotaPeriod) -> None:
    now = datetime.fromtimestamp(moment, UTC)
    found = window(period, now)
    assert found.start <= now < found.end
    assert window(period, found.end).start == found.end
    assert window(period, found.end - timedelta(microseconds=1)) == found
    assert found.start.astimezone(TEHRAN).hour == 0


def test_a_month_is_the_jalali_one() -> None:
    found = window(QuotaPeriod.MONTH, datetime(2026, 11, 22, tzinfo=UTC))
    assert found.name == "1405-09"
    assert found.start.astimezone(TEHRAN).date().isoformat() == "2026-11-22"
    assert found.seconds == 30 * 86400
