"""The gateway over a real database, real tokens and the feed, as two workers of one portal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.apps.models import AccessStatus, App
from portal.gateway.runtime import Runtime
from portal.kernel.clock import FixedClock
from portal.kernel.database import SessionMaker, create_engine, session_maker, transaction
from portal.oauth.service import OAuth
from portal.products.models import Plan, Product, ProductScope
from portal.subscriptions.models import Subscription
from portal.traffic.models import CallRecord
from portal.usage.models import UsageRecord
from tests.factories.gateway import runtime_over, subscribe
from tests.factories.oauth import NOW, MadeApp, make_app, oauth_over
from tests.portal.gateway.rig import Answer, drive, echo


@dataclass
class Worker:
    oauth: OAuth
    runtime: Runtime
    maker: SessionMaker
    clock: FixedClock

    async def call(self, bearer: str, path: str = "/sandbox/fhir/R4/Patient/p1", method: str = "GET") -> Answer:
        return await drive(self.runtime.gateway, method, path, [(b"authorization", f"Bearer {bearer}".encode())])

    def token(self, app: MadeApp, *scopes: str, environment: str = "sandbox", epoch: int = 1) -> str:
        return self.oauth.tokens.mint(
            environment,
            client_id=app.client_id,
            app=app.app_id,
            tenant="t",
            epoch=epoch,
            scope=" ".join(scopes or ("system/Patient.cruds",)),
            now=self.clock.now(),
        )


@asynccontextmanager
async def worker(url: str, folder: Path, secrets: Path) -> AsyncIterator[Worker]:
    engine: AsyncEngine = create_engine(url)
    maker = session_maker(engine)
    clock = FixedClock(NOW)
    oauth = oauth_over(engine, maker, secrets, clock)
    await oauth.start()
    runtime = runtime_over(oauth, echo, folder)
    await runtime.start()
    try:
        yield Worker(oauth, runtime, maker, clock)
    finally:
        await runtime.stop()
        await oauth.stop()
        await engine.dispose()


@pytest.fixture
async def two(both_urls: str, tmp_path: Path, secrets_folder: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers on one database: their own engines, caches, feeds and limiters."""
    async with (
        worker(both_urls, tmp_path, secrets_folder) as first,
        worker(both_urls, tmp_path, secrets_folder) as second,
    ):
        yield first, second


async def _app(one: Worker, **overrides: Any) -> MadeApp:
    app = await make_app(one.maker, pepper=one.oauth.pepper, scopes=["system/Patient.cruds", "system/Observation.rs"])
    await subscribe(one.maker, app.client_id, now=NOW, **overrides)
    return app


async def until_refused(one: Worker, bearer: str, within: float = 1.0) -> Answer:
    """The first refusal; fails when there is none within a second."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while loop.time() < end:
        answer = await one.call(bearer)
        if answer.status != 200:
            return answer
        await asyncio.sleep(0.01)
    raise AssertionError(f"still admitted after {within} s")


async def test_a_suspension_refuses_the_next_call_on_every_worker_within_a_second(two: tuple[Worker, Worker]) -> None:
    first, second = two
    app = await _app(first)
    bearer = first.token(app)
    for one in two:
        assert (await one.call(bearer)).status == 200
    async with transaction(first.maker) as session:
        (await session.get_one(App, app.app_id)).status = AccessStatus.SUSPENDED
    assert (await first.call(bearer)).status == 403, "the worker that suspended must refuse the very next call"
    refused = await until_refused(second, bearer)
    assert refused.status == 403
    assert refused.json["issue"][0]["details"]["coding"][0]["code"] == "app-suspended"


async def test_a_smaller_plan_acts_on_every_worker_within_a_second(two: tuple[Worker, Worker]) -> None:
    first, second = two
    app = await _app(first)
    bearer = first.token(app)
    for one in two:
        assert '"burst";q=1000' in (await one.call(bearer)).headers["ratelimit-policy"]
    async with transaction(first.maker) as session:
        await session.execute(update(Plan).values(per_second=1, per_minute=1))
    assert '"burst";q=1;' in (await first.call(bearer)).headers["ratelimit-policy"]
    assert (await until_refused(second, bearer)).status == 429


async def test_an_ended_subscription_and_a_cut_scope_close_the_way(two: tuple[Worker, Worker]) -> None:
    first, second = two
    app = await _app(first)
    bearer = first.token(app, "system/Patient.cruds", "system/Observation.rs")
    async with transaction(first.maker) as session:
        scope = await session.get_one(ProductScope, ("health-record", "system/Observation.rs"))
        scope.suspended = True
    first.runtime.directory.invalidate()
    refused = await first.call(bearer, "/sandbox/fhir/R4/Observation")
    assert refused.json["issue"][0]["details"]["coding"][0]["code"] == "scope-suspended"
    assert (await first.call(bearer)).status == 200
    assert (await second.call(bearer)).status == 200
    async with transaction(first.maker) as session:
        (await session.scalars(select(Subscription))).one().ended_at = NOW
    answer = await until_refused(second, bearer)
    assert answer.json["issue"][0]["details"]["coding"][0]["code"] == "no-subscription"


async def test_a_suspended_product_admits_nobody(two: tuple[Worker, Worker]) -> None:
    first, _ = two
    app = await _app(first)
    async with transaction(first.maker) as session:
        (await session.get_one(Product, "health-record")).suspended = True
    answer = await first.call(first.token(app))
    assert answer.json["issue"][0]["details"]["coding"][0]["code"] == "product-suspended"


async def test_the_last_quota_unit_has_exactly_one_winner_over_two_workers(two: tuple[Worker, Worker]) -> None:
    first, second = two
    app = await _app(first, quota=150)
    bearer = first.token(app)
    answers = await asyncio.gather(*(one.call(bearer) for _ in range(100) for one in (first, second)))
    statuses = [answer.status for answer in answers]
    assert statuses.count(200) == 150
    assert statuses.count(429) == 50
    for one in two:
        await one.runtime.meter.flush()
    async with first.maker() as session:
        assert await session.scalar(select(func.sum(UsageRecord.calls))) == 150
        assert await session.scalar(select(func.count()).select_from(CallRecord)) == 200


async def test_units_a_worker_leased_and_left_come_back(two: tuple[Worker, Worker]) -> None:
    first, second = two
    app = await _app(first, quota=1000)
    bearer = first.token(app)
    await first.call(bearer)  # leases 10, spends 1
    admitted = 0
    while (await second.call(bearer)).status == 200:
        admitted += 1
        if admitted % 900 == 0:
            await asyncio.sleep(1.1)  # the burst of 1,000 a second; meanwhile the first worker returns what it leased
    assert admitted == 999


async def test_stale_revocations_close_production_and_not_the_sandbox(two: tuple[Worker, Worker]) -> None:
    first, _ = two
    app = await _app(first)
    live = await make_app(first.maker, pepper=first.oauth.pepper, environment="production", scopes=["system/Patient.r"])
    await subscribe(first.maker, live.client_id, now=NOW, environment="production")
    production = first.token(live, "system/Patient.r", environment="production")
    assert (await first.call(production, "/production/fhir/R4/Patient/p1")).status == 200
    assert (await first.call(production)).status == 401
    await first.oauth.feed.stop()
    await asyncio.sleep(1.3)
    assert (await first.call(production, "/production/fhir/R4/Patient/p1")).status == 503
    assert (await first.call(first.token(app))).status == 200
