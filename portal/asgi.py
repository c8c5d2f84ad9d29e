"""What a server process loads: one application from the environment's settings."""

from __future__ import annotations

from portal.app import create_app
from portal.kernel.lifespan import AsgiApp
from portal.kernel.logs import configure_logs
from portal.settings import from_env


def create() -> AsgiApp:
    """Factory for `uvicorn portal.asgi:create --factory`."""
    configure_logs()
    return create_app(from_env()).asgi
