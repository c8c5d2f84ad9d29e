"""A snapshot keeps the Tenant's clock, and a Tenant remembers when its clock was moved: tokens age with it.

Revises: 20261122_20
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sandbox.kernel.tables import Big

revision = "20261122_30"
down_revision = "20261122_20"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("snapshot", sa.Column("clock_offset", Big, server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("snapshot", "clock_offset")
