"""JSON routes of the catalogue; public."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Router, get
from litestar.params import FromPath

from portal.products import queries
from portal.products.schemas import PlanInfo, ProductInfo, ProductSummary, ScopeInfo
from portal.web.api import api, problems
from portal.web.dependencies import Db


@get("/products")
async def list_products(session: Db) -> list[ProductSummary]:
    """Every Product, in catalogue order. Needs no sign-in."""
    return [ProductSummary.of(row) for row in await queries.all_products(session)]


@get("/products/{product_id:str}", responses=problems(404))
async def read_product(product_id: FromPath[str], session: Db) -> ProductInfo:
    """One Product with its scopes and Plans. Needs no sign-in."""
    product = await queries.get_product(session, product_id)
    return ProductInfo(
        ProductSummary.of(product),
        [ScopeInfo.of(row) for row in await queries.scopes_of(session, product_id)],
        [PlanInfo.of(row) for row in await queries.plans_of(session, product_id)],
    )


routes: Sequence[Router] = [api(list_products, read_product, tag="Products", public=True)]
