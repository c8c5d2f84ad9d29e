"""Put an App on a Plan, move it to another, end it. The scopes a Product brings follow the Subscription in the sandbox.

DomainError
├── Invalid     WrongEnvironment · NothingChosen
└── Conflict    ReviewFirst
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries as apps
from portal.apps import service as app_service
from portal.apps.models import App, AppEnvironment
from portal.apps.tenants import Tenants
from portal.audit import service as audit
from portal.kernel.errors import Conflict, Invalid, NotFound
from portal.kernel.ids import new_id
from portal.products.models import Plan, ProductScope
from portal.products.queries import get_product, plans_of, scopes_of
from portal.subscriptions import queries
from portal.subscriptions.models import Subscription


class WrongEnvironment(Invalid):
    code = "wrong-environment"
    title = "This plan belongs to another environment"
    title_fa = "این طرح از آنِ محیط دیگری است"


class NothingChosen(Invalid):
    code = "nothing-chosen"
    title = "Choose at least one product"
    title_fa = "دست‌کم یک محصول برگزینید"


class ReviewFirst(Conflict):
    code = "review-first"
    title = "A production plan follows from an approved review"
    title_fa = "طرح عملیاتی پس از تأیید درخواست بررسی داده می‌شود"


async def subscribe_sandbox(
    session: AsyncSession, app: App, plan: Plan, *, tenants: Tenants, by: str, now: datetime
) -> tuple[AppEnvironment, Subscription]:
    """Put an App on a sandbox Plan at once, opening its place in the sandbox when this is its first.

    On another Plan of the same Product already, it moves to this one. Raises ReviewFirst for a production Plan.
    """
    if plan.environment != "sandbox":
        raise ReviewFirst
    scopes = [row.scope for row in await scopes_of(session, plan.product_id)]
    place = await apps.presence(session, app.id, "sandbox")
    if place is None:
        place = await app_service.open_sandbox(session, app, scopes=scopes, tenants=tenants, by=by, now=now)
    else:
        wanted = sorted({*place.scopes, *scopes})
        await app_service.set_scopes(session, app, place, scopes=wanted, by=by, now=now)
    return place, await put_on(session, app, place, plan, by=by, now=now)


async def open_sandbox_on(
    session: AsyncSession,
    app: App,
    products: Sequence[str],
    *,
    tenants: Tenants,
    pepper: bytes,
    by: str,
    now: datetime,
) -> tuple[AppEnvironment, str]:
    """Subscribe an App to Products, each on its first sandbox Plan, and give it a secret unless it has a Credential or is public.

    Returns its place in the sandbox and the secret, shown this once, or an empty text. Raises NothingChosen, NotFound.
    """
    if not products:
        raise NothingChosen(field="products")
    place: AppEnvironment | None = None
    for product_id in dict.fromkeys(products):
        await get_product(session, product_id)
        plans = await plans_of(session, product_id, "sandbox")
        if not plans:
            raise WrongEnvironment(f"{product_id} has no sandbox plan", field="products")
        place, _ = await subscribe_sandbox(session, app, plans[0], tenants=tenants, by=by, now=now)
    assert place is not None  # noqa: S101 -- there was at least one Product
    if app.public or await apps.active_credentials(session, place.client_id, now):
        return place, ""
    _, plain = await app_service.add_secret(session, app, place, pepper=pepper, by=by, now=now)
    return place, plain


async def put_on(
    session: AsyncSession, app: App, place: AppEnvironment, plan: Plan, *, by: str, now: datetime
) -> Subscription:
    """Start or move the Subscription of `place` to `plan`. Raises WrongEnvironment."""
    if plan.environment != place.environment:
        raise WrongEnvironment(field="plan")
    row = await queries.on_product(session, place.client_id, plan.product_id)
    if row is not None and row.plan_id == plan.id:
        return row
    details = {
        "client_id": place.client_id,
        "product": plan.product_id,
        "plan": plan.id,
        "before": row.plan_id if row else "",
    }
    if row is None:
        row = Subscription(
            id=new_id("sub"), client_id=place.client_id, product_id=plan.product_id, plan_id=plan.id, created_at=now
        )
        session.add(row)
    else:
        row.plan_id, row.per_second, row.per_minute, row.quota = plan.id, None, None, None
    place.epoch += 1
    await session.flush()
    await _note(session, app, now, by, "subscription.started", row, details)
    return row


async def override_limits(
    session: AsyncSession,
    app: App,
    place: AppEnvironment,
    row: Subscription,
    *,
    per_second: int | None,
    per_minute: int | None,
    quota: int | None,
    by: str,
    now: datetime,
) -> None:
    """Replace a Plan's limits for one Subscription; None keeps the Plan's own."""
    for name, value in (("per_second", per_second), ("per_minute", per_minute), ("quota", quota)):
        if value is not None and value < 0:
            raise Invalid(f"{name} may not be negative", fa="سقف نباید منفی باشد", field=name)
    row.per_second, row.per_minute, row.quota = per_second, per_minute, quota
    place.epoch += 1
    details = {"per_second": per_second, "per_minute": per_minute, "quota": quota}
    await _note(session, app, now, by, "subscription.limits-set", row, details)


async def end(
    session: AsyncSession, app: App, place: AppEnvironment, row: Subscription, *, by: str, now: datetime
) -> None:
    """End a Subscription; scopes that no other running Product brings are taken from the presence."""
    if row.client_id != place.client_id:
        raise NotFound
    if row.ended_at is not None:
        return
    row.ended_at = now
    await session.flush()
    products = [standing.product.id for standing in await queries.running(session, place.client_id)]
    kept = set(await session.scalars(select(ProductScope.scope).where(ProductScope.product_id.in_(products))))
    await app_service.set_scopes(session, app, place, scopes=[s for s in place.scopes if s in kept], by=by, now=now)
    place.epoch += 1
    await _note(
        session, app, now, by, "subscription.ended", row, {"client_id": place.client_id, "product": row.product_id}
    )


async def _note(
    session: AsyncSession,
    app: App,
    now: datetime,
    by: str,
    action: str,
    row: Subscription,
    details: Mapping[str, object],
) -> None:
    await audit.record(
        session,
        now=now,
        actor=by,
        action=action,
        subject=app.id,
        company_id=app.company_id,
        details={"subscription": row.id, **details},
    )
