"""The reads behind admission: one client's standing and terms, in a few statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment, RedirectUri
from portal.companies.models import Company
from portal.gateway import cors, scopes
from portal.gateway.access import Access, Terms
from portal.gateway.models import CallerRule, ShadowLimit, UpstreamRule
from portal.gateway.protection import Limits
from portal.kernel.database import SessionMaker
from portal.products.models import Plan, Product, ProductScope
from portal.subscriptions.models import Subscription

NEVER = 1_000_000_000
"""Calls in flight that a limit on trial does not count."""


def reader(maker: SessionMaker) -> Callable[[str, str], Awaitable[Access | None]]:
    """`read_access` in a session of its own, for `access.CachedDirectory`."""

    async def read(environment: str, client_id: str) -> Access | None:
        async with maker() as session:
            return await read_access(session, environment=environment, client_id=client_id)

    return read


def origin_reader(maker: SessionMaker) -> Callable[[str], Awaitable[frozenset[str]]]:
    """Origins of the redirect URIs registered in an Environment."""

    async def read(environment: str) -> frozenset[str]:
        async with maker() as session:
            uris = await session.scalars(
                select(RedirectUri.uri)
                .join(AppEnvironment, AppEnvironment.client_id == RedirectUri.client_id)
                .where(AppEnvironment.environment == environment)
            )
            return frozenset(filter(None, map(cors.origin_of, uris)))

    return read


async def read_access(session: AsyncSession, *, environment: str, client_id: str) -> Access | None:
    """Access of `client_id` in `environment`, or None."""
    row = (
        await session.execute(
            select(
                AppEnvironment, App.company_id, App.status, App.status_reason, Company.status.label("company_status")
            )
            .join(App, App.id == AppEnvironment.app_id)
            .join(Company, Company.id == App.company_id)
            .where(AppEnvironment.client_id == client_id, AppEnvironment.environment == environment)
        )
    ).first()
    if row is None:
        return None
    presence: AppEnvironment = row[0]
    cut = frozenset(await session.scalars(select(ProductScope.scope).where(ProductScope.suspended).distinct()))
    rule = await session.get(CallerRule, client_id)
    return Access(
        client_id=client_id,
        environment=environment,
        app_id=presence.app_id,
        company_id=row.company_id,
        tenant=presence.tenant,
        status=presence.status,
        app_status=row.status,
        company_status=row.company_status,
        reason=row.status_reason,
        epoch=presence.epoch,
        recording_until=presence.recording_until,
        scopes=frozenset(presence.scopes),
        masks=scopes.granted(frozenset(presence.scopes)),
        terms=await read_terms(session, environment=environment, client_id=client_id),
        cut=cut,
        networks=tuple(rule.networks) if rule else (),
        certificates=tuple(one.lower().replace(":", "") for one in rule.certificates) if rule else (),
    )


async def read_terms(session: AsyncSession, *, environment: str, client_id: str) -> tuple[Terms, ...]:
    """Terms of the client's running Subscriptions in the order of the catalogue."""
    rows = (
        await session.execute(
            select(Subscription, Plan, Product, ShadowLimit, UpstreamRule)
            .join(Plan, Plan.id == Subscription.plan_id)
            .join(Product, Product.id == Subscription.product_id)
            .outerjoin(ShadowLimit, ShadowLimit.plan_id == Plan.id)
            .outerjoin(UpstreamRule, UpstreamRule.product_id == Product.id)
            .where(
                Subscription.client_id == client_id,
                Subscription.ended_at.is_(None),
                Plan.environment == environment,
            )
            .order_by(Product.position, Product.id, Subscription.created_at.desc(), Subscription.id)
        )
    ).all()
    brought = defaultdict(set)
    if rows:
        products = {row[0].product_id for row in rows}
        for product_id, scope in await session.execute(
            select(ProductScope.product_id, ProductScope.scope).where(ProductScope.product_id.in_(products))
        ):
            brought[product_id].add(scope)
    return tuple(_terms(*row, brought=frozenset(brought[row[0].product_id])) for row in rows)


def _terms(
    subscription: Subscription,
    plan: Plan,
    product: Product,
    shadow: ShadowLimit | None,
    rule: UpstreamRule | None,
    *,
    brought: frozenset[str],
) -> Terms:
    def chosen(override: int | None, planned: int) -> int:
        return max(0, planned if override is None else override)

    return Terms(
        subscription_id=subscription.id,
        plan_id=plan.id,
        product_id=subscription.product_id,
        masks=scopes.granted(brought),
        product_scopes=brought,
        upstream=product.upstream,
        suspended=product.suspended,
        shadow=Limits(shadow.per_second, shadow.per_minute, NEVER) if shadow else None,
        patience=(rule.answer_seconds, rule.pause_seconds) if rule else (30, 30),
        per_second=chosen(subscription.per_second, plan.per_second),
        per_minute=chosen(subscription.per_minute, plan.per_minute),
        quota=chosen(subscription.quota, plan.quota),
        quota_period=plan.quota_period,
        key=f"{plan.environment}:{subscription.id}",
    )
