"""Bring a database to the newest schema. Safe to run from several starting workers at once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import make_url

_LOCK = 731405


def migrate(database_url: str) -> None:
    """Run the missing migrations on `database_url` (`sqlite+aiosqlite:///...` or `postgresql+asyncpg://...`)."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        _migrate_sqlite(url.database or "")
    else:
        import asyncio

        asyncio.run(_migrate_postgres(url.set(drivername="postgresql+asyncpg")))


def config(connection: sa.Connection) -> Config:
    """Alembic's configuration, bound to an open connection."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent))
    made.attributes["connection"] = connection
    return made


def _migrate_sqlite(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": 60})
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            connection.commit()
            # Taken before Alembic looks, so that two starting workers cannot both find the schema missing.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            with closing(connection):
                command.upgrade(config(connection), "head")
                connection.commit()
    finally:
        engine.dispose()


async def _migrate_postgres(url: sa.URL) -> None:
    from sqlalchemy.ext.asyncio import create_async_engine

    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await connection.run_sync(lambda sync: command.upgrade(config(sync), "head"))
    finally:
        await engine.dispose()
