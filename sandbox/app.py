"""Composition root of the exchange: one raw ASGI application, no framework on its path."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from sandbox.counterparts import reacting as counterparts
from sandbox.counterparts import self_service
from sandbox.counterparts.control import routes as control_routes
from sandbox.exchange.application import PRODUCTION_TENANT, Exchange
from sandbox.exchange.auditing import AuditLog
from sandbox.exchange.control import Control
from sandbox.exchange.operations import OPERATIONS
from sandbox.exchange.services import Services
from sandbox.kernel.clock import Clock
from sandbox.kernel.database import Database, Transaction
from sandbox.kernel.errors import BusyError
from sandbox.kernel.http import AsgiApp, Receive, Response, Scope, Send
from sandbox.kernel.postgres import PostgresDatabase
from sandbox.kernel.sqlite import SqliteDatabase
from sandbox.migrations.run import migrate
from sandbox.search.cursors import Cursors
from sandbox.security.tokens import TokenVerifier
from sandbox.seeding import service as seeding
from sandbox.seeding.service import DEFAULT_BASE
from sandbox.settings import SandboxSettings
from sandbox.storage import secrets
from sandbox.storage.encoding import dump
from sandbox.storage.layers import sweep
from sandbox.storage.repository import Store
from sandbox.tenants import service as tenants
from sandbox.workflows import personas
from sandbox.workflows.delivering import NetworkSender
from sandbox.workflows.wiring import Workflows

log = logging.getLogger("gozar.exchange")
FHIR_PREFIX = b"/fhir/R4"
HEALTH_SECONDS = 2.0
_SWEEP_IDLE_SECONDS = 5.0
_PROGRESS_EVERY = 4000


def open_database(url: str) -> Database:
    """The driver for a SQLAlchemy URL: `sqlite+aiosqlite:///file` or `postgresql+asyncpg://...`."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError("the exchange needs a database file: its readers and its writer are separate connections")
        return SqliteDatabase(parsed.database)
    return PostgresDatabase(parsed.set(drivername="postgresql").render_as_string(hide_password=False))


class Application:
    """`/fhir/R4` and `/admin`; start-up migrates, loads the base population when there is none, and serves."""

    def __init__(
        self,
        settings: SandboxSettings,
        *,
        clock: Clock,
        jwks: Callable[[], Awaitable[Mapping[str, Any]]],
        population: Callable[[], Iterable[bytes]] | None = None,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._population = population or self._synthetic
        self._verifier = TokenVerifier(issuer=settings.issuer, jwks=jwks, clock=clock, environment=settings.environment)
        self.store = Store(open_database(settings.database_url), own_base=settings.base_url)
        self._exchange: AsgiApp | None = None
        self._control: AsgiApp | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.workflows: Workflows | None = None
        self._services: Services | None = None
        self._audit: AuditLog | None = None
        self._stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path: bytes = scope.get("raw_path") or scope["path"].encode()
        if self._exchange is None or self._control is None:
            await Response(503, b"starting").send(send)
        elif path.startswith(FHIR_PREFIX) and path[8:9] in (b"", b"/", b"?"):
            await self._exchange(scope, receive, send)
        elif path.startswith(b"/admin/"):
            await self._control(scope, receive, send)
        elif path == b"/healthz":
            await (await self._health()).send(send)
        else:
            await Response(404, b"not found", [(b"content-type", b"text/plain")]).send(send)

    async def _health(self) -> Response:
        """200 when the database answers, 503 when it does not: a readiness check asks for no more than that."""
        plain = [(b"content-type", b"text/plain")]
        try:
            await asyncio.wait_for(self.store.database.rows("SELECT 1"), HEALTH_SECONDS)
        except Exception as error:
            log.warning("the exchange's database does not answer: %s", error)
            return Response(503, b"database", plain)
        return Response(200, b"ok", plain)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except Exception as error:
                    log.exception("the exchange cannot start")
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def start(self) -> None:
        """Migrate, open the store, seed, and begin to answer."""
        settings = self._settings
        await asyncio.to_thread(migrate, settings.database_url)
        await self.store.start()
        secret = await secrets.get(self.store.database, "cursors")
        services = Services(
            self.store, Cursors(secret), self._clock, settings.base_url, settings.issuer, settings.environment
        )
        await self._seed(services)
        services.operations.update(OPERATIONS)
        self._services = services
        self.workflows = self._wire(services)
        self.workflows.start()
        self._stopping.clear()
        self._audit = AuditLog(self.store)
        self._audit.start()
        self._exchange = Exchange(services, self._verifier, self._audit, prefix=FHIR_PREFIX, default_base=DEFAULT_BASE)
        self._control = Control(
            services, self._verifier, default_base=DEFAULT_BASE, routes=control_routes(self.workflows)
        )
        self._sweeper = asyncio.create_task(self._sweep())
        gc.freeze()  # the definitions and their compiled plans live as long as the process: no use walking them

    def _wire(self, services: Services) -> Workflows:
        """The Workflows on this exchange; Counterparts answer in the sandbox only."""
        settings = self._settings
        simulated = settings.environment == "sandbox"
        loopback = settings.allow_loopback_hooks
        if loopback is None:
            loopback = urlsplit(settings.base_url).hostname in ("127.0.0.1", "localhost", "::1")
        workflows = Workflows(
            services,
            reactors=(counterparts.react,) if simulated else (),
            timers=counterparts.TIMERS if simulated else {},
            sender=NetworkSender(allow_loopback=loopback),
        )
        if simulated:
            services.operations.update(self_service.operations(workflows, default_base=DEFAULT_BASE))
        return workflows

    async def _seed(self, services: Services) -> None:
        title = f"{self._settings.population_size} synthetic people, seed {self._settings.population_seed}"

        def progress(count: int) -> None:
            if count % _PROGRESS_EVERY == 0:
                log.info("%s exchange: %s resources loaded (%s)", self._settings.environment, f"{count:,}", title)

        await seeding.load_base(
            self.store, self._population, name=DEFAULT_BASE, title=title, now=services.now(), progress=progress
        )
        if self._settings.environment == "production":

            async def job(tx: Transaction) -> None:
                await tenants.open_tenant(tx, tenant=PRODUCTION_TENANT, base=DEFAULT_BASE, now=services.now())

            await self.store.database.write(job, lock=tenants.lock_of(PRODUCTION_TENANT))

    def _synthetic(self) -> Iterable[bytes]:
        """The population and, in the sandbox, the Personas after it."""
        size = self._settings.population_size
        people = seeding.population(size, self._settings.population_seed) if size else ()
        if self._settings.environment == "production":
            return people
        return itertools.chain(people, map(dump, personas.resources()))

    async def stop(self) -> None:
        """Let writes finish and close the store."""
        self._stopping.set()
        if self._sweeper is not None:
            await self._sweeper
        if self.workflows is not None:
            await self.workflows.stop()
        if self._services is not None:
            for task in list(self._services.background.values()):
                with contextlib.suppress(Exception):
                    await task
        self._exchange = self._control = None
        if self._audit is not None:
            await self._audit.stop()
        await self.store.close()

    async def _sweep(self) -> None:
        """Empty dead layers a little at a time, out of the way of callers."""
        while not self._stopping.is_set():
            try:
                busy = await sweep(self.store.database)
            except BusyError as waiting:
                log.warning("sweeping dead layers waits: %s", waiting)
                busy = 0
            except Exception:
                log.exception("sweeping dead layers failed; it will be tried again")
                busy = 0
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.05 if busy else _SWEEP_IDLE_SECONDS)


def create_app(settings: SandboxSettings, *, clock: Clock, jwks: Callable[[], Awaitable[Mapping[str, Any]]]) -> AsgiApp:
    """The exchange as an ASGI application with a lifespan.

    `jwks` fetches the issuer's key set; `clock` tells the time for tokens, versions and cursors.
    """
    return Application(settings, clock=clock, jwks=jwks)
