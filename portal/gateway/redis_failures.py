"""Failed client authentications counted in Redis or Valkey, for every machine; by `spare` of this machine while it is gone."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import RedisError

from portal.gateway.gcra import Rate
from portal.oauth.failures import FailureStore

log = logging.getLogger(__name__)

PATIENCE = 0.1
# One arrival time a key, in microseconds of the server's clock: a failure is charged unless the allowance is gone, and told is how long
# until one attempt more fits.
FAIL = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local arrival = math.max(now, tonumber(redis.call('GET', KEYS[1])) or now)
local interval, horizon = tonumber(ARGV[1]), tonumber(ARGV[2])
if arrival + interval - now <= horizon then
  arrival = arrival + interval
  redis.call('SET', KEYS[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000) + 1000)
end
return math.max(0, arrival + interval - now - horizon)
"""


class RedisFailures:
    """`portal.oauth.failures.FailureStore` on the server at `url`."""

    def __init__(self, url: str, spare: FailureStore) -> None:
        self._redis: Redis = Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, max_connections=50)
        self._spare = spare

    async def fail(self, key: str, rate: str) -> float:
        measure = parse(rate)
        interval, horizon = measure.interval // 1000, measure.horizon // 1000
        try:
            async with asyncio.timeout(PATIENCE):
                wait: Any = await self._redis.eval(FAIL, 1, _name(key), interval, horizon)
                return int(wait) / 1_000_000
        except (RedisError, OSError, TimeoutError):
            log.warning("the store of limits does not answer; failed authentications are counted on this machine")
            return await self._spare.fail(key, rate)

    async def clear(self, key: str, rate: str) -> None:
        await self._spare.clear(key, rate)
        try:
            async with asyncio.timeout(PATIENCE):
                await self._redis.delete(_name(key))
        except (RedisError, OSError, TimeoutError):
            return  # what was counted there ends by itself

    async def close(self) -> None:
        """Let go of the connections."""
        await self._redis.aclose()


def parse(rate: str) -> Rate:
    """`10/minute` as a Rate."""
    allowed, _, span = rate.partition("/")
    return Rate(rate, int(allowed), {"second": 1, "minute": 60, "hour": 3600}[span])


def _name(key: str) -> str:
    return f"gozar:failures:{key}"
