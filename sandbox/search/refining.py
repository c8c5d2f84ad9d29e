"""Which criterion drives, where the shape alone cannot tell: a short look at how many rows each really has.

Only searches without a selective criterion are looked at; one look stops after a few hundred index entries.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sandbox.kernel.database import Database
from sandbox.kernel.errors import TooCostlyError
from sandbox.search.criteria import BROAD, OWNED, UNIQUE, Arm, Chain, Has, Match, Query, Shape
from sandbox.search.drivers import ordered, rank
from sandbox.search.sql import rows_sql
from sandbox.tenants.service import Tenant

FEW = 400
_LOOKED_AT = frozenset({"idx_token", "idx_string", "idx_date", "idx_quantity", "idx_uri", "idx_composite"})


async def refine(database: Database, tenant: Tenant, query: Query, args: Sequence[Any]) -> Query:
    """The same question with ranks that fit the data."""
    arms, at = [], 0
    for arm in query.arms:
        best = min((rank(shape) for shape in arm.where), default=BROAD)
        if arm.where and best > OWNED:
            where = await _refined(database, tenant, arm.where, args[at : at + arm.width], sorting=bool(query.sort))
            arms.append(Arm(arm.rtype, where))
        else:
            arms.append(arm)
        at += arm.width
    return replace(query, arms=tuple(arms))


async def _refined(
    database: Database, tenant: Tenant, shapes: Sequence[Shape], args: Sequence[Any], *, sorting: bool
) -> tuple[Shape, ...]:
    found: list[Shape] = []
    at = 0
    for shape in shapes:
        own = args[at : at + shape.width]
        at += shape.width
        match shape:
            case Match(negated=False) if shape.table in _LOOKED_AT:
                found.append(await _looked_at(database, tenant, shape, own, sorting=sorting))
            case Chain() | Has():
                inner = await _refined(database, tenant, shape.inner, own, sorting=sorting)
                found.append(replace(shape, inner=inner))
            case _:
                found.append(shape)
    return tuple(found)


async def _looked_at(database: Database, tenant: Tenant, shape: Match, args: Sequence[Any], *, sorting: bool) -> Match:
    sql = rows_sql(shape, FEW, database.dialect)
    try:
        rows = await database.rows(sql, [tenant.layer, tenant.base_layer, *args], hurry=True)
        few = rows[0][0] < FEW
    except TooCostlyError:
        few = False
    if few:
        return replace(shape, rank=UNIQUE)
    # Many rows: walking the type and probing beats gathering and sorting them, unless all are wanted for a sort anyway.
    return shape if sorting or ordered(shape) else replace(shape, rank=BROAD)
