"""The one SQLAlchemy metadata of the exchange: rooms declare their tables on it, Alembic compares against it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Integer, MetaData, SmallInteger, String, Table, Text
from sqlalchemy.types import BigInteger, TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Byte order on both databases: PostgreSQL's locale order would differ from SQLite's and be slower.
Text_C = Text().with_variant(Text(collation="C"), "postgresql")
Id_C = String(64).with_variant(String(64, collation="C"), "postgresql")
# SQLite makes a rowid alias only of INTEGER.
Big = BigInteger().with_variant(Integer(), "sqlite")
Small = SmallInteger()


def keyed(name: str, *columns: Column[Any]) -> Table:
    """A table that is its own primary-key index: on SQLite WITHOUT ROWID, so a look-up never leaves the index."""
    return Table(name, metadata, *columns, sqlite_with_rowid=False)


def key(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]]) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def field(name: str, kind: TypeEngine[Any] | type[TypeEngine[Any]], default: str | None = None) -> Column[Any]:
    return Column(name, kind, nullable=False, server_default=default)
