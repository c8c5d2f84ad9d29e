"""A Quota is exact to the call: over windows, Plan changes, skewed clocks, several workers and outages of its store."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portal.gateway.leases import LENT, Lease, Leases, QuotaUnknown
from portal.products.models import QuotaPeriod
from portal.usage.quota import MemoryQuotaStore
from portal.usage.windows import TEHRAN, window
from tests.portal.gateway.rig import NOW, FakeToken, Rig, Ticks, access, terms

PATIENT = "/sandbox/fhir/R4/Patient/p1"
DAY, MONTH = QuotaPeriod.DAY, QuotaPeriod.MONTH


class Unsteady(MemoryQuotaStore):
    """A store that can be away."""

    away = False

    async def reserve(self, subscription_id: str, window: str, *, limit: int, units: int) -> tuple[int, int]:
        if self.away:
            raise ConnectionRefusedError("no database")
        return await super().reserve(subscription_id, window, limit=limit, units=units)


class Hands:
    """One worker's Leases, its clock `skew` seconds off the others'."""

    def __init__(self, store: MemoryQuotaStore, ticks: Ticks, skew: float = 0) -> None:
        self.leases = Leases(store, now=lambda: ticks.now() + timedelta(seconds=skew), ticks=ticks)

    async def take(self, limit: int, period: QuotaPeriod = DAY, *, lend: bool = False) -> bool:
        return (await self.leases.take("s", limit=limit, period=period, lend=lend))[0]

    async def many(self, calls: int, limit: int, period: QuotaPeriod = DAY) -> int:
        return sum([await self.take(limit, period) for _ in range(calls)])


def seconds_to_midnight() -> float:
    return (window(DAY, NOW).end - NOW).total_seconds()


@pytest.mark.parametrize("period", [DAY, MONTH])
async def test_a_client_that_waits_until_the_told_moment_finds_a_whole_new_window(period: QuotaPeriod) -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(quota=3, quota_period=period, per_second=50))
    statuses = [(await rig.call(PATIENT)).status for _ in range(5)]
    assert statuses == [200] * 3 + [429] * 2
    refused = await rig.call(PATIENT)
    wait = int(refused.headers["retry-after"])
    end = window(period, NOW).end
    assert 0 <= wait - (end - rig.clock.now()).total_seconds() <= 1
    rig.clock.advance(wait)
    answers = [await rig.call(PATIENT) for _ in range(4)]
    assert [answer.status for answer in answers] == [200] * 3 + [429]
    assert f'"{period}";r=2' in answers[0].headers["ratelimit"]
    midnight = rig.clock.now().astimezone(TEHRAN)
    assert (midnight.hour, midnight.minute) == (0, 0), "windows begin at midnight in Tehran"


async def test_workers_whose_clocks_differ_share_each_window_exactly() -> None:
    store, ticks = MemoryQuotaStore(), Ticks()
    fast, slow = Hands(store, ticks, skew=2.5), Hands(store, ticks, skew=-2.5)
    ticks.advance(seconds_to_midnight() - 10)
    admitted: dict[str, int] = {}
    for _ in range(200):
        ticks.advance(0.1)
        for hands, skew in ((fast, 2.5), (slow, -2.5)):
            name = window(DAY, ticks.now() + timedelta(seconds=skew)).name
            admitted[name] = admitted.get(name, 0) + await hands.take(70)
    assert sorted(admitted.values()) == [70, 70]


async def test_a_changed_plan_counts_what_was_spent_before_it() -> None:
    store, ticks = MemoryQuotaStore(), Ticks()
    first, second = Hands(store, ticks), Hands(store, ticks)
    assert await first.many(200, 150) == 150
    assert await second.many(300, 400) == 250, "a larger Quota opens the rest of it"
    assert await first.many(10, 400) == 0
    assert await first.many(10, 300) == 0, "a smaller one that is spent already opens nothing"
    ticks.advance(1)
    assert await first.many(10, 402) == 2


@settings(max_examples=60, deadline=None)
@given(limit=st.integers(0, 400), workers=st.integers(1, 4), seed=st.integers(0, 2**32))
def test_however_calls_returns_and_faults_interleave_the_quota_is_never_exceeded_and_ends_exact(
    limit: int, workers: int, seed: int
) -> None:
    async def run() -> None:
        dice, store, ticks = random.Random(seed), MemoryQuotaStore(), Ticks()
        fleet = [Hands(store, ticks) for _ in range(workers)]
        standing: list[tuple[Hands, Lease]] = []
        for _ in range(600):
            hands = dice.choice(fleet)
            match dice.randrange(12):
                case 0:
                    await hands.leases.return_idle()
                case 1 if standing:
                    owner, lease = standing.pop()
                    owner.leases.give_back(lease)
                case 2:
                    ticks.advance(dice.random())
                case _:
                    passed, lease = await hands.leases.take("s", limit=limit, period=MONTH)
                    if passed:
                        standing.append((hands, lease))
            assert len(standing) <= limit
        for hands in fleet:
            await hands.leases.close()
        assert sum(store.spent.values()) == len(standing)
        ticks.advance(1)
        rest = sum([await fleet[0].take(limit, MONTH) for _ in range(limit - len(standing) + 5)])
        assert len(standing) + rest == limit

    asyncio.run(run())


async def test_without_its_store_the_sandbox_lends_a_little_and_books_it_afterwards() -> None:
    store, ticks = Unsteady(), Ticks()
    hands = Hands(store, ticks)
    assert await hands.take(1000)
    have = hands.leases.peek("s")
    assert have is not None
    store.away = True
    for _ in range(have.left):
        assert await hands.take(1000, lend=True)
    ticks.advance(1)
    for _ in range(10):
        assert await hands.take(1000, lend=True), "1 % of the Quota"
    with pytest.raises(QuotaUnknown):
        await hands.take(1000, lend=True)
    store.away = False
    with pytest.raises(QuotaUnknown):
        await hands.take(1000, lend=True)  # a store that was away is not asked at every call
    ticks.advance(0.25)
    before = have.spent
    assert await hands.take(1000, lend=True)
    await hands.leases.close()
    assert sum(store.spent.values()) == before + 10 + 1, "what was lent is booked"


@pytest.mark.parametrize(("limit", "most"), [(10, 1), (3000, 30), (10_000_000, LENT)])
async def test_lending_is_bounded(limit: int, most: int) -> None:
    store, ticks = Unsteady(), Ticks()
    store.away = True
    hands, lent = Hands(store, ticks), 0
    for _ in range(200):
        ticks.advance(0.3)
        try:
            lent += await hands.take(limit, lend=True)
        except QuotaUnknown:
            continue
    assert lent == most


async def test_a_quota_of_nothing_lends_nothing() -> None:
    store = Unsteady()
    store.away = True
    with pytest.raises(QuotaUnknown):
        await Hands(store, Ticks()).take(0, lend=True)


async def test_production_is_closed_while_its_quota_cannot_be_read_and_nothing_stays_charged() -> None:
    rig = Rig()
    rig.store = Unsteady()
    rig.store.away = True
    rig.leases._store = rig.store
    rig.directory.known["production", "app-1"] = access(terms(per_second=3), environment="production")
    rig.tokens.known["prod"] = FakeToken("production", "app-1", ("system/Patient.cruds",))
    statuses = [(await rig.call("/production/fhir/R4/Patient/p1", bearer="prod")).status for _ in range(9)]
    assert statuses == [503] * 9, "never 429: what could not be admitted is not charged to the RateLimit either"
    assert (await rig.call(PATIENT)).status == 200, "the sandbox lends"


@settings(max_examples=80, deadline=None)
@given(
    per_second=st.integers(1, 40),
    per_minute=st.integers(1, 200),
    spent=st.integers(1, 80),
    gap=st.integers(0, 3_000_000_000),
    weight=st.sampled_from(["Patient/p1", "Patient/p1/$everything", "Patient?_count=1000"]),
)
def test_a_client_that_waits_exactly_as_told_is_admitted(
    per_second: int, per_minute: int, spent: int, gap: int, weight: str
) -> None:
    async def run() -> None:
        rig = Rig()
        rig.directory.known["sandbox", "app-1"] = access(terms(per_second=per_second, per_minute=per_minute))
        for _ in range(spent):
            await rig.call(PATIENT)
        rig.clock.elapsed += gap
        path, _, query = f"/sandbox/fhir/R4/{weight}".partition("?")
        answer = await rig.call(path, query=query.encode())
        if answer.status == 429:
            rig.clock.advance(int(answer.headers["retry-after"]))
            answer = await rig.call(path, query=query.encode())
        assert answer.status == 200

    asyncio.run(run())


async def test_a_page_of_a_search_weighs_by_its_size() -> None:
    rig = Rig()
    rig.directory.known["sandbox", "app-1"] = access(terms(per_second=100))
    left = []
    for query in (
        b"_count=100",
        b"_count=101",
        b"name=x&_count=1000",
        b"_count=99999",
        b"_count=-5",
        b"_count=",
        b"x_count=900",
    ):
        answer = await rig.call("/sandbox/fhir/R4/Patient", query=query)
        left.append(int(answer.headers["ratelimit"].split(";")[1].removeprefix("r=")))
        assert answer.status == 200
    assert [before - after for before, after in zip([100, *left], left, strict=False)] == [1, 2, 10, 10, 1, 1, 1]
