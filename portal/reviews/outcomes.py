"""What an approval does, in the transaction of the decision: production client, scopes, Subscriptions, ramp, standing approval."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

import portal.oauth.watch  # noqa: F401 -- it announces every change of an App, Company or Subscription
from portal.apps import queries as apps_queries
from portal.apps import service as apps_service
from portal.apps.models import AccessStatus, App, AppEnvironment, RedirectUri
from portal.kernel.errors import Invalid
from portal.kernel.ids import new_id
from portal.products.models import Plan
from portal.reviews import limits, policy, snapshot
from portal.reviews.models import Decision, ReviewRequest, ReviewScope, ScopeDecision
from portal.reviews.production import Approval
from portal.subscriptions.models import Subscription
from portal.subscriptions.service import override_limits, put_on

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
    app = await session.get_one(App, request.app_id)
    client = await _client(session, app, approved, decision.confirmed_by or decision.proposed_by, now)
    step = await _supersede(session, request.app_id, decision, now)
    rows = await session.execute(
        select(ReviewScope.product_id).where(ReviewScope.request_id == request.id, ReviewScope.scope.in_(approved))
    )
    await _subscribe(session, app, client, decision, {product for (product,) in rows}, step, now)
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


async def _client(session: AsyncSession, app: App, scopes: list[str], by: str, now: datetime) -> AppEnvironment:
    first = await apps_queries.presence(session, app.id, PRODUCTION) is None
    made = await apps_service.grant_production_access(session, app, scopes=scopes, by=by, now=now)
    # An approval that had run out cut the presence; a new one opens it again. Suspensions act on the App and the Company.
    made.status = AccessStatus.ACTIVE
    if first:
        await _copy_redirects(session, app.id, made.client_id)
    return made


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
    app: App,
    client: AppEnvironment,
    decision: Decision,
    products: set[str],
    step: int,
    now: datetime,
) -> None:
    """Put the App on the Plans of what was approved, at the limits of its ramp step, and end its other Subscriptions."""
    by = decision.confirmed_by or decision.proposed_by
    for product in sorted(products):
        plan = await plan_of(session, product, decision.plans)
        if plan is None:
            raise Invalid(f"{product} has no production plan", fa=f"محصول «{product}» طرح عملیاتی ندارد", field="plans")
        row = await put_on(session, app, client, plan, by=by, now=now)
        await set_limits(session, app, client, row, plan, ramp=decision.ramp, step=step, by=by, now=now)
    others = await session.scalars(
        select(Subscription).where(
            Subscription.client_id == client.client_id,
            Subscription.ended_at.is_(None),
            Subscription.product_id.not_in(products),
        )
    )
    for row in others:
        row.ended_at = now
    await session.flush()


async def set_limits(
    session: AsyncSession,
    app: App,
    client: AppEnvironment,
    row: Subscription,
    plan: Plan,
    *,
    ramp: str,
    step: int,
    by: str,
    now: datetime,
) -> None:
    """Write the limits of a ramp step as overrides of the Subscription."""
    rules = policy.current().ramp
    made = limits.at_step(plan, rules, step if ramp == "standard" else len(rules.steps) - 1)
    await override_limits(
        session,
        app,
        client,
        row,
        per_second=made.per_second,
        per_minute=made.per_minute,
        quota=made.quota,
        by=by,
        now=now,
    )
