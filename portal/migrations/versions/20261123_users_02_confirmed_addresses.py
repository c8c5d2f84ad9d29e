"""confirmed addresses, notices before credentials end

Revises: 20261123_oauth_03
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import portal.kernel.database

revision = "20261123_users_02"
down_revision = "20261123_oauth_03"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = portal.kernel.database.UtcDateTime(timezone=True)
    op.create_table(
        "email_confirmations",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_email_confirmations_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_email_confirmations")),
    )
    with op.batch_alter_table("email_confirmations", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_email_confirmations_user_id"), ["user_id"], unique=False)
    op.add_column("users", sa.Column("email_confirmed_at", moment, nullable=True))
    op.add_column("credentials", sa.Column("notice_days", sa.Integer(), nullable=False, server_default="0"))
    # Whoever registered before the question was asked is not asked now.
    op.execute("UPDATE users SET email_confirmed_at = created_at")


def downgrade() -> None:
    op.drop_column("credentials", "notice_days")
    op.drop_column("users", "email_confirmed_at")
    op.drop_table("email_confirmations")
