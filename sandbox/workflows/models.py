"""Tables of the Workflows. Rows of a Tenant's state carry its layer, so that reset and restore take them along."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Table

from sandbox.kernel.tables import Big, Id_C, Small, Text_C, field, keyed, metadata

# What the Tenant's clock will do: `verb` on `kind/rid` at `due` (microseconds, the Tenant's time).
timer = Table(
    "workflow_timer",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    field("layer", Integer),
    field("due", Big),
    field("verb", Text_C),
    field("kind", Text_C),
    field("rid", Id_C),
    field("data", LargeBinary),
)
Index(None, timer.c.layer, timer.c.due)

# What happened, in order: the timeline, and what `$events` reads again.
event = Table(
    "workflow_event",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    field("layer", Integer),
    field("at", Big),
    field("topic", Text_C),
    field("kind", Text_C),
    field("rid", Id_C),
    field("actor", Text_C),
    field("data", LargeBinary),
)
Index(None, event.c.layer, event.c.number)

# One notification for one Subscription; `due` is real time, since it goes to a real address.
delivery = Table(
    "workflow_delivery",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    field("tenant", Id_C),
    field("layer", Integer),
    field("subscription", Id_C),
    field("sequence", Big),  # event number within the Subscription; 0 for a handshake
    field("event", Big),  # workflow_event.number; 0 for a handshake
    field("state", Small),  # 0 waiting, 1 delivered, 2 given up
    field("attempts", Integer, "0"),
    field("due", Big),
    field("log", LargeBinary),  # JSON list of attempts: at, status, error, milliseconds
)
Index(None, delivery.c.state, delivery.c.due)
Index(None, delivery.c.layer, delivery.c.subscription, delivery.c.sequence)

# What a developer set for a Tenant: JSON of fault plans and Counterpart scripts. It outlives reset and restore.
control = keyed(
    "workflow_control",
    Column("tenant", Id_C, primary_key=True),
    field("faults", LargeBinary),
    field("scripts", LargeBinary),
)
