"""Bulk exports in progress or ready."""

from __future__ import annotations

from sqlalchemy import Column, LargeBinary, Table

from sandbox.kernel.tables import Big, Id_C, Text_C, field, metadata

export_job = Table(
    "export_job",
    metadata,
    Column("job", Id_C, primary_key=True),
    field("tenant", Id_C),
    field("client", Id_C),
    field("state", Text_C),  # counting | ready | failed
    field("created", Big),
    field("expires", Big),
    field("request", LargeBinary),  # what was asked: JSON
    field("manifest", LargeBinary),  # JSON, empty until ready
)
