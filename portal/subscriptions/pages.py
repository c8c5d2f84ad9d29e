"""The page of an App's Products: choosing them, limits in force, changing Plan, ending."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.dependencies import TenantsPort
from portal.apps.guards import app_for
from portal.apps.pages import app_context, secret_notice
from portal.companies.models import MemberRole
from portal.kernel.errors import NotFound
from portal.products.pages import icon_of
from portal.products.queries import all_products, get_plan, plans_of
from portal.subscriptions import queries, service
from portal.subscriptions.schemas import limits_of
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.web.dependencies import Db, Now, Pepper
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}/products", "محصول‌ها و طرح‌ها", "Products and plans", position=20, icon="package"),
]


async def _products(session: AsyncSession, *, user_id: str, app_id: str, form: Form, status: int = 200) -> Template:
    context = await app_context(session, user_id=user_id, app_id=app_id)
    standings = {name: await queries.running(session, place.client_id) for name, place in context["places"].items()}
    taken = {standing.product.id for standing in standings.get("sandbox", [])}
    return page(
        "subscriptions/products.html",
        status=status,
        form=form,
        standings=standings,
        limits_of=limits_of,
        others=[product for product in await all_products(session) if product.id not in taken],
        plans={product_id: await plans_of(session, product_id, "sandbox") for product_id in taken},
        icon_of=icon_of,
        **context,
    )


@get("/apps/{app_id:str}/products")
async def products_page(app_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """Products of an App in each Environment, and those it may add."""
    return await _products(session, user_id=user.id, app_id=app_id, form=Form())


@post("/apps/{app_id:str}/products")
async def choose(
    app_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    pepper: Pepper,
    tenants: TenantsPort,
    tell: TellNext,
) -> Template | Redirect:
    """Subscribe to the ticked Products in the sandbox; the first time this opens it."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    form, user_id = await read_form(request), user.id
    try:
        place, secret = await service.open_sandbox_on(
            session, app, form.all("products"), tenants=tenants, pepper=pepper, by=user.id, now=now
        )
    except (*REFUSALS, NotFound) as error:
        await session.rollback()
        return await _products(session, user_id=user_id, app_id=app_id, form=form.refused(error), status=422)
    if secret:
        tell(secret_notice(place, secret))
        return see(f"/apps/{app_id}")
    tell(Notice("success", "محصول‌ها افزوده شد.", "The products are added."))
    return see(f"/apps/{app_id}/products")


@post("/apps/{app_id:str}/subscriptions/{subscription_id:str}/plan")
async def change_plan(
    app_id: FromPath[str],
    subscription_id: FromPath[str],
    request: AnyRequest,
    user: CurrentUser,
    session: Db,
    now: Now,
    tell: TellNext,
) -> Redirect:
    """Move a sandbox Subscription to another Plan of its Product."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    row, place = await queries.subscription_of(session, app.id, subscription_id)
    form = await read_form(request)
    try:
        if place.environment != "sandbox":
            raise service.ReviewFirst
        plan = await get_plan(session, form["plan"])
        if plan.product_id != row.product_id:
            raise NotFound
        await service.put_on(session, app, place, plan, by=user.id, now=now)
        tell(Notice("success", "طرح تغییر کرد.", "The plan is changed."))
    except REFUSALS as error:
        tell(Notice("error", error.message_fa, error.message))
    return see(f"/apps/{app_id}/products")


@post("/apps/{app_id:str}/subscriptions/{subscription_id:str}/end")
async def end(
    app_id: FromPath[str], subscription_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext
) -> Redirect:
    """End a Subscription."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    row, place = await queries.subscription_of(session, app.id, subscription_id)
    await service.end(session, app, place, row, by=user.id, now=now)
    tell(Notice("success", "اشتراک پایان یافت.", "The subscription has ended."))
    return see(f"/apps/{app_id}/products")


routes: Sequence[Router] = pages(products_page, choose, change_plan, end, guards=[signed_in])
