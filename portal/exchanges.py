"""The exchanges behind the gateway: embedded in this process by default, remote by setting.

The portal never imports the sandbox package: an embedded exchange is loaded by the dotted name of its factory and driven over ASGI.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from portal.kernel.clock import Clock
from portal.kernel.lifespan import AsgiApp
from portal.settings import ENVIRONMENTS, Settings

FACTORY = "sandbox.app:create_app"
SETTINGS = "sandbox.settings:SandboxSettings"
LOADER = "sandbox.cli:load_population"
# The two embedded data sets differ, so that a record of one is never mistaken for the other's.
SEEDS = {"sandbox": 1405, "production": 1403}
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """One Environment's exchange. `app` is None when it is remote, and `base` its FHIR base then; `control` reaches /admin either way."""

    environment: str
    app: AsgiApp | None
    control: httpx.AsyncClient
    base: str = ""


def load(dotted: str) -> Any:
    """The object that `package.module:name` names."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)


def embedded(
    settings: Settings, environment: str, clock: Clock, jwks: Callable[[], Awaitable[Mapping[str, Any]]]
) -> AsgiApp:
    """An exchange in this process, with its own database and population."""
    app: AsgiApp = load(FACTORY)(exchange_settings(settings, environment), clock=clock, jwks=jwks)
    return app


def exchange_settings(settings: Settings, environment: str) -> Any:
    """The embedded exchange's own settings object."""
    size = settings.sandbox_population if environment == "sandbox" else settings.production_population
    return load(SETTINGS)(
        database_url=settings.exchange_database_url(environment),
        base_url=settings.fhir_base_url(environment),
        issuer=settings.issuer(environment),
        environment=environment,
        population_size=size,
        population_seed=SEEDS[environment],
    )


def build(
    settings: Settings,
    clock: Clock,
    jwks: Callable[[str], Awaitable[Mapping[str, Any]]],
    admin_token: Callable[[str, datetime], str],
) -> dict[str, Exchange]:
    """Both exchanges; `admin_token` signs the short-lived bearer of their control planes."""
    return {name: _one(settings, name, clock, jwks, admin_token) for name in ENVIRONMENTS}


def _one(
    settings: Settings,
    environment: str,
    clock: Clock,
    jwks: Callable[[str], Awaitable[Mapping[str, Any]]],
    admin_token: Callable[[str, datetime], str],
) -> Exchange:
    class Bearer(httpx.Auth):
        def auth_flow(self, request: httpx.Request) -> Any:
            request.headers["authorization"] = f"Bearer {admin_token(environment, clock.now())}"
            yield request

    remote = settings.upstream_url(environment)
    if remote:
        parts = urlsplit(remote)
        base = f"{parts.scheme}://{parts.netloc}"
        return Exchange(environment, None, httpx.AsyncClient(base_url=base, auth=Bearer(), timeout=PATIENCE), remote)

    async def keys() -> Mapping[str, Any]:
        return await jwks(environment)

    app = embedded(settings, environment, clock, keys)
    transport: Any = httpx.ASGITransport(app=app)
    control = httpx.AsyncClient(transport=transport, base_url="http://exchange", auth=Bearer(), timeout=PATIENCE)
    return Exchange(environment, app, control)
