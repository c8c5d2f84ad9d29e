"""The public status page: every part of the installation and every Product in both Environments, checked when asked.

Browsers get a page, scripts JSON of the same facts. What exactly fails is for the log; a stranger learns which part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.response import Template

from portal.products.queries import all_products
from portal.settings import ENVIRONMENTS
from portal.web.dependencies import Db, Now
from portal.web.navigation import NavItem
from portal.web.pages import page, pages
from portal.web.problems import wants_json

log = structlog.get_logger("gozar.status")
Check = Callable[[], Awaitable[None]]
PATIENCE = 3.0

NAMES = {
    "database": ("پایگاه‌دادهٔ درگاه", "Portal database"),
    "authorization": ("سرور مجوزدهی (OAuth)", "Authorization server (OAuth)"),
    "sandbox": ("تبادل محیط آزمایشی", "Sandbox exchange"),
    "production": ("تبادل محیط عملیاتی", "Production exchange"),
}
navigation: Sequence[NavItem] = [NavItem("footer", "/status", "وضعیت سامانه", "Status", position=25)]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the installation and whether it answers."""

    key: str
    fa: str
    en: str
    works: bool


async def examine(checks: Mapping[str, Check]) -> list[Part]:
    """Run every check at once; one that raises or takes longer than three seconds fails its part."""

    async def one(key: str, check: Check) -> Part:
        fa, en = NAMES.get(key, (key, key))
        try:
            await asyncio.wait_for(check(), PATIENCE)
        except Exception as error:
            log.warning("a part does not answer", part=key, error=str(error) or type(error).__name__)
            return Part(key, fa, en, works=False)
        return Part(key, fa, en, works=True)

    return list(await asyncio.gather(*(one(key, check) for key, check in checks.items())))


def routes(checks: Mapping[str, Check]) -> Sequence[Any]:
    """`/status` over named `checks`; the names of Environments stand for their exchanges."""

    @get("/status")
    async def status_page(request: Request[object, object, State], session: Db, now: Now) -> Template | Response[Any]:
        """Whether each part and each Product works now."""
        parts = await examine(checks)
        works = {part.key: part.works for part in parts}
        products = await all_products(session)
        environments = [name for name in ENVIRONMENTS if name in works]
        if wants_json(request):
            body = {
                "status": "ok" if all(works.values()) else "failing",
                "checked_at": now.isoformat(),
                "parts": {part.key: "ok" if part.works else "failing" for part in parts},
                "products": {
                    product.id: {name: "ok" if works[name] else "failing" for name in environments}
                    for product in products
                },
            }
            return Response(body, status_code=200)
        return page(
            "dashboard/status.html",
            parts=parts,
            products=products,
            environments=environments,
            works=works,
            checked_at=now,
        )

    return pages(status_page)
