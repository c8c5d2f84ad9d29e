"""A snapshot keeps the Tenant's clock.

Revises: 20261123_10
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sandbox.kernel.tables import Big

revision = "20261123_20"
down_revision = "20261123_10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("snapshot", sa.Column("clock_offset", Big, server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("snapshot", "clock_offset")
