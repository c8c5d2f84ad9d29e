"""Tenants count the writes of Consents, so that every call knows whether what it remembers of them still holds.

Revises: 20261122_10
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sandbox.kernel.tables import Big

revision = "20261122_11"
down_revision = "20261122_10"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tenant", sa.Column("consents", Big, server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("tenant", "consents")
