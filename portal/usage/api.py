"""JSON route of an App's consumption."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router, get
from litestar.params import FromPath

from portal.apps.guards import app_for
from portal.apps.queries import environments_of
from portal.subscriptions.queries import running
from portal.usage import queries
from portal.usage.schemas import DayInfo, ProductInfo, QuotaInfo, UsageInfo
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


routes: Sequence[Router] = [api(read_usage, tag="Usage")]
