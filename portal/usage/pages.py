"""The page of an App's consumption: Quota meters, calls by day, calls by Product."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time
from typing import Any

from litestar import Router, get
from litestar.params import FromPath
from litestar.response import Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.guards import place_for
from portal.apps.models import AppEnvironment
from portal.apps.pages import app_context
from portal.companies.models import MemberRole
from portal.products.queries import all_products
from portal.usage import meters, queries
from portal.users.dependencies import CurrentUser
from portal.users.guards import signed_in
from portal.web.charts import Chart, bar_chart
from portal.web.dependencies import Db, Now
from portal.web.i18n import TEHRAN, date_text, digits, lang
from portal.web.navigation import NavItem
from portal.web.pages import page, pages

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}/usage", "مصرف", "Usage", position=35, icon="chart-column"),
]


def day_chart(days: Sequence[queries.Day]) -> Chart | None:
    """Bars of admitted calls, or None when nothing was called."""
    if not days:
        return None
    points = [(date_text(datetime.combine(each.day, time(12), TEHRAN)), each.admitted) for each in days]
    return bar_chart(points, rtl=lang() == "fa")


async def side_of(session: AsyncSession, place: AppEnvironment, now: datetime) -> dict[str, Any]:
    """What the live part shows of one Environment: Quotas, sums and bars of the last 24 hours."""
    hours = await meters.by_hour(session, place.client_id, hours=24, now=now)
    last = meters.Sums()
    for _, sums in hours:
        last.add(sums)
    points = [(digits(f"{at.astimezone(TEHRAN):%H:%M}"), sums.calls) for at, sums in hours]
    return {
        "quotas": await meters.quotas(session, place.client_id, now),
        "last": last,
        "hours": bar_chart(points, rtl=lang() == "fa", height=140),
    }


@get("/apps/{app_id:str}/usage")
async def usage_page(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """What the App has used, in each Environment."""
    context = await app_context(session, user_id=user.id, app_id=app_id)
    return page(
        "usage/usage.html",
        sides={name: await side_of(session, place, now) for name, place in context["places"].items()},
        chart=day_chart(await queries.days_of_app(session, app_id, now=now)),
        sums=await queries.products_of_app(session, app_id, now=now),
        products={product.id: product for product in await all_products(session)},
        **context,
    )


@get("/apps/{app_id:str}/usage/{environment:str}/meters")
async def live_part(
    app_id: FromPath[str], environment: FromPath[str], user: CurrentUser, session: Db, now: Now
) -> Template:
    """The part of the page that keeps itself up to date."""
    app, place = await place_for(
        session, user_id=user.id, app_id=app_id, environment=environment, at_least=MemberRole.VIEWER
    )
    return page("usage/meters.html", app=app, name=environment, side=await side_of(session, place, now))


routes: Sequence[Router] = pages(usage_page, live_part, guards=[signed_in])
