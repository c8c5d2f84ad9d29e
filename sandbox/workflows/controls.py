"""What a developer set for a Tenant: fault plans and Counterpart scripts, as JSON."""

from __future__ import annotations

from typing import Any

import orjson

from sandbox.kernel.database import Database, Transaction


async def scripts_of(source: Database | Transaction, tenant: str) -> dict[str, Any]:
    """Counterpart scripts by Counterpart name; empty when none is set."""
    rows = await source.rows("SELECT scripts FROM workflow_control WHERE tenant=?1", (tenant,))
    found: dict[str, Any] = orjson.loads(rows[0][0]) if rows else {}
    return found


async def faults_of(source: Database | Transaction, tenant: str) -> list[dict[str, Any]]:
    """Fault plans in the order they are tried."""
    rows = await source.rows("SELECT faults FROM workflow_control WHERE tenant=?1", (tenant,))
    found: list[dict[str, Any]] = orjson.loads(rows[0][0]) if rows else []
    return found


async def save(
    tx: Transaction, tenant: str, *, scripts: dict[str, Any] | None = None, faults: list[dict[str, Any]] | None = None
) -> None:
    """Set the one, the other, or both; None keeps what is there."""
    kept = await scripts_of(tx, tenant) if scripts is None else scripts
    plans = await faults_of(tx, tenant) if faults is None else faults
    await tx.run("DELETE FROM workflow_control WHERE tenant=?1", (tenant,))
    row = (tenant, orjson.dumps(plans), orjson.dumps(kept))
    await tx.run("INSERT INTO workflow_control (tenant, faults, scripts) VALUES (?1, ?2, ?3)", row)
