"""Pages of the catalogue; public."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from litestar import Router, get
from litestar.params import FromPath
from litestar.response import Template

from portal.products import queries
from portal.products.models import ProductScope
from portal.web.dependencies import Db
from portal.web.navigation import NavItem
from portal.web.pages import page, pages

navigation: Sequence[NavItem] = [NavItem("main", "/products", "محصولات", "Products", position=10)]

ICONS = {
    "health-record": "folder-heart",
    "consent": "shield-check",
    "appointments": "calendar-clock",
    "teleconsultation": "video",
    "prescriptions": "pill",
    "pharmacy": "store",
    "laboratory": "microscope",
    "referral": "route",
    "notifications": "bell",
    "population-data": "database",
}


def icon_of(product_id: str) -> str:
    """Icon of a Product; partner Products have a general one."""
    return ICONS.get(product_id, "package")


def by_meaning(scopes: Sequence[ProductScope]) -> list[tuple[ProductScope, list[str]]]:
    """Scopes that mean the same for different contexts (system, patient, user), together."""
    groups: dict[str, list[ProductScope]] = defaultdict(list)
    for scope in scopes:
        groups[scope.scope.partition("/")[2] or scope.scope].append(scope)
    return [(found[0], [scope.scope for scope in found]) for found in groups.values()]


@get("/products")
async def catalogue(session: Db) -> Template:
    """Every Product."""
    return page("products/catalogue.html", products=await queries.all_products(session), icon_of=icon_of)


@get("/products/{product_id:str}")
async def product_page(product_id: FromPath[str], session: Db) -> Template:
    """One Product: scopes, Plans, how to begin."""
    return page(
        "products/product.html",
        product=await queries.get_product(session, product_id),
        scopes=by_meaning(await queries.scopes_of(session, product_id)),
        plans=await queries.plans_of(session, product_id),
        icon_of=icon_of,
    )


routes: Sequence[Router] = pages(catalogue, product_page)
