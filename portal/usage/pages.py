"""The page of an App's consumption: Quota meters, calls by day, calls by Product."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time

from litestar import Router, get
from litestar.params import FromPath
from litestar.response import Template

from portal.apps.pages import app_context
from portal.products.queries import all_products
from portal.subscriptions.queries import running
from portal.usage import queries
from portal.users.dependencies import CurrentUser
from portal.users.guards import signed_in
from portal.web.charts import Chart, bar_chart
from portal.web.dependencies import Db, Now
from portal.web.i18n import TEHRAN, date_text, lang
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


@get("/apps/{app_id:str}/usage")
async def usage_page(app_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Template:
    """What the App has used, in each Environment."""
    context = await app_context(session, user_id=user.id, app_id=app_id)
    shares = {
        name: [
            (standing, await queries.quota_share(session, standing, now=now))
            for standing in await running(session, place.client_id)
        ]
        for name, place in context["places"].items()
    }
    return page(
        "usage/usage.html",
        shares=shares,
        chart=day_chart(await queries.days_of_app(session, app_id, now=now)),
        sums=await queries.products_of_app(session, app_id, now=now),
        products={product.id: product for product in await all_products(session)},
        **context,
    )


routes: Sequence[Router] = pages(usage_page, guards=[signed_in])
