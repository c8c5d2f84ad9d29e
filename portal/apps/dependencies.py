"""What handlers may ask for: `tenants`, the sandbox exchange's control plane. The composition root provides the adapter."""

from __future__ import annotations

from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from portal.apps.tenants import Tenants

TenantsPort = NamedDependency[SkipValidation[Tenants]]


def tenants_dependency(tenants: Tenants) -> dict[str, Provide]:
    """`dependencies` of an application whose sandbox is behind `tenants`."""

    def provide() -> Tenants:
        return tenants

    return {"tenants": Provide(provide, sync_to_thread=False)}
