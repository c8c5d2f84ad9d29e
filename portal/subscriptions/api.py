"""JSON routes of Subscriptions; the shortest way to a working sandbox among them."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from portal.apps import queries as apps
from portal.apps.dependencies import TenantsPort
from portal.apps.guards import app_for, place_for
from portal.apps.schemas import PresenceInfo
from portal.companies.models import MemberRole
from portal.products.queries import get_plan
from portal.subscriptions import queries, service
from portal.subscriptions.schemas import NewSubscription, OpenSandbox, SandboxOpened, SubscriptionInfo
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now, Pepper, ShellValues


@post("/apps/{app_id:str}/sandbox", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def open_sandbox(
    app_id: FromPath[str],
    data: JSONBody[OpenSandbox],
    user: CurrentUser,
    session: Db,
    now: Now,
    pepper: Pepper,
    shell: ShellValues,
    tenants: TenantsPort,
) -> SandboxOpened:
    """Subscribe to Products in the sandbox: client id, secret, Tenant and addresses in one answer.

    Asking again with more Products adds them.
    """
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    place, secret = await service.open_sandbox_on(
        session, app, data.products, tenants=tenants, pepper=pepper, by=user.id, now=now
    )
    redirects = list(await apps.redirect_uris(session, place.client_id))
    return SandboxOpened(
        PresenceInfo.of(place, redirects, shell.public_url),
        secret,
        [SubscriptionInfo.of(standing) for standing in await queries.running(session, place.client_id)],
    )


@get("/apps/{app_id:str}/environments/{environment:str}/subscriptions", responses=problems(401, 404))
async def list_subscriptions(
    app_id: FromPath[str], environment: FromPath[str], user: CurrentUser, session: Db
) -> list[SubscriptionInfo]:
    """Running Subscriptions of an App in an Environment, with the limits in force."""
    _, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.VIEWER
    )
    return [SubscriptionInfo.of(standing) for standing in await queries.running(session, place.client_id)]


@post("/apps/{app_id:str}/subscriptions", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def subscribe(
    app_id: FromPath[str],
    data: JSONBody[NewSubscription],
    user: CurrentUser,
    session: Db,
    now: Now,
    tenants: TenantsPort,
) -> SubscriptionInfo:
    """Put the App on a sandbox Plan at once, or move it there. A production Plan follows from an approved review."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    plan = await get_plan(session, data.plan)
    place, row = await service.subscribe_sandbox(session, app, plan, tenants=tenants, by=user.id, now=now)
    found = [each for each in await queries.running(session, place.client_id) if each.subscription.id == row.id]
    return SubscriptionInfo.of(found[0])


@delete("/apps/{app_id:str}/subscriptions/{subscription_id:str}", responses=problems(401, 403, 404))
async def end(app_id: FromPath[str], subscription_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> None:
    """End a Subscription; scopes that no other Product brings go with it."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    row, place = await queries.subscription_of(session, app.id, subscription_id)
    await service.end(session, app, place, row, by=user.id, now=now)


routes: Sequence[Router] = [api(open_sandbox, list_subscriptions, subscribe, end, tag="Subscriptions")]
