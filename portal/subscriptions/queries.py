"""Reads of Subscriptions, from the client id they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.products.models import Plan, Product
from portal.subscriptions.models import Subscription


class Standing(NamedTuple):
    """A running Subscription with what it is on."""

    subscription: Subscription
    plan: Plan
    product: Product


async def running(session: AsyncSession, client_id: str) -> Sequence[Standing]:
    """Subscriptions that have not ended, in catalogue order."""
    query = (
        select(Subscription, Plan, Product)
        .join(Plan, Plan.id == Subscription.plan_id)
        .join(Product, Product.id == Subscription.product_id)
        .where(Subscription.client_id == client_id, Subscription.ended_at.is_(None))
        .order_by(Product.position, Product.id)
    )
    return [Standing(*row) for row in await session.execute(query)]


async def on_product(session: AsyncSession, client_id: str, product_id: str) -> Subscription | None:
    """The running Subscription to a Product, or None."""
    query = select(Subscription).where(
        Subscription.client_id == client_id, Subscription.product_id == product_id, Subscription.ended_at.is_(None)
    )
    return (await session.scalars(query)).first()
