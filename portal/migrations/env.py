"""Alembic environment: runs on the connection it is handed, or on `GOZAR_DATABASE_URL` for `alembic revision`."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil

from alembic import context
from sqlalchemy import Connection

import portal
from portal.kernel.database import Base, create_engine
from portal.settings import from_env


def load_models() -> None:
    """Import every room's `models` so that the metadata is whole."""
    for room in pkgutil.iter_modules(portal.__path__, "portal."):
        if room.ispkg and any(
            module.name == "models"
            for module in pkgutil.iter_modules([f"{portal.__path__[0]}/{room.name.split('.')[1]}"])
        ):
            importlib.import_module(f"{room.name}.models")


def run(connection: Connection) -> None:
    load_models()
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


async def run_standalone() -> None:
    engine = create_engine(from_env().portal_database_url)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


handed = context.config.attributes.get("connection")
if handed is None:
    asyncio.run(run_standalone())
else:
    run(handed)
