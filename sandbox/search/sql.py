"""SQL text of a search, a pure function of its shape.

A search runs over two layers, the Tenant's own and its base, as one UNION ALL whose arms each walk an index in the wanted
order; the database merges them and stops at the limit. In every arm one criterion drives and the others are probed by key.
Parameters: ?1 own layer, ?2 base layer, ?3 limit, then the arms' arguments in order, then the cursor's.
"""

from __future__ import annotations

from functools import lru_cache

from sandbox.kernel.database import Dialect
from sandbox.search.criteria import (
    Arm,
    Match,
    Query,
    Shape,
    SortKey,
)
from sandbox.search.drivers import choose, drive
from sandbox.search.probes import BASE, NOT_SHADOWED, OWN, Place, all_of, fenced, marks, probe, rows_of, starts

FIRST_ARGUMENT = 4
_LAST_TEXT = "'\U0010ffff'"
_LAST_NUMBER = "9000000000000000000"

_SORT_COLUMNS = {
    "idx_date": ("t.lo", "t.hi", _LAST_NUMBER, f"-{_LAST_NUMBER}"),
    "idx_string": ("t.value", "t.value", _LAST_TEXT, "''"),
    "idx_quantity": ("t.lo", "t.hi", "9.0e300", "-9.0e300"),
    "idx_token": ("t.code", "t.code", _LAST_TEXT, "''"),
    "idx_reference": ("t.target", "t.target", _LAST_TEXT, "''"),
    "idx_uri": ("t.value", "t.value", _LAST_TEXT, "''"),
}


def _sort_value(key: SortKey, layer: str, vid: str) -> str:
    """The value a resource is sorted by: its least when ascending, its greatest when descending; last when it has none."""
    if key.table in ("updated", "fid"):
        return f"(SELECT x.{key.table} FROM version x WHERE x.vid={vid})"
    low, high, last, first = _SORT_COLUMNS[key.table]
    value = f"MAX({high})" if key.descending else f"MIN({low})"
    rows = f"SELECT {value} FROM {key.table} t WHERE t.layer={layer} AND t.vid={vid} AND t.param={key.param}"
    return f"COALESCE(({rows}), {first if key.descending else last})"


def _after(query: Query, first: int) -> str:
    """Keyset condition: strictly behind the cursor's values, in the direction of each key."""
    columns = [(f"k{n}", key.descending) for n, key in enumerate(query.sort)] + [("vid", True)]
    values = marks(first, len(columns))
    alternatives = []
    for n, (column, descending) in enumerate(columns):
        less = descending != query.backwards
        equal = [f"{columns[m][0]}={values[m]}" for m in range(n)]
        alternatives.append(" AND ".join([*equal, f"{column}{'<' if less else '>'}{values[n]}"]))
    return "(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")"


def _order(query: Query) -> str:
    def direction(descending: bool) -> str:
        return "DESC" if descending != query.backwards else "ASC"

    keys = [f"k{n} {direction(key.descending)}" for n, key in enumerate(query.sort)]
    return ", ".join([*keys, f"vid {direction(True)}"])


def _arm(query: Query, arm: Arm, layer: str, argument: int, dialect: Dialect) -> str:
    chosen = choose(arm, sorted_by_vid=not query.sort)
    firsts = starts(arm.where, argument)
    if chosen is None:
        source, conditions = "version d", [f"d.layer={layer}", f"d.rtype={arm.rtype}", "d.live=1"]
    else:
        source, condition = drive(arm.where[chosen], Place(layer, "d.vid", firsts[chosen]), arm.rtype, dialect)
        conditions = [condition]
    if query.after and not query.sort:
        conditions.append(f"d.vid{'>' if query.backwards else '<'}?{FIRST_ARGUMENT + query.width}")
    conditions += [
        probe(shape, Place(layer, "d.vid", start), arm.rtype, dialect)
        for n, (shape, start) in enumerate(zip(arm.where, firsts, strict=True))
        if n != chosen
    ]
    if layer == BASE and query.shadowed:
        conditions.append(NOT_SHADOWED.format(vid="d.vid"))
    keys = "".join(f", {_sort_value(key, layer, 'd.vid')} AS k{n}" for n, key in enumerate(query.sort))
    return f"SELECT d.vid AS vid{keys} FROM {source} WHERE {' AND '.join(conditions)}"


def _union(query: Query, dialect: Dialect, *, bounded: bool = False) -> str:
    """All arms; `bounded` ones end at the page's limit themselves, which tells PostgreSQL to walk them in order."""
    arms, argument = [], FIRST_ARGUMENT
    for arm in query.arms:
        arms += [_arm(query, arm, layer, argument, dialect) for layer in (OWN, BASE)]
        argument += arm.width
    if bounded:
        order = _order(query)
        arms = [f"SELECT * FROM ({arm} ORDER BY {order} LIMIT ?3) b{n}" for n, arm in enumerate(arms)]
    return " UNION ALL ".join(arms)


@lru_cache(maxsize=4096)
def page_sql(query: Query, dialect: Dialect) -> str:
    """Rows (vid, rtype, fid, body, k0, k1, ...) of one page in order; ?3 is the limit."""
    rows = _union(query, dialect, bounded=dialect == "postgresql" and not query.sort)
    if query.after and query.sort:
        rows = f"SELECT * FROM ({rows}) a WHERE {_after(query, FIRST_ARGUMENT + query.width)}"
    keys = "".join(f", p.k{n}" for n in range(len(query.sort)))
    order = _order(query)
    placed = ", ".join(f"p.{part}" for part in order.split(", "))
    # A page in order of writing is put in order by its reader, for less than sorting rows with their bodies costs here.
    outer = f" ORDER BY {placed}" if query.sort else ""
    return fenced(
        f"SELECT v.vid, v.rtype, v.fid, v.body{keys} FROM (SELECT * FROM ({rows}) m ORDER BY {order} LIMIT ?3) p "
        f"CROSS JOIN version v WHERE v.vid=p.vid{outer}",
        dialect,
    )


@lru_cache(maxsize=2048)
def vids_sql(query: Query, dialect: Dialect) -> str:
    """Version numbers of all that match, newest first and no more than ?3, from the indexes alone."""
    return fenced(f"SELECT vid FROM ({_union(query, dialect)}) m ORDER BY vid DESC LIMIT ?3", dialect)


@lru_cache(maxsize=1024)
def count_sql(query: Query, dialect: Dialect) -> str:
    """One number: how many match, counting no further than ?3."""
    return fenced(f"SELECT COUNT(*) FROM (SELECT 1 FROM ({_union(query, dialect)}) m LIMIT ?3) c", dialect)


@lru_cache(maxsize=2048)
def rows_sql(shape: Match, limit: int, dialect: Dialect) -> str:
    """How many index rows a criterion has in both layers, counting no further than `limit`; its arguments start at ?3."""
    arms = [
        f"SELECT 1 FROM (SELECT 1 FROM {shape.table} t WHERE {rows_of(shape, Place(layer, '', 3))} LIMIT {limit}) a{n}"
        for n, layer in enumerate((OWN, BASE))
    ]
    return f"SELECT COUNT(*) FROM ({' UNION ALL '.join(arms)}) c"


@lru_cache(maxsize=4096)
def met_sql(shapes: tuple[Shape, ...], layer: str, vid: str, argument: int, rtype: int, dialect: Dialect) -> str:
    """Conditions for versions `vid` of one layer, whether or not the own layer hides them now."""
    return fenced(all_of(shapes, Place(layer, vid, argument), rtype, dialect), dialect)


@lru_cache(maxsize=4096)
def conditions_sql(shapes: tuple[Shape, ...], layer: str, vid: str, argument: int, rtype: int, dialect: Dialect) -> str:
    """Conditions that candidates `vid` of one layer must meet to be seen: `shapes`, and not hidden by the own layer."""
    met = all_of(shapes, Place(layer, vid, argument), rtype, dialect)
    return fenced(f"{met} AND {NOT_SHADOWED.format(vid=vid)}" if layer == BASE else met, dialect)
