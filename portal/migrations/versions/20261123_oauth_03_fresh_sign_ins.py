"""Sign-ins that must be fresh (prompt, max_age), and launches that are used once.

Revises: 20261123_audit_01
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261123_oauth_03"
down_revision = "20261123_audit_01"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("interactions") as batch_op:
        batch_op.add_column(sa.Column("fresh_from", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("launches") as batch_op:
        batch_op.add_column(sa.Column("used_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("launches") as batch_op:
        batch_op.drop_column("used_at")
    with op.batch_alter_table("interactions") as batch_op:
        batch_op.drop_column("fresh_from")
