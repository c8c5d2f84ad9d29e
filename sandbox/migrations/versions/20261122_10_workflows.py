"""Tables of the Workflows: timers, timeline, deliveries, channels, controls.

Revises: 20261122_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sandbox.kernel.tables import Big, Id_C, Text_C

revision = "20261122_10"
down_revision = "20261122_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "workflow_timer",
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", Big, autoincrement=False, nullable=False),
        sa.Column("due", Big, nullable=False),
        sa.Column("verb", Text_C, nullable=False),
        sa.Column("kind", Text_C, nullable=False),
        sa.Column("rid", Id_C, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("layer", "number", name=op.f("pk_workflow_timer")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_workflow_timer_due", "workflow_timer", ["layer", "due"], unique=False)
    op.create_table(
        "workflow_event",
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", Big, autoincrement=False, nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("topic", Text_C, nullable=False),
        sa.Column("kind", Text_C, nullable=False),
        sa.Column("rid", Id_C, nullable=False),
        sa.Column("actor", Text_C, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("layer", "number", name=op.f("pk_workflow_event")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workflow_delivery",
        sa.Column("number", Big, autoincrement=False, nullable=False),
        sa.Column("tenant", Id_C, nullable=False),
        sa.Column("layer", sa.Integer(), nullable=False),
        sa.Column("subscription", Id_C, nullable=False),
        sa.Column("sequence", Big, nullable=False),
        sa.Column("topic", Text_C, nullable=False),
        sa.Column("endpoint", Text_C, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("at", Big, nullable=False),
        sa.Column("due", Big, nullable=False),
        sa.Column("log", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_workflow_delivery")),
    )
    op.create_index("ix_workflow_delivery_due", "workflow_delivery", ["state", "due"], unique=False)
    op.create_index(
        "ix_workflow_delivery_subscription", "workflow_delivery", ["layer", "subscription", "sequence"], unique=False
    )
    op.create_table(
        "workflow_channel",
        sa.Column("layer", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("subscription", Id_C, nullable=False),
        sa.Column("secret", Text_C, nullable=False),
        sa.Column("events", Big, server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("layer", "subscription", name=op.f("pk_workflow_channel")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "workflow_control",
        sa.Column("tenant", Id_C, nullable=False),
        sa.Column("faults", sa.LargeBinary(), nullable=False),
        sa.Column("scripts", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name=op.f("pk_workflow_control")),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for name in ("control", "channel", "delivery", "event", "timer"):
        op.drop_table(f"workflow_{name}")
