"""The exchange's settings: frozen values handed to `sandbox.app.create_app`; the exchange never reads the environment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """One exchange instance.

    `environment` decides tenancy: in `sandbox` each App's token names its Tenant; in `production` all Apps share one data set.
    `allow_loopback_hooks` lets notifications go to this machine itself; None means: when `base_url` is on it, too.
    `base_url` is the public FHIR base (no trailing slash): links in Bundles, `fullUrl`s and the token audience are built on it.
    """

    database_url: str
    base_url: str
    issuer: str
    environment: Literal["sandbox", "production"] = "sandbox"
    population_size: int = 200
    population_seed: int = 1405
    allow_loopback_hooks: bool | None = None
