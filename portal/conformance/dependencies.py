"""What conformance needs from outside: a hand in the Tenants, the portal's signature, and the request log brought up to date."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from portal.conformance.hand import Hand
from portal.kernel.signing import PortalSigner


async def _nothing() -> None:
    """No request log to wait for."""


@dataclass(frozen=True, slots=True)
class Ports:
    """`settle` returns when every call that ended before is in the request log."""

    hand: Hand
    signer: PortalSigner
    settle: Callable[[], Awaitable[None]] = _nothing


ConformancePorts = NamedDependency[SkipValidation[Ports]]


def conformance_dependency(ports: Ports) -> dict[str, Provide]:
    """`dependencies` of an application with these ports."""

    def provide() -> Ports:
        return ports

    return {"conformance": Provide(provide, sync_to_thread=False)}
