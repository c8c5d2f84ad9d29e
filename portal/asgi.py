"""What a server process loads: one application from the environment's settings."""

from __future__ import annotations

import gc

from portal.app import create_app
from portal.kernel.lifespan import AsgiApp
from portal.kernel.logs import configure_logs
from portal.settings import from_env


def create() -> AsgiApp:
    """Factory for `uvicorn portal.asgi:create --factory`."""
    configure_logs()
    made = create_app(from_env()).asgi
    # A call leaves no cycles behind worth looking for every few hundred objects, and what start-up made lives on anyway.
    gc.freeze()
    gc.set_threshold(10_000, 50, 100)
    return made
