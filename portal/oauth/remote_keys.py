"""Keys that Apps publish at a URL: fetched safely, kept for five minutes, failures remembered too.

The URL is fetched before the App has proved anything, so anybody could make this server fetch: only registered URLs are, at most
once for all who wait, and not again for half a minute after a failure.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec

from portal.kernel.clock import Clock
from portal.oauth.addresses import FetchRefused
from portal.oauth.clients import ClientKey, import_keys

log = logging.getLogger(__name__)

FRESH = 300.0
AFTER_FAILURE = 30.0
# A kid that is not in the set may have been published a moment ago; ask again, but not more often than this.
AT_MOST_EVERY = 30.0


class RemoteKeys:
    """Call it with a registered URL; an unreachable one has no keys."""

    def __init__(self, fetch: Callable[[str], Awaitable[bytes]], clock: Clock, *, capacity: int = 2_000) -> None:
        self._fetch, self._clock, self._capacity = fetch, clock, capacity
        self._known: OrderedDict[str, tuple[tuple[ClientKey, ...], float, float]] = OrderedDict()
        self._fetching: dict[str, asyncio.Task[tuple[ClientKey, ...]]] = {}

    async def __call__(self, url: str, kid: str = "") -> tuple[ClientKey, ...]:
        """The keys published at `url`; a `kid` that is missing among the kept ones is a reason to look again."""
        timestamp = self._clock.now().timestamp()
        known = self._known.get(url)
        if known is not None:
            keys, fetched, until = known
            missing = bool(kid) and all(key.kid != kid for key in keys) and timestamp >= fetched + AT_MOST_EVERY
            if timestamp < until and not missing:
                return keys
        task = self._fetching.get(url)
        if task is None:
            task = asyncio.ensure_future(self._load(url, timestamp))
            self._fetching[url] = task
            task.add_done_callback(lambda _: self._fetching.pop(url, None))
        return await asyncio.shield(task)

    async def _load(self, url: str, timestamp: float) -> tuple[ClientKey, ...]:
        lasting = FRESH
        try:
            keys = import_keys(msgspec.json.decode(await self._fetch(url)))
        except (FetchRefused, msgspec.DecodeError, RecursionError) as error:
            log.info("the keys of an App could not be fetched: %s", error)
            keys, lasting = (), AFTER_FAILURE
        self._known[url] = keys, timestamp, timestamp + lasting
        self._known.move_to_end(url)
        while len(self._known) > self._capacity:
            self._known.popitem(last=False)
        return keys
