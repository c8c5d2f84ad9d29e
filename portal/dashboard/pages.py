"""The front page for everybody, and the home of those signed in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from litestar import Router, get
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries as apps
from portal.apps.models import App
from portal.companies.models import Company, MemberRole, Membership
from portal.companies.queries import companies_of
from portal.dashboard.tasks import app_tasks, company_task
from portal.products.pages import icon_of
from portal.products.queries import all_products
from portal.usage.pages import day_chart
from portal.usage.queries import days_of_user
from portal.users.dependencies import CurrentUser, Visitor
from portal.users.guards import signed_in
from portal.users.models import Role
from portal.web.dependencies import Db, Now, ShellValues
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.shell import Shell
from portal.web.tasks import Task

navigation: Sequence[NavItem] = [
    NavItem(
        "main", "/dashboard", "داشبورد", "Dashboard", position=5, roles=frozenset({"developer", "reviewer", "admin"})
    ),
    NavItem("main", "{docs}", "مستندات", "Documentation", position=20, external=True),
    NavItem("footer", "{docs}", "مستندات", "Documentation", position=10, external=True),
    NavItem("footer", "/products", "محصولات", "Products", position=20),
    NavItem("footer", "/api/v1/openapi.json", "OpenAPI", "OpenAPI", position=30, external=True),
]


@get("/")
async def front_page(session: Db, current_user: Visitor, shell: ShellValues) -> Template:
    """What Gozar is, and how to begin."""
    return page(
        "dashboard/front.html",
        products=await all_products(session),
        icon_of=icon_of,
        public_url=shell.public_url,
        user=current_user,
    )


async def tasks_of(session: AsyncSession, company: Company, app: App, shell: Shell, now: datetime) -> list[Task]:
    """Everything on the way to production for one App, in order."""
    found = [company_task(company)]
    for source in (app_tasks, *shell.task_sources):
        found.extend(await source(session, app_id=app.id, company_id=company.id, now=now))
    return sorted(found, key=lambda task: task.position)


@get("/dashboard", guards=[signed_in])
async def home(user: CurrentUser, session: Db, now: Now, shell: ShellValues) -> Template | Redirect:
    """Companies, their Apps, what to do next, calls of the last days."""
    companies = await companies_of(session, user.id)
    if not companies and user.role != Role.DEVELOPER:
        return see("/verification")
    found: list[dict[str, Any]] = []
    for company, membership in companies:
        own = await apps.apps_of(session, user.id, company.id)
        found.append({"company": company, "membership": membership, "apps": own, "may_create": can_create(membership)})
    newest = max(
        ((each["company"], app) for each in found for app in each["apps"]),
        key=lambda pair: (pair[1].created_at, pair[1].id),
        default=None,
    )
    return page(
        "dashboard/home.html",
        user=user,
        found=found,
        newest=newest[1] if newest else None,
        tasks=await tasks_of(session, newest[0], newest[1], shell, now) if newest else [],
        chart=day_chart(await days_of_user(session, user.id, now=now)),
    )


def can_create(membership: Membership) -> bool:
    """Whether this member may register Apps."""
    return membership.role in (MemberRole.OWNER, MemberRole.DEVELOPER)


routes: Sequence[Router] = pages(front_page, home)
