"""A catalogue and a Subscription for an App, and a gateway over a real database."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from portal.gateway.runtime import Runtime
from portal.gateway.upstream import AsgiApp, InProcessUpstream
from portal.kernel.database import SessionMaker, transaction
from portal.kernel.ids import new_id
from portal.oauth.service import OAuth
from portal.products.models import Plan, Product, ProductScope
from portal.subscriptions.models import Subscription

SCOPES = ("system/Patient.cruds", "system/Observation.rs")


async def subscribe(
    maker: SessionMaker,
    client_id: str,
    *,
    now: datetime,
    environment: str = "sandbox",
    product: str = "health-record",
    **overrides: Any,
) -> str:
    """Put the client on a Plan of 1,000 a second, 60,000 a minute and a million a month; returns the Subscription's id."""
    plan = f"{product}-{environment}"
    async with transaction(maker) as session:
        if await session.scalar(select(Product.id).where(Product.id == product)) is None:
            session.add(Product(id=product, name_fa="پرونده", name_en="Record", summary_fa="", summary_en=""))
            await session.flush()
            session.add_all(ProductScope(product_id=product, scope=s, meaning_fa="", meaning_en="") for s in SCOPES)
        if await session.scalar(select(Plan.id).where(Plan.id == plan)) is None:
            session.add(
                Plan(
                    id=plan,
                    product_id=product,
                    environment=environment,
                    name_fa="پایه",
                    name_en="Base",
                    per_second=1000,
                    per_minute=60_000,
                    quota=1_000_000,
                )
            )
            await session.flush()
        made = Subscription(
            id=new_id("sub"), client_id=client_id, product_id=product, plan_id=plan, created_at=now, **overrides
        )
        session.add(made)
        return made.id


def runtime_over(oauth: OAuth, upstream: AsgiApp, folder: Path, **options: Any) -> Runtime:
    """A gateway for both Environments in front of one application."""
    exchange = InProcessUpstream(upstream)
    return Runtime(
        maker=oauth.maker,
        tokens=oauth.tokens,
        feed=oauth.feed,
        clock=oauth.clock,
        exchanges={"sandbox": exchange, "production": exchange},
        data_dir=folder,
        **options,
    )
