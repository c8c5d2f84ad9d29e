"""The composition root: everything concrete is chosen here, and only here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from portal import exchanges
from portal.apps import api as apps_api
from portal.apps import pages as apps_pages
from portal.apps.dependencies import tenants_dependency
from portal.apps.tenants import ExchangeTenants, Tenants
from portal.companies import api as companies_api
from portal.companies import pages as companies_pages
from portal.conformance import api as conformance_api
from portal.conformance import pages as conformance_pages
from portal.conformance.dependencies import Ports as ConformancePorts
from portal.conformance.dependencies import conformance_dependency
from portal.conformance.hand import ExchangeHand
from portal.conformance.tasks import tasks as conformance_tasks
from portal.dashboard import pages as dashboard_pages
from portal.dashboard import status
from portal.exchanges import Exchange
from portal.gateway import rules_api as gateway_rules_api
from portal.gateway.front import front
from portal.gateway.http_upstream import HttpUpstream
from portal.gateway.proofs import ProofOfPossession
from portal.gateway.runtime import FLUSH_SECONDS, Runtime
from portal.gateway.upstream import InProcessUpstream, Upstream
from portal.kernel.blobs import FolderBlobs
from portal.kernel.clock import Clock, SystemClock
from portal.kernel.database import SessionMaker, create_engine, session_maker, transaction
from portal.kernel.keys import Keyring, load_keyring
from portal.kernel.lifespan import AsgiApp, running
from portal.kernel.mail import ConsoleMailer, Mailer
from portal.kernel.migrations import upgrade
from portal.kernel.signing import PortalSigner
from portal.kernel.smtp import SmtpMailer, parse
from portal.oauth import api as oauth_api
from portal.oauth import pages as oauth_pages
from portal.oauth import profile_api
from portal.oauth.identity import IdentityProvider, OpenIdProvider
from portal.oauth.people import ExchangePeople
from portal.oauth.service import OAuth
from portal.products import api as products_api
from portal.products import catalogue
from portal.products import pages as products_pages
from portal.reviews import routes as reviews
from portal.reviews.caretaker import Caretaker
from portal.reviews.dependencies import blobs_dependency
from portal.reviews.tasks import tasks as review_tasks
from portal.settings import Settings
from portal.subscriptions import api as subscriptions_api
from portal.subscriptions import pages as subscriptions_pages
from portal.tenants import api as tenants_api
from portal.tenants import pages as tenants_pages
from portal.tenants.controls import Controls, ExchangeControls, controls_dependency
from portal.traffic import api as traffic_api
from portal.traffic import pages as traffic_pages
from portal.usage import api as usage_api
from portal.usage import pages as usage_pages
from portal.users import api as users_api
from portal.users import dependencies as users_dependencies
from portal.users import pages as users_pages
from portal.users.authentication import AuthenticationMiddleware
from portal.web.callers import behind_proxies
from portal.web.documentation import Documentation
from portal.web.heads import with_heads
from portal.web.health import health_routes
from portal.web.navigation import Navigation, NavItem
from portal.web.openapi import COMPONENTS
from portal.web.plugin import configure
from portal.web.shell import Shell


@dataclass(frozen=True, slots=True)
class Gozar:
    """A composed installation. `asgi` is what a server serves; the rest is for the command line and for tests.

    `backbone()` opens databases, keys and exchanges without beginning to serve: what a command needs beside a running server.
    """

    asgi: AsgiApp
    litestar: Litestar
    engine: AsyncEngine
    sessions: SessionMaker
    shell: Shell
    oauth: OAuth
    exchanges: dict[str, Exchange]
    gateway: Runtime
    tenants: Tenants
    controls: Controls
    backbone: Callable[[], AbstractAsyncContextManager[None]]


def choose_mailer(settings: Settings) -> Mailer:
    """SMTP when a server is set, else the log."""
    return SmtpMailer(parse(settings.smtp_url)) if settings.smtp_url else ConsoleMailer()


def identity_provider(settings: Settings, http: httpx.AsyncClient) -> IdentityProvider | None:
    """Where citizens sign in in production, if the settings name a provider."""
    if not settings.identity_issuer:
        return None
    return OpenIdProvider(
        issuer=settings.identity_issuer,
        client_id=settings.identity_client_id,
        client_secret=settings.identity_client_secret,
        http=http,
    )


def create_app(settings: Settings, *, clock: Clock | None = None, mailer: Mailer | None = None) -> Gozar:
    """Compose an installation; nothing is opened or started before its lifespan begins."""
    clock = clock or SystemClock()
    engine = create_engine(settings.portal_database_url)
    sessions = session_maker(engine)
    keyring = load_keyring(settings.data_dir / "keys")
    outside = httpx.AsyncClient(follow_redirects=False)
    citizens = identity_provider(settings, outside)
    oauth = OAuth(
        public_url=settings.public_url,
        keys_dir=settings.data_dir / "keys",
        engine=engine,
        maker=sessions,
        clock=clock,
        personas=("sandbox", "production") if settings.demo else ("sandbox",),
        identity={"production": citizens} if citizens else {},
    )
    found = exchanges.build(settings, clock, oauth.jwks, oauth.tokens.mint_admin)
    carrier = mailer or choose_mailer(settings)
    gateway = Runtime(
        maker=sessions,
        tokens=oauth.tokens,
        feed=oauth.feed,
        clock=clock,
        exchanges=upstreams(settings, found),
        data_dir=settings.data_dir,
        trusted_proxies=settings.trusted_proxies,
        redis_url=settings.redis_url,
        mailer=carrier,
    )
    oauth.failures.store = gateway.failures
    shell = Shell(
        sessions=sessions,
        clock=clock,
        mailer=carrier,
        keyring=keyring,
        pepper=oauth.pepper,
        public_url=settings.public_url,
        navigation=Navigation(menus()),
        throttle=gateway.throttle,
        task_sources=(conformance_tasks, review_tasks),
        reviewers_need_second_factor=settings.reviewers_need_second_factor,
        # Without a mail server no link arrives anywhere but in the log: then nothing waits for it.
        confirm_email=bool(settings.smtp_url),
    )
    people = ExchangePeople({name: exchange.control for name, exchange in found.items()}, oauth.tokens, clock)
    tenants, controls = ExchangeTenants(found["sandbox"].control), ExchangeControls(found["sandbox"].control)
    conformance = conformance_ports(found["sandbox"], oauth, clock, keyring, gateway)

    caretaker = Caretaker(sessions, shell.mailer, conformance.signer, clock)

    @asynccontextmanager
    async def backbone() -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(engine.dispose)
            stack.push_async_callback(outside.aclose)
            await upgrade(engine)
            async with transaction(sessions) as session:
                await catalogue.sync(session)
            await oauth.start()
            stack.push_async_callback(oauth.stop)
            for exchange in found.values():
                stack.push_async_callback(exchange.control.aclose)
                if exchange.app is not None:
                    await stack.enter_async_context(running(exchange.app, f"{exchange.environment} exchange"))
            yield

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with backbone():
            await gateway.start()
            await caretaker.start()
            try:
                yield
            finally:
                await caretaker.stop()
                await gateway.stop()

    checks = health_checks(engine, oauth, found)
    parts = configure(shell)
    litestar = Litestar(
        route_handlers=[
            *parts.routes,
            *health_routes(checks, more=(gateway.metrics.text,)),
            *status.routes(checks),
            Documentation(settings.docs_dir).route(),
            *oauth_api.routes(oauth),
            *oauth_pages.routes(oauth, people),
            *profile_api.routes,
            *rooms(),
        ],
        middleware=[AuthenticationMiddleware],
        dependencies={
            **parts.dependencies,
            **users_dependencies.DEPENDENCIES,
            **tenants_dependency(tenants),
            **controls_dependency(controls),
            **conformance_dependency(conformance),
            **blobs_dependency(FolderBlobs(settings.data_dir / "attachments")),
        },
        exception_handlers=parts.exception_handlers,
        template_config=parts.template_config,
        before_send=parts.before_send,
        state=parts.state,
        plugins=parts.plugins,
        lifespan=[lifespan],
        openapi_config=OpenAPIConfig(
            title="Gozar portal API",
            version="1",
            # Litestar answers everything below this path with an HTML page of its own, so it may not be /api/v1 itself.
            path="/api/v1/openapi.json",
            render_plugins=[JsonRenderPlugin(path="/")],
            use_handler_docstrings=True,
            components=COMPONENTS,
        ),
    )
    asgi: Any = litestar
    bound = ProofOfPossession(gateway.gateway, clock=clock, public_url=settings.public_url, uses=oauth.replay.use)
    return Gozar(
        behind_proxies(oauth_api.token_lane(oauth, front(bound, with_heads(asgi))), settings.trusted_proxies),
        litestar,
        engine,
        sessions,
        shell,
        oauth,
        found,
        gateway,
        tenants,
        controls,
        backbone,
    )


def conformance_ports(
    sandbox: Exchange, oauth: OAuth, clock: Clock, keyring: Keyring, gateway: Runtime
) -> ConformancePorts:
    """Gozar's own hand in the sandbox's Tenants, the portal's signature, and the request log brought up to date."""

    def token(tenant: str) -> str:
        return oauth.tokens.mint(
            "sandbox",
            client_id="gozar",
            app="gozar",
            tenant=tenant,
            epoch=1,
            scope="system/*.cruds",
            now=clock.now(),
        )

    async def settle() -> None:
        await gateway.meter.flush()
        # Other workers write what they have every half second.
        await asyncio.sleep(FLUSH_SECONDS + 0.1)

    return ConformancePorts(
        ExchangeHand(sandbox.control, token), PortalSigner(keyring.derive("portal-signature")), settle
    )


def upstreams(settings: Settings, found: Mapping[str, Exchange]) -> dict[str, Upstream]:
    """The gateway's way to each exchange: in this process, or over HTTP to the FHIR base that the settings name."""
    chosen: dict[str, Upstream] = {}
    for name, exchange in found.items():
        if exchange.app is not None:
            chosen[name] = InProcessUpstream(exchange.app)
        else:
            chosen[name] = HttpUpstream(
                settings.upstream_url(name), ticks=time.monotonic_ns, public_base=settings.fhir_base_url(name)
            )
    return chosen


def rooms() -> Sequence[Any]:
    """Routes of every room, pages and JSON."""
    return [
        *users_api.routes,
        *users_pages.routes,
        *companies_api.routes,
        *companies_pages.routes,
        *products_api.routes,
        *products_pages.routes,
        *apps_api.routes,
        *apps_pages.routes,
        *tenants_api.routes,
        *tenants_pages.routes,
        *subscriptions_api.routes,
        *subscriptions_pages.routes,
        *usage_api.routes,
        *usage_pages.routes,
        *traffic_api.routes,
        *gateway_rules_api.routes,
        *traffic_pages.routes,
        *dashboard_pages.routes,
        *conformance_api.routes,
        *conformance_pages.routes,
        *reviews.routes,
    ]


def menus() -> Sequence[NavItem]:
    """What every room adds to the menus."""
    return [
        *dashboard_pages.navigation,
        *status.navigation,
        *users_pages.navigation,
        *companies_pages.navigation,
        *products_pages.navigation,
        *apps_pages.navigation,
        *tenants_pages.navigation,
        *subscriptions_pages.navigation,
        *usage_pages.navigation,
        *traffic_pages.navigation,
        *oauth_pages.navigation,
        *conformance_pages.navigation,
        *reviews.navigation,
    ]


async def check_database(engine: AsyncEngine) -> None:
    """Raises when the portal's database does not answer."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


def health_checks(
    engine: AsyncEngine, oauth: OAuth, found: Mapping[str, Exchange]
) -> dict[str, Callable[[], Awaitable[None]]]:
    """What /readyz and /status ask: each raises when its part does not answer."""

    async def authorization() -> None:
        for environment in found:
            if not (await oauth.jwks(environment))["keys"]:
                raise RuntimeError(f"{environment} has no signing key")

    def exchange(one: Exchange) -> Callable[[], Awaitable[None]]:
        async def answers() -> None:
            if one.app is not None:
                (await one.control.get("/healthz")).raise_for_status()
                return
            # Without the control plane's bearer: a health check needs no power.
            async with httpx.AsyncClient(timeout=status.PATIENCE) as anonymous:
                (await anonymous.get(f"{one.base}/metadata")).raise_for_status()

        return answers

    return {
        "database": lambda: check_database(engine),
        "authorization": authorization,
        **{name: exchange(one) for name, one in found.items()},
    }
