"""`_include` and `_revinclude`: one query per hop over the references of the page, the caller's limits inside.

A resource that the caller could not find by a search of its own is not found here either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.fhir import definitions
from sandbox.kernel.database import Database, Dialect
from sandbox.search.compile import Compiler
from sandbox.search.criteria import Criterion
from sandbox.search.probes import BASE, OWN
from sandbox.search.request import Include, SearchRequest
from sandbox.search.sql import conditions_sql
from sandbox.tenants.service import Tenant

MAX_INCLUDED = 1000
MAX_HOPS = 6
Found = tuple[int, int, str, bytes]  # vid, rtype, fid, body


@dataclass(slots=True)
class Included:
    """What the includes brought, and whether the bound cut them short."""

    rows: list[Found]
    cut: bool


def one_of(dialect: Dialect, column: str, mark: str, kind: str = "bigint") -> str:
    """`column` is among the values of a list bound to `mark`: see `bound`."""
    if dialect == "sqlite":
        return f"{column} IN (SELECT value FROM json_each({mark}))"
    return f"{column} = ANY({mark}::{kind}[])"


def bound(dialect: Dialect, values: Iterable[Any]) -> Any:
    import orjson

    return orjson.dumps(list(values)).decode() if dialect == "sqlite" else list(values)


async def collect(
    database: Database, tenant: Tenant, compiler: Compiler, request: SearchRequest, page: list[Found]
) -> Included:
    """Everything the page's includes reach, each resource once and none that is on the page."""
    seen = {row[0] for row in page}
    found: list[Found] = []
    frontier = page
    for hop in range(MAX_HOPS):
        fresh: list[Found] = []
        for include in request.includes:
            if hop == 0 or include.iterate:
                fresh += await _forward(database, tenant, compiler, include, frontier)
        for include in request.revincludes:
            if hop == 0 or include.iterate:
                fresh += await _backward(database, tenant, compiler, include, frontier)
        frontier = []
        for row in fresh:
            if row[0] not in seen:
                seen.add(row[0])
                frontier.append(row)
        found += frontier
        if len(found) > MAX_INCLUDED:
            return Included(found[:MAX_INCLUDED], cut=True)
        if not frontier:
            break
    return Included(found, cut=False)


async def _forward(
    database: Database, tenant: Tenant, compiler: Compiler, include: Include, rows: list[Found]
) -> list[Found]:
    types = compiler.dictionary.types
    sources = [row[0] for row in rows if include.source in ("*", compiler.dictionary.type_names[row[1]])]
    if not sources:
        return []
    narrowed = "" if include.code == "*" else " AND r.param=?4"
    args: list[Any] = [tenant.layer, tenant.base_layer, bound(database.dialect, sources)]
    if narrowed:
        args.append(compiler.dictionary.params[f"{include.source}.{include.code}"])
    targets = await database.rows(
        f"SELECT DISTINCT r.target_type, r.target FROM idx_reference r WHERE r.layer IN (?1, ?2) "
        f"AND {one_of(database.dialect, 'r.vid', '?3')}{narrowed} AND r.target_type>0",
        args,
    )
    wanted: dict[int, list[str]] = {}
    for kind, fid in targets:
        if not include.target or kind == types[include.target]:
            wanted.setdefault(kind, []).append(fid)
    found: list[Found] = []
    for kind, fids in sorted(wanted.items()):
        found += await by_ids(database, tenant, compiler, compiler.dictionary.type_names[kind], fids)
    return found


def limited(compiler: Compiler, rtype: str) -> list[Criterion]:
    return compiler.conjunction(rtype, [])


async def by_ids(database: Database, tenant: Tenant, compiler: Compiler, rtype: str, fids: list[str]) -> list[Found]:
    """Live resources of one type by logical id, as far as the caller may see them."""
    limits = limited(compiler, rtype)
    shapes = tuple(c.shape for c in limits)
    kind, dialect = compiler.dictionary.types[rtype], database.dialect
    arms = []
    for layer in (OWN, BASE):
        conditions = conditions_sql(shapes, layer, "d.vid", 5, kind, dialect)
        arms.append(
            f"SELECT d.vid, d.rtype, d.fid, d.body FROM version d WHERE d.layer={layer} AND d.rtype={kind} AND d.live=1 "
            f"AND {one_of(dialect, 'd.fid', '?3', 'text')} AND {conditions}"
        )
    sql = f"SELECT * FROM ({' UNION ALL '.join(arms)}) u LIMIT ?4"
    args = [tenant.layer, tenant.base_layer, bound(dialect, fids), MAX_INCLUDED + 1]
    return [tuple(row) for row in await database.rows(sql, args + [a for c in limits for a in c.args])]


async def _backward(
    database: Database, tenant: Tenant, compiler: Compiler, include: Include, rows: list[Found]
) -> list[Found]:
    """Resources of `include.source` that refer to the rows."""
    dialect, dictionary = database.dialect, compiler.dictionary
    if include.code == "*":
        return await _all_backward(database, tenant, compiler, include, rows)
    limits = limited(compiler, include.source)
    shapes = tuple(c.shape for c in limits)
    kind = dictionary.types[include.source]
    found: list[Found] = []
    by_type: dict[int, list[str]] = {}
    for row in rows:
        by_type.setdefault(row[1], []).append(row[2])
    for own, fids in by_type.items():
        if include.target and own != dictionary.types[include.target]:
            continue
        arms = []
        for layer in (OWN, BASE):
            conditions = conditions_sql(shapes, layer, "r.vid", 6, kind, dialect)
            arms.append(
                f"SELECT DISTINCT r.vid FROM idx_reference r WHERE r.layer={layer} AND r.param=?5 "
                f"AND {one_of(dialect, 'r.target', '?3', 'text')} AND r.target_type={own} AND {conditions}"
            )
        sql = (
            f"SELECT v.vid, v.rtype, v.fid, v.body FROM (SELECT * FROM ({' UNION ALL '.join(arms)}) u LIMIT ?4) p "
            "CROSS JOIN version v WHERE v.vid=p.vid ORDER BY v.vid DESC"
        )
        args: list[Any] = [tenant.layer, tenant.base_layer, bound(dialect, fids), MAX_INCLUDED + 1]
        args += [dictionary.params[f"{include.source}.{include.code}"], *(a for c in limits for a in c.args)]
        found += [tuple(row) for row in await database.rows(sql, args)]
    return found


async def _all_backward(
    database: Database, tenant: Tenant, compiler: Compiler, include: Include, rows: list[Found]
) -> list[Found]:
    """Resources that refer to the rows through any parameter, of one type or of all that the caller may search."""
    dictionary, dialect = compiler.dictionary, database.dialect
    by_type: dict[int, list[str]] = {}
    for row in rows:
        by_type.setdefault(row[1], []).append(row[2])
    sources = sorted(definitions.RESOURCE_TYPES - _NOT_BY_WILDCARD) if include.source == "*" else [include.source]
    params = [
        str(dictionary.params[f"{source}.{code}"])
        for source in sources
        if compiler.limits(source)
        for code, parameter in definitions.search_parameters(source).items()
        if parameter.type == "reference"
    ]
    wanted: dict[int, list[str]] = {}
    for own, fids in by_type.items():
        if not params or (include.target and own != dictionary.types[include.target]):
            continue
        referring = await database.rows(
            f"SELECT DISTINCT v.rtype, v.fid FROM idx_reference r CROSS JOIN version v WHERE r.layer IN (?1, ?2) "
            f"AND r.param IN ({','.join(params)}) AND {one_of(dialect, 'r.target', '?3', 'text')} "
            f"AND r.target_type={own} AND v.vid=r.vid AND v.live=1 LIMIT ?4",
            [tenant.layer, tenant.base_layer, bound(dialect, fids), MAX_INCLUDED + 1],
        )
        for kind, fid in referring:
            wanted.setdefault(kind, []).append(fid)
    found: list[Found] = []
    for kind, fids in sorted(wanted.items()):
        found += await by_ids(database, tenant, compiler, dictionary.type_names[kind], sorted(set(fids)))
    return found


_NOT_BY_WILDCARD = frozenset({"AuditEvent"})  # found only by who asks for it: each look would bring the one before
