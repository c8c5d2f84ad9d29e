"""Who keeps failing to authenticate waits, counted alike in memory and in Redis; an App is never locked out by strangers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import ASGITransport, AsyncClient, Response
from litestar import Litestar
from sqlalchemy.ext.asyncio import AsyncEngine

from portal.gateway.rate_limiter import MemoryArrivals, SlowapiThrottle
from portal.gateway.redis_failures import RedisFailures
from portal.kernel.database import SessionMaker
from portal.oauth.api import routes
from portal.oauth.failures import FailureStore
from tests.factories import redis
from tests.factories.oauth import MadeApp, assertion, assertion_form, new_key
from tests.portal.oauth.conftest import World, world_over

GRANT = {"grant_type": "client_credentials", "scope": "system/Patient.rs"}


class Ticks:
    """A monotonic clock that moves with the world's."""

    def __init__(self) -> None:
        self.elapsed = 0

    def __call__(self) -> int:
        return self.elapsed


class Guarded:
    """A world whose failures are counted, callers at addresses, and time that both of its clocks follow."""

    def __init__(self, world: World, ticks: Ticks) -> None:
        self.world, self._ticks = world, ticks
        self._app = Litestar(route_handlers=routes(world.oauth))

    def wait(self, seconds: float) -> None:
        self.world.clock.advance(timedelta(seconds=seconds))
        self._ticks.elapsed += int(seconds * 1e9)

    async def ask(self, form: dict[str, str], *, address: str = "192.0.2.7", place: str = "token") -> Response:
        transport = ASGITransport(self._app, client=(address, 4000))
        async with AsyncClient(transport=transport, base_url="https://gozar.test") as http:
            return await http.post(f"/sandbox/oauth/{place}", data=form)

    async def secret(self, app: MadeApp, secret: str = "", address: str = "192.0.2.7") -> Response:
        return await self.ask(
            {**GRANT, "client_id": app.client_id, "client_secret": secret or app.secret}, address=address
        )


@pytest.fixture
async def guarded(
    sqlite: tuple[AsyncEngine, SessionMaker], secrets_folder: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Guarded]:
    ticks = Ticks()
    store: FailureStore = SlowapiThrottle(MemoryArrivals(ticks))
    async with world_over(*sqlite, secrets_folder, failures=store) as made:
        yield Guarded(made, ticks)


async def test_repeated_failures_are_answered_429_and_exactly_the_told_wait_ends_them(guarded: Guarded) -> None:
    app = await guarded.world.app()
    for _ in range(10):
        answer = await guarded.secret(app, "wrong")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    refused = await guarded.secret(app)
    assert refused.status_code == 429, "right or wrong, it is not even read"
    assert refused.json()["error"] == "temporarily_unavailable"
    assert refused.headers["cache-control"] == "no-store" and refused.headers["content-type"] == "application/json"
    wait = int(refused.headers["retry-after"])
    assert 1 <= wait <= 6
    guarded.wait(wait - 1)
    assert (await guarded.secret(app)).status_code == 429
    guarded.wait(1)
    assert (await guarded.secret(app)).status_code == 200


async def test_a_refused_attempt_does_not_lengthen_the_wait(guarded: Guarded) -> None:
    app = await guarded.world.app()
    for _ in range(40):
        last = await guarded.secret(app, "wrong")
    assert last.status_code == 429
    guarded.wait(int(last.headers["retry-after"]))
    assert (await guarded.secret(app)).status_code == 200


async def test_a_success_forgets_the_failures_before_it(guarded: Guarded) -> None:
    app = await guarded.world.app()
    for _ in range(3):
        for _ in range(9):
            assert (await guarded.secret(app, "wrong")).status_code == 401
        assert (await guarded.secret(app)).status_code == 200


async def test_who_knows_a_client_id_cannot_lock_the_app_out(guarded: Guarded) -> None:
    app = await guarded.world.app()
    for number in range(120):
        await guarded.secret(app, "wrong", f"198.51.100.{number}")
        await guarded.secret(app, "wrong", "198.51.100.1")
    assert (await guarded.secret(app, "wrong", "198.51.100.1")).status_code == 429
    assert (await guarded.secret(app)).status_code == 200


async def test_one_address_trying_many_apps_waits_but_an_app_that_worked_from_there_goes_on(guarded: Guarded) -> None:
    good, other = await guarded.world.app(), await guarded.world.app()
    assert (await guarded.secret(good)).status_code == 200
    for number in range(60):
        made_up = MadeApp(f"gz_nobody{number}", "", "")
        assert (await guarded.secret(made_up, "x")).status_code == 401
    assert (await guarded.secret(other)).status_code == 429
    assert (await guarded.secret(good)).status_code == 200
    assert (await guarded.secret(other, address="192.0.2.8")).status_code == 200


async def test_addresses_of_one_ipv6_subscriber_count_together(guarded: Guarded) -> None:
    app = await guarded.world.app()
    for number in range(10):
        assert (await guarded.secret(app, "wrong", f"2001:db8:1:2::{number:x}")).status_code == 401
    assert (await guarded.secret(app, address="2001:db8:1:2:ffff::1")).status_code == 429
    assert (await guarded.secret(app, address="2001:db8:1:3::1")).status_code == 200


@pytest.mark.parametrize("place", ["token", "par", "revoke", "introspect"])
async def test_every_endpoint_that_authenticates_counts(guarded: Guarded, place: str) -> None:
    key = new_key("ES256")
    app = await guarded.world.app(key=key)
    forged = MadeApp(app.client_id, "", "", key=new_key("ES256"))
    statuses = []
    for _ in range(11):
        form = assertion_form(assertion(forged, "ES256", now=guarded.world.clock.now()), token="x")
        statuses.append((await guarded.ask(form, place=place)).status_code)
    assert statuses == [401] * 10 + [429]


async def test_unreadable_credentials_count_for_the_address(guarded: Guarded) -> None:
    app = await guarded.world.app()
    statuses = [(await guarded.ask(assertion_form("not.a.jwt"))).status_code for _ in range(61)]
    assert statuses == [401] * 60 + [429]
    assert (await guarded.secret(app)).status_code == 429


async def test_a_right_request_that_the_grant_refuses_is_no_failure(guarded: Guarded) -> None:
    app = await guarded.world.app()
    form = {**GRANT, "scope": "system/Device.rs", "client_id": app.client_id, "client_secret": app.secret}
    statuses = [(await guarded.ask(form)).status_code for _ in range(70)]
    assert statuses == [400] * 70


@pytest.mark.skipif(redis.binary() is None, reason="neither redis-server nor valkey-server is installed")
async def test_workers_count_together_in_redis_and_alone_without_it() -> None:
    with redis.server() as url:
        spare = SlowapiThrottle(MemoryArrivals(Ticks()))
        first, second = RedisFailures(url, spare), RedisFailures(url, spare)
        waits = [await (first, second)[number % 2].fail("192.0.2.7 gz_1", "10/minute") for number in range(12)]
        assert waits[:9] == [0.0] * 9 and all(5 < wait <= 6 for wait in waits[9:])
        await second.clear("192.0.2.7 gz_1", "10/minute")
        assert await first.fail("192.0.2.7 gz_1", "10/minute") == 0.0
        waits = [await first.fail("quick", "2/second") for _ in range(2)]
        await asyncio.sleep(waits[-1])
        assert await second.fail("quick", "2/second") > 0, "the one attempt that fitted is spent again"
    waits = [await second.fail("gone", "3/minute") for _ in range(4)]
    assert waits[:2] == [0.0, 0.0] and all(wait > 0 for wait in waits[2:])
    for each in (first, second):
        await each.close()
