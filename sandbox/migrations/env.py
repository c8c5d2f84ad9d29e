"""Alembic environment: the caller hands its connection over in `config.attributes`."""

from __future__ import annotations

from alembic import context

import sandbox.exchange.models
import sandbox.storage.models
import sandbox.tenants.models
import sandbox.workflows.models  # noqa: F401  each declares its tables on the metadata
from sandbox.kernel.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
