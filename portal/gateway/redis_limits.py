"""Protection counters shared by many machines, in Redis or Valkey: one script call judges all three policies on the server's clock.

The store must never hold up a call: after 20 ms, or an error, this worker decides alone with its share of each limit (limit divided by
the workers last seen, rounded down, one at least). From that share whatever it admitted through the store has been taken too, and it is
never fuller than the store was when it last answered: shares together are no more than the limit, in a whole outage as in single late
answers. After an error, or five late answers in a second, no call asks at all until a background task has found the store
again. A refusal is remembered until its wait is over,
at most 100 ms, so that a client that keeps knocking costs the store little.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError

from portal.gateway.gcra import SECOND
from portal.gateway.protection import Limits, MemoryRateLimiter, Reading, refusal

log = logging.getLogger(__name__)

BUDGET = 0.02
FLOOR = SECOND // 10
LATE = 5
"""Late answers within a second after which the store is left alone."""
FLIGHT_MS = 120_000
"""A place in flight is given up after so long, in case its worker died."""
HEARTBEAT = 0.5
WORKERS = "gozar:workers"

# Arrival times are kept as a backlog in nanoseconds beside the microsecond it was true at: Lua's numbers are doubles, in which
# nanoseconds since 1970 would lose their last digits.
JUDGE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local s = redis.call('HMGET', KEYS[1], 'at', 'b', 's')
local gone = math.max(0, now - (tonumber(s[1]) or now)) * 1000
local b = math.max(0, (tonumber(s[2]) or 0) - gone)
local m = math.max(0, (tonumber(s[3]) or 0) - gone)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local flying = redis.call('ZCARD', KEYS[2])
local nb, nm = b + tonumber(ARGV[1]), m + tonumber(ARGV[3])
if nb > tonumber(ARGV[2]) or nm > tonumber(ARGV[4]) or flying >= tonumber(ARGV[5]) then
  return {0, b, m, flying}
end
redis.call('HSET', KEYS[1], 'at', now, 'b', nb, 's', nm)
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(nb, nm) / 1000000) + 1000)
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[7]) * 1000, ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
return {1, nb, nm, flying}
"""
REFUND = """
local s = redis.call('HMGET', KEYS[1], 'b', 's')
if s[1] then
  redis.call('HSET', KEYS[1], 'b', math.max(0, tonumber(s[1]) - ARGV[1]), 's', math.max(0, tonumber(s[2]) - ARGV[2]))
end
redis.call('ZREM', KEYS[2], ARGV[3])
return 1
"""


class RedisRateLimiter:
    """RateLimiter of one worker. `ticks` is a monotonic clock in nanoseconds; `start` it with the server, `stop` it at the end."""

    def __init__(self, url: str, ticks: Callable[[], int], *, budget: float = BUDGET) -> None:
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, max_connections=200)
        self._ticks = ticks
        self._budget = budget
        self._local = MemoryRateLimiter(ticks)
        self._name = secrets.token_hex(6)
        self._number = 0
        self._late: list[int] = []
        self._shares: dict[tuple[Limits, int], Limits] = {}
        self._tickets: dict[str, list[str]] = {}
        self._floors: dict[str, tuple[Limits, int, Reading]] = {}
        self._left: list[tuple[str, str]] = []
        self._releasing: asyncio.Task[None] | None = None
        self._heart: asyncio.Task[None] | None = None
        self._background: set[asyncio.Task[Any]] = set()
        self._scripts: dict[str, str] = {}
        self.workers = 1
        self.up = False
        self.errors = 0

    async def start(self) -> None:
        """Load the scripts and begin to follow the store; an absent store is no error."""
        await self._beat()
        self._heart = asyncio.create_task(self._follow(), name="limits store")

    async def stop(self) -> None:
        """Give back what is held and close the connections."""
        for task in (self._heart, self._releasing, *self._background):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(1):
                for key, tickets in self._tickets.items():
                    if tickets:
                        await self._redis.zrem(_flights(key), *tickets)
                await self._redis.zrem(WORKERS, self._name)
        await self._redis.aclose()

    async def take(self, key: str, limits: Limits, cost: int) -> Reading:
        if not self.up:
            return self._alone(key, limits, cost)
        floor = self._floors.get(key)
        started = self._ticks()
        if floor is not None:
            known, until, reading = floor
            if started < until and known == limits:
                return reading
            del self._floors[key]
        try:
            async with asyncio.timeout(self._budget):
                return await self._ask(key, limits, cost, started)
        except TimeoutError:
            # Often it is this process that was busy, not the store that was slow.
            self.errors += 1
            now = self._ticks()
            self._late = [moment for moment in self._late if now - moment < SECOND] + [now]
            if len(self._late) >= LATE:
                self._lost()
        except (RedisError, OSError):
            self._lost()
        return self._alone(key, limits, cost)

    async def _ask(self, key: str, limits: Limits, cost: int, started: int) -> Reading:
        burst, sustained = limits.burst, limits.sustained
        self._number += 1
        ticket = f"{self._name}{self._number}"
        passed, first, second, flying = await self._run(
            JUDGE,
            key,
            burst.cost(cost) * burst.interval,
            burst.horizon,
            sustained.cost(cost) * sustained.interval,
            sustained.horizon,
            limits.concurrent,
            ticket,
            FLIGHT_MS,
        )
        if passed:
            self._tickets.setdefault(key, []).append(ticket)
            self._local.charge(key, self._share(limits), cost)
            self._local.follow(key, first, second)
            return Reading(
                True,
                burst.remaining(first, 0),
                burst.reset(first, 0),
                sustained.remaining(second, 0),
                sustained.reset(second, 0),
                limits.concurrent - flying - 1,
            )
        self._local.follow(key, first, second)
        after = (first + burst.cost(cost) * burst.interval, second + sustained.cost(cost) * sustained.interval)
        reading = refusal(limits, first, second, flying, after, 0)
        waits = [wait for name, wait in (reading.waits or {}).items() if name != "concurrent"]
        if waits and cost == 1:
            if len(self._floors) > 10_000:
                self._floors.clear()
            # From before the question: the store judged no earlier than that.
            self._floors[key] = (limits, started + min(max(waits), FLOOR), reading)
        return reading

    async def _run(self, script: str, key: str, *arguments: int | str) -> Any:
        digest = self._scripts[script]
        keys = (_backlog(key), _flights(key))
        try:
            return await self._redis.evalsha(digest, 2, *keys, *arguments)
        except NoScriptError:
            return await self._redis.eval(script, 2, *keys, *arguments)

    def _alone(self, key: str, limits: Limits, cost: int) -> Reading:
        """Decide with this worker's share. The share is judged, the whole is shown: what is published does not change."""
        return self._local.judge(key, self._share(limits), cost)

    def _share(self, limits: Limits) -> Limits:
        workers = max(1, self.workers)
        if workers == 1:
            return limits
        known = self._shares.get((limits, workers))
        if known is None:
            if len(self._shares) > 1000:
                self._shares.clear()
            known = self._shares[limits, workers] = replace(
                limits,
                per_second=_part(limits.per_second, workers),
                per_minute=_part(limits.per_minute, workers),
                concurrent=_part(limits.concurrent, workers),
            )
        return known

    def release(self, key: str) -> None:
        tickets = self._tickets.get(key)
        if not tickets:
            self._local.release(key)
            return
        self._left.append((key, tickets.pop()))
        if not tickets:
            del self._tickets[key]
        if self._releasing is None or self._releasing.done():
            self._releasing = asyncio.create_task(self._release())

    async def _release(self) -> None:
        """Free places in flight, many in one round trip."""
        while self._left:
            batch, self._left = self._left, []
            try:
                async with asyncio.timeout(1):
                    pipe = self._redis.pipeline(transaction=False)
                    for key, ticket in batch:
                        pipe.zrem(_flights(key), ticket)
                    await pipe.execute()
            except (RedisError, OSError, TimeoutError):
                self._lost()
                return  # the places end by themselves

    def refund(self, key: str, limits: Limits, cost: int) -> None:
        tickets = self._tickets.get(key)
        if not tickets:
            self._local.refund(key, limits, cost)
            return
        ticket = tickets.pop()
        first = limits.burst.cost(cost) * limits.burst.interval
        second = limits.sustained.cost(cost) * limits.sustained.interval
        task = asyncio.create_task(self._give_back(key, first, second, ticket))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _give_back(self, key: str, first: int, second: int, ticket: str) -> None:
        try:
            async with asyncio.timeout(1):
                await self._run(REFUND, key, first, second, ticket)
        except (RedisError, OSError, TimeoutError):
            self._lost()

    def _lost(self) -> None:
        self.errors += 1
        if self.up:
            self.up = False
            log.warning("the store of limits does not answer; this worker decides with its share of each limit")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            await self._beat()

    async def _beat(self) -> None:
        """Tell the store that this worker lives, learn how many do, and whether the store is there."""
        try:
            async with asyncio.timeout(1):
                if not self.up:
                    for script in (JUDGE, REFUND):
                        self._scripts[script] = await self._redis.script_load(script)
                seconds, _ = await self._redis.time()
                pipe = self._redis.pipeline(transaction=False)
                pipe.zadd(WORKERS, {self._name: seconds})
                pipe.zremrangebyscore(WORKERS, "-inf", seconds - 5)
                pipe.zcard(WORKERS)
                self.workers = int((await pipe.execute())[2])
            if not self.up:
                self.up = True
                self._late.clear()
                self._floors.clear()
        except (RedisError, OSError, TimeoutError):
            self._lost()


def _part(units: int, workers: int) -> int:
    return units // workers or min(1, units)


def _backlog(key: str) -> str:
    return f"gozar:{{{key}}}:backlog"


def _flights(key: str) -> str:
    return f"gozar:{{{key}}}:flights"
