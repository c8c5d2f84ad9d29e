"""Reads of Subscriptions, from the client id they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import AppEnvironment
from portal.kernel.errors import NotFound
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


async def subscription_of(
    session: AsyncSession, app_id: str, subscription_id: str
) -> tuple[Subscription, AppEnvironment]:
    """A running Subscription of an App, with the presence it belongs to; raises NotFound."""
    query = (
        select(Subscription, AppEnvironment)
        .join(AppEnvironment, AppEnvironment.client_id == Subscription.client_id)
        .where(Subscription.id == subscription_id, AppEnvironment.app_id == app_id, Subscription.ended_at.is_(None))
    )
    row = (await session.execute(query)).first()
    if row is None:
        raise NotFound("There is no such subscription", fa="چنین اشتراکی نیست")
    return row[0], row[1]
