"""audit append only

Revises: 20261122_gateway_04
"""

from __future__ import annotations

from alembic import op

revision = "20261123_audit_01"
down_revision = "20261122_gateway_04"
branch_labels = None
depends_on = None

# The hash chain shows a change; these make one impossible without changing the schema first, which shows as well.
TABLES = ("audit_entries", "audit_checkpoints")
MESSAGE = "the audit log is append-only"
BACK = "the audit log's head only moves forward"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            for event in ("update", "delete"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{event} BEFORE {event.upper()} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
                )
        op.execute(
            "CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head WHEN NEW.number < OLD.number "
            f"BEGIN SELECT RAISE(ABORT, '{BACK.replace(chr(39), chr(39) * 2)}'); END"
        )
        op.execute(
            f"CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION gozar_audit_final() RETURNS trigger AS $$ "
        f"BEGIN RAISE EXCEPTION '{MESSAGE}'; END $$ LANGUAGE plpgsql"
    )
    op.execute(
        "CREATE FUNCTION gozar_audit_forward() RETURNS trigger AS $$ BEGIN "
        f"IF NEW.number < OLD.number THEN RAISE EXCEPTION '{BACK.replace(chr(39), chr(39) * 2)}'; END IF; "
        "RETURN NEW; END $$ LANGUAGE plpgsql"
    )
    for table in TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_final BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION gozar_audit_final()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_kept BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION gozar_audit_final()"
        )
    op.execute(
        "CREATE TRIGGER audit_head_forward BEFORE UPDATE ON audit_head "
        "FOR EACH ROW EXECUTE FUNCTION gozar_audit_forward()"
    )
    op.execute(
        "CREATE TRIGGER audit_head_stays BEFORE DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION gozar_audit_final()"
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in TABLES:
            for event in ("update", "delete"):
                op.execute(f"DROP TRIGGER {table}_no_{event}")
        op.execute("DROP TRIGGER audit_head_forward")
        op.execute("DROP TRIGGER audit_head_stays")
        return
    op.execute("DROP FUNCTION gozar_audit_final() CASCADE")
    op.execute("DROP FUNCTION gozar_audit_forward() CASCADE")
