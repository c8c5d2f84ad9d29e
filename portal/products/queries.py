"""Reads of the catalogue. It is public: nothing here is filtered by a Company."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.errors import NotFound
from portal.products.models import Plan, Product, ProductScope


async def all_products(session: AsyncSession) -> Sequence[Product]:
    """Every Product, in catalogue order."""
    return (await session.scalars(select(Product).order_by(Product.position, Product.id))).all()


async def get_product(session: AsyncSession, product_id: str) -> Product:
    """One Product; raises NotFound."""
    found = await session.get(Product, product_id)
    if found is None:
        raise NotFound(f"There is no product {product_id!r}", fa="چنین محصولی در فهرست نیست")
    return found


async def scopes_of(session: AsyncSession, product_id: str) -> Sequence[ProductScope]:
    """Scopes a Product brings, in order of their names."""
    return (
        await session.scalars(
            select(ProductScope).where(ProductScope.product_id == product_id).order_by(ProductScope.scope)
        )
    ).all()


async def plans_of(session: AsyncSession, product_id: str, environment: str = "") -> Sequence[Plan]:
    """Plans of a Product, optionally of one Environment, in catalogue order."""
    query = select(Plan).where(Plan.product_id == product_id).order_by(Plan.environment.desc(), Plan.position, Plan.id)
    if environment:
        query = query.where(Plan.environment == environment)
    return (await session.scalars(query)).all()


async def get_plan(session: AsyncSession, plan_id: str) -> Plan:
    """One Plan; raises NotFound."""
    found = await session.get(Plan, plan_id)
    if found is None:
        raise NotFound(f"There is no plan {plan_id!r}", fa="چنین طرحی در فهرست نیست")
    return found
