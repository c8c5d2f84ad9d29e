"""Bulk exports.

Revises: 20261122_11
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sandbox.kernel.tables import Big, Id_C, Text_C

revision = "20261122_20"
down_revision = "20261122_11"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "export_job",
        sa.Column("job", Id_C, nullable=False),
        sa.Column("tenant", Id_C, nullable=False),
        sa.Column("client", Id_C, nullable=False),
        sa.Column("state", Text_C, nullable=False),
        sa.Column("created", Big, nullable=False),
        sa.Column("expires", Big, nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job", name=op.f("pk_export_job")),
    )


def downgrade() -> None:
    op.drop_table("export_job")
