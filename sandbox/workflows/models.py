"""Tables of the Workflows. Rows of a Tenant's state carry its layer, so that reset and restore take them along."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, Table

from sandbox.kernel.tables import Big, Id_C, Small, Text_C, field, key, keyed, metadata

# What the Tenant's clock will do: `verb` on `kind/rid` at `due` (microseconds, the Tenant's time).
timer = keyed(
    "workflow_timer",
    key("layer", Integer),
    key("number", Big),
    field("due", Big),
    field("verb", Text_C),
    field("kind", Text_C),
    field("rid", Id_C),
    field("data", LargeBinary),
)
Index("ix_workflow_timer_due", timer.c.layer, timer.c.due)

# What happened, in order: the timeline, and what `$events` reads again.
event = keyed(
    "workflow_event",
    key("layer", Integer),
    key("number", Big),
    field("at", Big),
    field("topic", Text_C),
    field("kind", Text_C),
    field("rid", Id_C),
    field("actor", Text_C),
    field("data", LargeBinary),
)

# One notification for one Subscription, ready to send; `due` is real time, since it goes to a real address.
delivery = Table(
    "workflow_delivery",
    metadata,
    Column("number", Big, primary_key=True, autoincrement=False),
    field("tenant", Id_C),
    field("layer", Integer),
    field("subscription", Id_C),
    field("sequence", Big),  # event number within the Subscription; 0 for a handshake
    field("topic", Text_C),
    field("endpoint", Text_C),
    field("body", LargeBinary),
    field("state", Small),  # 0 waiting, 1 delivered, 2 given up
    field("attempts", Integer, "0"),
    field("at", Big),
    field("due", Big),
    field("log", LargeBinary),  # JSON list of attempts: at, status, error, milliseconds
)
Index("ix_workflow_delivery_due", delivery.c.state, delivery.c.due)
Index("ix_workflow_delivery_subscription", delivery.c.layer, delivery.c.subscription, delivery.c.sequence)

# A Subscription's signing secret and how many events it has had.
channel = keyed(
    "workflow_channel",
    key("layer", Integer),
    key("subscription", Id_C),
    field("secret", Text_C),
    field("events", Big, "0"),
)

# What a developer set for a Tenant: JSON of fault plans and Counterpart scripts. It outlives reset and restore.
control = keyed(
    "workflow_control",
    key("tenant", Id_C),
    field("faults", LargeBinary),
    field("scripts", LargeBinary),
)
CARRIED = (timer, event, channel)
