"""Bring a database to the newest schema, from code, under a lock of the migration tool's own transaction."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

SCRIPTS = Path(__file__).parent.parent / "migrations"


def config() -> Config:
    """Alembic's configuration without an ini file."""
    made = Config()
    made.set_main_option("script_location", str(SCRIPTS))
    made.set_main_option("path_separator", "os")
    return made


def _upgrade(connection: Connection) -> None:
    made = config()
    made.attributes["connection"] = connection
    command.upgrade(made, "head")


async def upgrade(engine: AsyncEngine) -> None:
    """Run every migration that `engine`'s database lacks."""
    async with engine.begin() as connection:
        await connection.run_sync(_upgrade)
