"""A row of the access log holds several accesses: what older rows hold becomes blocks of one.

Revises: 20261122_20
"""

from __future__ import annotations

from alembic import op

revision = "20261123_10"
down_revision = "20261122_20"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        block = "CAST('[[' || at || ',' || substr(CAST(entry AS TEXT), 2) || ']' AS BLOB)"
    else:
        block = "convert_to('[[' || at || ',' || substr(convert_from(entry, 'UTF8'), 2) || ']', 'UTF8')"
    op.execute(f"UPDATE access_log SET entry = {block}")


def downgrade() -> None:
    # Accesses not yet turned into AuditEvents cannot be split by SQL that both databases share; they are few.
    op.execute("DELETE FROM access_log")
