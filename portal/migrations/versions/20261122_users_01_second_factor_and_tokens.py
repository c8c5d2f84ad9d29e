"""second factor, personal tokens, password resets, notices of a session

Revises: 20261122_r1
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

import portal.kernel.database

revision = "20261122_users_01"
down_revision = "20261122_r1"
branch_labels = None
depends_on = None

Moment = portal.kernel.database.UtcDateTime(timezone=True)


def upgrade() -> None:
    with op.batch_alter_table("users", schema=None) as users:
        users.add_column(sa.Column("totp_secret", sa.LargeBinary(), nullable=True))
        users.add_column(sa.Column("totp_confirmed_at", Moment, nullable=True))
        users.add_column(sa.Column("totp_step", sa.Integer(), nullable=False, server_default="0"))
    with op.batch_alter_table("sign_ins", schema=None) as sign_ins:
        sign_ins.add_column(sa.Column("awaiting_code", sa.Boolean(), nullable=False, server_default=sa.false()))
        sign_ins.add_column(sa.Column("user_agent", sa.String(length=200), nullable=False, server_default=""))
        sign_ins.add_column(sa.Column("notices", sa.LargeBinary(), nullable=True))
    op.create_table(
        "personal_tokens",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("hint", sa.String(length=24), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("last_used_at", Moment, nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_personal_tokens_user_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_tokens")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_personal_tokens_token_hash")),
    )
    op.create_index(op.f("ix_personal_tokens_user_id"), "personal_tokens", ["user_id"])
    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("user_id", sa.String(length=32), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("expires_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_password_resets_user_id")),
        sa.PrimaryKeyConstraint("token_hash", name=op.f("pk_password_resets")),
    )
    op.create_index(op.f("ix_password_resets_user_id"), "password_resets", ["user_id"])


def downgrade() -> None:
    op.drop_table("password_resets")
    op.drop_table("personal_tokens")
    with op.batch_alter_table("sign_ins", schema=None) as sign_ins:
        for name in ("notices", "user_agent", "awaiting_code"):
            sign_ins.drop_column(name)
    with op.batch_alter_table("users", schema=None) as users:
        for name in ("totp_step", "totp_confirmed_at", "totp_secret"):
            users.drop_column(name)
