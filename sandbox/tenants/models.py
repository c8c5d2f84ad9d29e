"""Layers, and the Tenants and snapshots that point at them.

Every stored row belongs to a layer. A Tenant reads its own layer over its base's layer: what its own layer holds hides the
base's. Reset, restore and fork change which layer a Tenant points at; the base is never copied.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table

from sandbox.kernel.tables import Big, Id_C, Small, Text_C, field, keyed, metadata

BASE, OVERLAY, SNAPSHOT, DEAD = "base", "overlay", "snapshot", "dead"

layer = Table(
    "layer",
    metadata,
    Column("layer", Integer, primary_key=True),
    field("kind", Text_C),  # base | overlay | snapshot | dead: dead rows are swept in the background
    field("resources", Big, "0"),  # live resources of this layer
    field("bytes", Big, "0"),  # bytes of all versions of this layer
)

base = keyed(
    "base",
    Column("name", Id_C, primary_key=True),
    field("layer", Integer),
    field("title", Text_C),
    field("state", Text_C),  # loading | ready
    field("progress", Big, "0"),  # resources loaded so far, so that an interrupted load resumes
)

tenant = keyed(
    "tenant",
    Column("tenant", Id_C, primary_key=True),
    field("layer", Integer),
    field("base", Id_C),
    field("base_layer", Integer),
    field("created", Big),
    field("clock_offset", Big, "0"),  # microseconds the Tenant's clock runs ahead of ours
    field("validation", Text_C, "strict"),  # strict | warn | off
    field("max_resources", Big),
    field("max_bytes", Big),
    field("revision", Integer, "0"),  # steps at every reset, restore and change of settings
    field("consents", Big, "0"),  # steps at every write of a Consent
    field("state", Small, "1"),  # 1 open, 0 deleted
)

snapshot = keyed(
    "snapshot",
    Column("snapshot", Id_C, primary_key=True),
    field("tenant", Id_C),
    field("layer", Integer),
    field("base", Id_C),
    field("base_layer", Integer),
    field("name", Text_C),
    field("created", Big),
    field("clock_offset", Big, "0"),  # how far the Tenant's clock ran ahead then
)
Index(None, snapshot.c.tenant, snapshot.c.created)
