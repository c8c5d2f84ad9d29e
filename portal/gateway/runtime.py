"""The gateway of one worker, put together: the composition root gives it ports and gets `gateway`, `start`, `stop`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from portal.conformance.rehearsals import Rehearsals
from portal.gateway.access import CachedDirectory, Terms
from portal.gateway.admission import Admission
from portal.gateway.api import Gateway
from portal.gateway.credentials import Credentials
from portal.gateway.http_upstream import HttpUpstream, Patience
from portal.gateway.journal import Journal
from portal.gateway.leases import Leases
from portal.gateway.metering import JournalMeter
from portal.gateway.metrics import Metrics
from portal.gateway.models import CallerRule, ShadowLimit, UpstreamRule
from portal.gateway.protection import RateLimiter
from portal.gateway.queries import origin_reader, reader
from portal.gateway.rate_limiter import Arrivals, SlowapiThrottle
from portal.gateway.redis_failures import RedisFailures
from portal.gateway.redis_limits import BUDGET, RedisRateLimiter
from portal.gateway.shared_memory import SharedRateLimiter, boot_id
from portal.gateway.tokens import TokenVerifier
from portal.gateway.upstream import Upstream
from portal.kernel.clock import Clock
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.mail import Mailer
from portal.oauth import watch
from portal.oauth.failures import FailureStore
from portal.oauth.feed import Event, Feed
from portal.traffic import service as traffic
from portal.usage import notices
from portal.usage import service as usage
from portal.usage.quota import DatabaseQuotaStore, QuotaStore

watch.KINDS.update(
    {CallerRule: ("app", "client_id"), ShadowLimit: ("plan", "plan_id"), UpstreamRule: ("plan", "product_id")}
)
"""Whatever edits an App, a Plan or a Company announces it, because that module watches every session; these are the gateway's own."""

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.2
RECHECK_SECONDS = 0.1
IDLE_SECONDS = 0.5
RETENTION_SECONDS = 3600.0
NOTICE_SECONDS = 30.0


class Runtime:
    """One worker's gateway. `gateway` is the ASGI application; `throttle` guards the human side (`portal.web.throttle`),
    `failures` counts failed client authentications;
    `meter.flush()` writes what has been counted so far. Counters are shared by the workers of this machine
    through `data_dir`, or by those of many machines through `redis_url`.
    """

    def __init__(
        self,
        *,
        maker: SessionMaker,
        tokens: TokenVerifier,
        feed: Feed,
        clock: Clock,
        exchanges: Mapping[str, Upstream],
        data_dir: Path,
        trusted_proxies: tuple[str, ...] = (),
        redis_url: str = "",
        redis_budget: float = BUDGET,
        mailer: Mailer | None = None,
        limiter: RateLimiter | None = None,
        arrivals: Arrivals | None = None,
        quota: QuotaStore | None = None,
        ticks: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._maker = maker
        self._feed = feed
        self._clock = clock
        self._mailer = mailer
        self._exchanges = exchanges
        self._tasks: list[asyncio.Task[None]] = []
        shared = SharedRateLimiter(data_dir / "limits", ticks, boot=boot_id())
        self._shared = shared
        self._redis = RedisRateLimiter(redis_url, ticks, budget=redis_budget) if redis_url else None
        self.throttle = SlowapiThrottle(arrivals or shared)
        self._far_failures = RedisFailures(redis_url, self.throttle) if redis_url else None
        self.failures: FailureStore = self._far_failures or self.throttle
        instance = secrets.token_hex(5)
        self.metrics = Metrics(instance)
        self.directory = CachedDirectory(reader(maker), ticks, read_origins=origin_reader(maker))
        self.leases = Leases(quota or DatabaseQuotaStore(maker), now=clock.now, ticks=ticks)
        self.meter = JournalMeter(Journal(data_dir / "journal"), maker, now=clock.now, metrics=self.metrics)
        self.gateway = Gateway(
            admission=Admission(
                credentials=Credentials(tokens, trusted=trusted_proxies),
                directory=self.directory,
                limiter=limiter or self._redis or shared,
                leases=self.leases,
                now=clock.now,
                stale=lambda: feed.stale,
            ),
            exchanges=exchanges,
            partner=self.partner,
            origins=self.directory.origins,
            meter=self.meter,
            ticks=ticks,
            instance=instance,
            rehearsals=Rehearsals(maker),
        )
        self._ticks = ticks
        self._partners: dict[tuple[str, tuple[int, int]], HttpUpstream] = {}
        self._changed = asyncio.Event()
        self._unsubscribe = feed.subscribe(self._hear)

    async def start(self) -> None:
        """Take over journals of workers that died, then flush, return idle Quota and forget old records until `stop`."""
        self.meter.recover()
        if self._redis is not None:
            await self._redis.start()
        self._tasks = [
            asyncio.create_task(self._break_off(), name="gateway kill switch"),
            asyncio.create_task(self.meter.run(FLUSH_SECONDS), name="gateway metering"),
            asyncio.create_task(self._every(IDLE_SECONDS, self.leases.return_idle), name="gateway quota"),
            asyncio.create_task(self._every(NOTICE_SECONDS, self.notify), name="quota notices"),
            asyncio.create_task(self._every(RETENTION_SECONDS, self.forget), name="gateway retention"),
        ]

    async def stop(self) -> None:
        """Write everything, give Quota back, close the Upstreams."""
        self._unsubscribe()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks = []
        with contextlib.suppress(SQLAlchemyError, OSError):
            await self.leases.close()
        await self.meter.close()
        if self._redis is not None:
            await self._redis.stop()
        if self._far_failures is not None:
            await self._far_failures.close()
        self._shared.close()
        for upstream in (*self._exchanges.values(), *self._partners.values()):
            await upstream.close()

    def partner(self, terms: Terms) -> Upstream | None:
        """The Upstream of a partner Product, made at its first call; None when the Product has no service."""
        if not terms.upstream:
            return None
        key = (terms.upstream, terms.patience)
        if key not in self._partners:
            answer, pause = terms.patience
            patience = Patience(answer=answer, pause=pause)
            self._partners[key] = HttpUpstream(terms.upstream, ticks=self._ticks, patience=patience)
        return self._partners[key]

    async def notify(self) -> None:
        """Mail those whose Quotas have passed 80 or 100 per cent."""
        if self._mailer is None:
            return
        async with transaction(self._maker) as session:
            messages = await notices.due(session, now=self._clock.now())
        for message in messages:
            try:
                await self._mailer.send(message)
            except Exception:
                # Told once at most: a mail server that is away must not make a mail every half minute.
                log.exception("a notice of a Quota could not be mailed")

    async def forget(self) -> None:
        """Delete what has been kept long enough."""
        async with transaction(self._maker) as session:
            await traffic.forget(session, now=self._clock.now())
            await usage.forget(session, now=self._clock.now())

    def _hear(self, event: Event) -> None:
        """Forget what a change makes untrue: one client, or everything where the change may touch many."""
        if event.kind in ("app", "subscription"):
            self.directory.invalidate("" if event.key == "*" else event.key)
        elif event.kind in ("apps", "company", "plan", "product", "environment"):
            self.directory.invalidate()
        self._changed.set()

    async def _break_off(self) -> None:
        """End running calls, streams above all, whose App, Subscription or token has lost its standing meanwhile."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.gateway.recheck()
            except (SQLAlchemyError, OSError):
                log.warning("running calls could not be judged again", exc_info=True)
            await asyncio.sleep(RECHECK_SECONDS)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            try:
                await work()
            except (SQLAlchemyError, OSError):
                log.warning("a periodic job of the gateway failed; it will be tried again", exc_info=True)
