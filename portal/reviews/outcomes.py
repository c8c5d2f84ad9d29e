"""What an approval does, in the transaction of the decision: production client, scopes, Subscriptions, ramp, standing approval."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

import portal.oauth.watch  # noqa: F401 -- it announces every change of an App, Company or Subscription
from portal.apps.models import App, AppEnvironment, RedirectUri
from portal.kernel.errors import Invalid
from portal.kernel.ids import new_id
from portal.products.models import Plan
from portal.reviews import limits, policy, snapshot
from portal.reviews.models import Decision, RequestKind, ReviewRequest, ScopeDecision
from portal.reviews.production import Approval
from portal.subscriptions.models import Subscription

PRODUCTION = "production"


async def plan_of(session: AsyncSession, product_id: str, chosen: dict[str, str]) -> Plan | None:
    """The production Plan for a Product: the chosen one, or its first."""
    wanted = chosen.get(product_id)
    query = select(Plan).where(Plan.product_id == product_id, Plan.environment == PRODUCTION)
    if wanted:
        query = query.where(Plan.id == wanted)
    return (await session.scalars(query.order_by(Plan.position, Plan.id).limit(1))).first()


async def check_plans(session: AsyncSession, products: set[str], chosen: dict[str, str]) -> None:
    """Raise `Invalid` when a Product has no such production Plan."""
    for product in sorted({*products, *chosen}):
        if product not in products:
            raise Invalid(
                f"No approved scope belongs to {product}",
                fa=f"هیچ دامنهٔ تأییدشده‌ای از محصول «{product}» نیست",
                field=f"plans.{product}",
            )
        if await plan_of(session, product, chosen) is None:
            raise Invalid(
                f"{product} has no such production plan",
                fa=f"محصول «{product}» چنین طرحی برای محیط عملیاتی ندارد",
                field=f"plans.{product}",
            )


async def grant(session: AsyncSession, request: ReviewRequest, decision: Decision, *, now: datetime) -> Approval:
    """Carry out an effective approval. Nothing here commits: it stands or falls with the Decision."""
    approved = sorted(scope for scope, row in decision.scopes.items() if row["decision"] == ScopeDecision.APPROVED)
    client = await _client(session, request, approved, now)
    step = await _supersede(session, request.app_id, decision, now)
    await _subscribe(session, client, request, decision, step, now)
    app = await session.get_one(App, request.app_id)
    await session.flush()
    approval = Approval(
        id=new_id("apv"),
        app_id=request.app_id,
        company_id=request.company_id,
        client_id=client.client_id,
        request_id=request.id,
        decision_id=decision.id,
        scopes=approved,
        conditions=list(decision.conditions),
        snapshot={**request.snapshot, **await snapshot.of_app(session, app)},
        findings={},
        approved_at=now,
        expires_at=decision.expires_at or now + timedelta(days=policy.current().approval_days),
        ramp=decision.ramp,
        ramp_step=step,
        ramp_at=now,
        next_check_at=now + timedelta(days=policy.current().reverify_every_days),
    )
    session.add(approval)
    await session.flush()
    return approval


async def _client(session: AsyncSession, request: ReviewRequest, scopes: list[str], now: datetime) -> AppEnvironment:
    found = (
        await session.scalars(
            select(AppEnvironment).where(
                AppEnvironment.app_id == request.app_id, AppEnvironment.environment == PRODUCTION
            )
        )
    ).first()
    if found is None:
        found = AppEnvironment(
            client_id=new_id("app"), app_id=request.app_id, environment=PRODUCTION, scopes=scopes, created_at=now
        )
        session.add(found)
        await session.flush()
        await _copy_redirects(session, request.app_id, found.client_id)
    else:
        found.scopes = scopes
        found.epoch += 1
    await session.flush()
    return found


async def _copy_redirects(session: AsyncSession, app_id: str, client_id: str) -> None:
    """The https redirect URIs that were reviewed become production's own; loopback ones stay in the sandbox."""
    uris = await session.scalars(
        select(RedirectUri.uri)
        .join(AppEnvironment, AppEnvironment.client_id == RedirectUri.client_id)
        .where(AppEnvironment.app_id == app_id, AppEnvironment.environment == "sandbox")
    )
    for uri in sorted(set(uris)):
        if uri.startswith("https://"):
            session.add(RedirectUri(client_id=client_id, uri=uri))


async def _supersede(session: AsyncSession, app_id: str, decision: Decision, now: datetime) -> int:
    """End the App's earlier approval; a change of a running App keeps its ramp step."""
    last = len(policy.current().ramp.steps) - 1
    step = last if decision.ramp == "none" else 0
    for old in await session.scalars(select(Approval).where(Approval.app_id == app_id, Approval.revoked_at.is_(None))):
        old.revoked_at, old.revoke_reason = now, "superseded"
        step = max(step, old.ramp_step)
    return step


async def _subscribe(
    session: AsyncSession,
    client: AppEnvironment,
    request: ReviewRequest,
    decision: Decision,
    step: int,
    now: datetime,
) -> None:
    from portal.reviews.service import scopes_of

    products = {
        row.product_id
        for row in await scopes_of(session, request)
        if decision.scopes[row.scope]["decision"] == ScopeDecision.APPROVED
    }
    live = {
        row.product_id: row
        for row in await session.scalars(
            select(Subscription).where(Subscription.client_id == client.client_id, Subscription.ended_at.is_(None))
        )
    }
    for product in sorted(products):
        plan = await plan_of(session, product, decision.plans)
        if plan is None:
            raise Invalid(f"{product} has no production plan", fa=f"محصول «{product}» طرح عملیاتی ندارد", field="plans")
        row = live.pop(product, None)
        if row is None:
            row = Subscription(
                id=new_id("sub"), client_id=client.client_id, product_id=product, plan_id=plan.id, created_at=now
            )
            session.add(row)
        row.plan_id = plan.id
        set_limits(row, plan, decision.ramp, step)
    if request.kind != RequestKind.PRODUCTION:
        for row in live.values():
            row.ended_at = now
    await session.flush()


def set_limits(row: Subscription, plan: Plan, ramp: str, step: int) -> None:
    """Write the limits of a ramp step as overrides of the Subscription."""
    made = limits.at_step(plan, policy.current().ramp, step if ramp == "standard" else 99)
    row.per_second, row.per_minute, row.quota = made.per_second, made.per_minute, made.quota
