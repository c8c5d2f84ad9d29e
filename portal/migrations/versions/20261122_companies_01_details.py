"""website and reason of the status of a company

Revises: 20261122_r2
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261122_companies_01"
down_revision = "20261122_r2"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("companies", schema=None) as companies:
        companies.add_column(sa.Column("website", sa.String(length=255), nullable=False, server_default=""))
        companies.add_column(sa.Column("status_reason", sa.Text(), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("companies", schema=None) as companies:
        companies.drop_column("status_reason")
        companies.drop_column("website")
