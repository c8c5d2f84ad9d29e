"""Recording consumption, each batch once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from portal.usage.models import UsageBatch, UsageHour, UsageRecord

KEPT_BATCHES = timedelta(days=30)
SUMMED = ("admitted", "refused", "limited", "failed", "bytes_in", "bytes_out", "duration_us")


@dataclass(slots=True)
class Consumption:
    """Sums of the calls of one client to one Product in one hour that one batch holds. `charged` counts for the invoice."""

    environment: str
    company_id: str
    app_id: str
    client_id: str
    product_id: str
    subscription_id: str
    hour: datetime
    charged: int = 0
    admitted: int = 0
    refused: int = 0
    limited: int = 0
    failed: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    duration_us: int = 0


async def record(session: AsyncSession, *, batch: str, sums: Sequence[Consumption], now: datetime) -> bool:
    """Write one batch in the caller's transaction; False, and nothing written, when this batch was recorded before."""
    upsert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    entered: Any = await session.execute(
        upsert(UsageBatch).values(id=batch, recorded_at=now).on_conflict_do_nothing().returning(UsageBatch.id)
    )
    if entered.first() is None:
        return False
    charged = [
        {
            "id": f"{batch}:{number}",
            "subscription_id": each.subscription_id,
            "client_id": each.client_id,
            "product_id": each.product_id,
            "environment": each.environment,
            "hour": each.hour,
            "calls": each.charged,
            "recorded_at": now,
        }
        for number, each in enumerate(sums)
        if each.charged
    ]
    if charged:
        await session.execute(insert(UsageRecord), charged)
    # In one order on every worker, so that two batches never wait for each other's rows.
    for each in sorted(sums, key=lambda one: (one.client_id, one.product_id, one.hour)):
        statement = upsert(UsageHour).values(
            client_id=each.client_id,
            product_id=each.product_id,
            hour=each.hour,
            environment=each.environment,
            company_id=each.company_id,
            app_id=each.app_id,
            **{name: getattr(each, name) for name in SUMMED},
        )
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[UsageHour.client_id, UsageHour.product_id, UsageHour.hour],
                set_={name: getattr(UsageHour, name) + getattr(each, name) for name in SUMMED},
            )
        )
    return True


async def forget(session: AsyncSession, *, now: datetime) -> None:
    """Drop the marks of batches so old that none can come again."""
    await session.execute(delete(UsageBatch).where(UsageBatch.recorded_at < now - KEPT_BATCHES))
