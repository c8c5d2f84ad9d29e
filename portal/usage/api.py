"""JSON routes of an App's consumption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from litestar import Router, get
from litestar.params import FromPath, QueryParameter

from portal.apps.guards import app_for, place_for
from portal.apps.queries import environments_of
from portal.companies.models import MemberRole
from portal.subscriptions.queries import running
from portal.usage import meters, queries
from portal.usage.schemas import (
    DayInfo,
    DaySums,
    EnvironmentUsage,
    HourSums,
    ProductInfo,
    QuotaInfo,
    QuotaMeter,
    SumsInfo,
    UsageInfo,
)
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now


@get("/apps/{app_id:str}/usage", responses=problems(401, 404))
async def read_usage(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> UsageInfo:
    """Quotas in the running window, and calls of the last fourteen days by day and by Product."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id)
    quotas = []
    for place in await environments_of(session, app.id):
        for standing in await running(session, place.client_id):
            share = await queries.quota_share(session, standing, now=now)
            quotas.append(
                QuotaInfo(
                    place.environment,
                    standing.subscription.id,
                    standing.product.id,
                    share.spent,
                    share.limit,
                    share.window.name,
                    share.window.end,
                )
            )
    return UsageInfo(
        quotas,
        [DayInfo(day.day, day.admitted, day.refused) for day in await queries.days_of_app(session, app.id, now=now)],
        [
            ProductInfo(row.environment, row.product_id, row.admitted, row.refused, row.limited, row.failed)
            for row in await queries.products_of_app(session, app.id, now=now)
        ],
    )


Days = Annotated[int, QueryParameter(ge=1, le=90, description="days to sum, today included")]
Hours = Annotated[int, QueryParameter(ge=1, le=168, description="hours to sum, the running one included")]


@get("/apps/{app_id:str}/environments/{environment:str}/usage", responses=problems(401, 404))
async def read_environment(
    app_id: FromPath[str],
    environment: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    days: Days = 30,
    hours: Hours = 24,
) -> EnvironmentUsage:
    """Quotas, calls by day and calls by hour of an App in one Environment."""
    _, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.VIEWER
    )
    client = place.client_id
    return EnvironmentUsage(
        client,
        place.environment,
        [QuotaMeter.of(use) for use in await meters.quotas(session, client, now)],
        [DaySums(day, SumsInfo.of(sums)) for day, sums in await meters.by_day(session, client, days=days, now=now)],
        [HourSums(at, SumsInfo.of(sums)) for at, sums in await meters.by_hour(session, client, hours=hours, now=now)],
    )


routes: Sequence[Router] = [api(read_usage, read_environment, tag="Usage")]
