"""The catalogue as data: one TOML file a Product, brought into the database at every start.

A Product or Plan that a file no longer names stays in the database, because Subscriptions and decisions refer to it.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.products.models import Plan, Product, ProductScope, QuotaPeriod


class ScopeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Scope a Product brings."""

    scope: str
    meaning_fa: str
    meaning_en: str
    sensitive: bool = False


class PlanEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Plan; limits in calls per second, per minute and per period."""

    id: str
    environment: str
    name_fa: str
    name_en: str
    per_second: int
    per_minute: int
    quota: int
    quota_period: QuotaPeriod = QuotaPeriod.MONTH
    price_rials: int = 0


class ProductEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the catalogue."""

    id: str
    position: int
    name_fa: str
    name_en: str
    summary_fa: str
    summary_en: str
    scopes: list[ScopeEntry]
    plans: list[PlanEntry]
    upstream: str = ""


@cache
def entries() -> tuple[ProductEntry, ...]:
    """Every Product file, by position."""
    folder = resources.files("portal.products") / "data"
    found = [
        tomllib.loads(file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name.endswith(".toml")
    ]
    return tuple(sorted((msgspec.convert(raw, ProductEntry) for raw in found), key=lambda entry: entry.position))


async def sync(session: AsyncSession) -> None:
    """Make the database's catalogue equal the files'; rows that are the same already are left alone."""
    for entry in entries():
        await _merge(session, Product, entry.id, {name: getattr(entry, name) for name in PRODUCT_COLUMNS})
        await session.flush()
        known = {
            row.scope: row
            for row in await session.scalars(select(ProductScope).where(ProductScope.product_id == entry.id))
        }
        for scope in entry.scopes:
            row = known.pop(scope.scope, None)
            if row is None:
                row = ProductScope(product_id=entry.id, scope=scope.scope, meaning_fa="", meaning_en="")
                session.add(row)
            _assign(row, msgspec.structs.asdict(scope))
        if known:
            gone = delete(ProductScope).where(ProductScope.product_id == entry.id, ProductScope.scope.in_(list(known)))
            await session.execute(gone)
        for position, plan in enumerate(entry.plans):
            values = {**msgspec.structs.asdict(plan), "product_id": entry.id, "position": position}
            await _merge(session, Plan, plan.id, values)
    await session.flush()


PRODUCT_COLUMNS = ("id", "position", "name_fa", "name_en", "summary_fa", "summary_en", "upstream")


def _assign(row: object, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


async def _merge(session: AsyncSession, table: type[Product] | type[Plan], key: str, values: dict[str, Any]) -> None:
    row = await session.get(table, key)
    if row is None:
        session.add(table(**values))
    else:
        _assign(row, values)
