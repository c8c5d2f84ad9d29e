"""SQL text of a search, a pure function of its shape.

A search runs over two layers, the Tenant's own and its base, as one UNION ALL whose arms each walk an index in the wanted
order; the database merges them and stops at the limit. In every arm one criterion drives and the others are probed by key.
Parameters: ?1 own layer, ?2 base layer, ?3 limit, then the arms' arguments in order, then the cursor's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sandbox.kernel.database import Dialect
from sandbox.search.criteria import (
    BROAD,
    CODED,
    SCAN,
    TESTS,
    AnyOf,
    Arm,
    Chain,
    Dated,
    Has,
    Ids,
    Listed,
    Match,
    Member,
    Missing,
    Never,
    Outside,
    Query,
    Shape,
    SortKey,
    Updated,
    Words,
)

FIRST_ARGUMENT = 4
OWN, BASE = "?1", "?2"
_NOT_SHADOWED = "NOT EXISTS (SELECT 1 FROM shadow s WHERE s.layer=?1 AND s.vid={vid}/**/)"
_LAST_TEXT = "'\U0010ffff'"
_LAST_NUMBER = "9000000000000000000"
# Marks the end of a subquery that must stay a probe by key: PostgreSQL would turn it into a join and walk it from the wrong
# side, which `OFFSET 0` forbids; SQLite never does.
_PROBE = "/**/"
# Tests of one value whose index rows come in `vid` order once the value is fixed.
_ORDERED = {
    ("idx_token", "code"),
    ("idx_token", "system|code"),
    ("idx_token", "|code"),
    ("idx_reference", "typed"),
    ("idx_reference", "url"),
    ("idx_uri", "equals"),
}


@dataclass(slots=True)
class _Place:
    """Where a criterion is rendered: the layer, the expression of the candidate's vid, and the first free argument."""

    layer: str
    vid: str
    argument: int


def _marks(first: int, count: int) -> list[str]:
    return [f"?{n}" for n in range(first, first + count)]


def _tests(table: str, tests: tuple[str, ...], first: int) -> str:
    """The alternatives of a criterion as one condition on alias `t`."""
    if len(tests) > 1 and len(set(tests)) == 1 and TESTS[table][tests[0]][1] in _EQUALITIES:
        column = TESTS[table][tests[0]][1].partition("=")[0]
        return f"{column} IN ({','.join(_marks(first, len(tests)))})"
    parts = []
    for test in tests:
        width, condition = TESTS[table][test]
        parts.append(condition.format(*_marks(first, width)))
        first += width
    return parts[0] if len(parts) == 1 else "(" + " OR ".join(f"({part})" for part in parts) + ")"


_EQUALITIES = {"t.code={0}", "t.value={0}"}


def _rows(shape: Match, place: _Place) -> str:
    condition = _tests(shape.table, shape.tests, place.argument)
    return f"t.layer={place.layer} AND t.param={shape.param} AND {condition}"


def _match(shape: Match, place: _Place) -> str:
    found = f"EXISTS (SELECT 1 FROM {shape.table} t WHERE {_rows(shape, place)} AND t.vid={place.vid}/**/)"
    return f"NOT {found}" if shape.negated else found


def _missing(shape: Missing, place: _Place) -> str:
    # Collected once per arm: a probe by vid would need an index that nothing else uses.
    rows = f"SELECT t.vid FROM {shape.table} t WHERE t.layer={place.layer} AND t.param={shape.param}"
    return f"{place.vid} {'NOT IN' if shape.missing else 'IN'} ({rows})"


def _version(place: _Place, condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM version x WHERE x.vid={place.vid} AND {condition}/**/)"


def _updated(shape: Updated, place: _Place) -> str:
    condition = _tests("updated", shape.tests, place.argument)
    return _version(place, condition.replace("t.lo", "x.updated").replace("t.hi", "(x.updated+1)"))


def _words(shape: Words, place: _Place, dialect: Dialect) -> str:
    text = "CAST(x.body AS TEXT)" if dialect == "sqlite" else "convert_from(x.body, 'UTF8')"
    if shape.narrative:
        text = f"json_extract({text}, '$.text.div')" if dialect == "sqlite" else f"({text}::json #>> '{{text,div}}')"
    likes = [
        f"{text} {'LIKE' if dialect == 'sqlite' else 'ILIKE'} {mark} ESCAPE '!'"
        for mark in _marks(place.argument, shape.count)
    ]
    return _version(place, "(" + " OR ".join(likes) + ")")


def _member(place: _Place, rtype: int) -> str:
    kind, owner = _marks(place.argument, 2)
    return (
        f"EXISTS (SELECT 1 FROM idx_compartment t WHERE t.layer={place.layer} AND t.kind={kind} AND t.owner={owner} "
        f"AND t.rtype={rtype} AND t.vid={place.vid}/**/)"
    )


def _dated(place: _Place, rtype: int) -> str:
    kind, owner, first, last = _marks(place.argument, 4)
    return (
        f"EXISTS (SELECT 1 FROM idx_compartment t WHERE t.layer={place.layer} AND t.kind={kind} AND t.owner={owner} "
        f"AND t.rtype={rtype} AND t.vid={place.vid} AND t.date>={first} AND t.date<{last}/**/)"
    )


def _live(layer: str, rtype: int, fid: str) -> str:
    """The live version `y` of `rtype/fid` in a layer."""
    return f"SELECT 1 FROM version y WHERE y.layer={layer} AND y.rtype={rtype} AND y.fid={fid} AND y.live=1"


def _chain(shape: Chain, place: _Place, dialect: Dialect) -> str:
    """The candidate's references, and for each its target in either layer."""
    targets = []
    for layer in (OWN, BASE):
        inner = _all(shape.inner, _Place(layer, "y.vid", place.argument), shape.target, dialect)
        hidden = f" AND {_NOT_SHADOWED.format(vid='y.vid')}" if layer == BASE else ""
        targets.append(f"EXISTS ({_live(layer, shape.target, 'r.target')} AND {inner}{hidden}/**/)")
    return (
        f"EXISTS (SELECT 1 FROM idx_reference r WHERE r.layer={place.layer} AND r.vid={place.vid} "
        f"AND r.param={shape.param} AND r.target_type={shape.target} AND ({' OR '.join(targets)})/**/)"
    )


def _has(shape: Has, place: _Place, dialect: Dialect) -> str:
    """Resources that refer to the candidate, in either layer."""
    sources = []
    for layer in (OWN, BASE):
        inner = _all(shape.inner, _Place(layer, "r.vid", place.argument), shape.source, dialect)
        hidden = f" AND {_NOT_SHADOWED.format(vid='r.vid')}" if layer == BASE else ""
        sources.append(
            f"EXISTS (SELECT 1 FROM idx_reference r WHERE r.layer={layer} AND r.param={shape.param} "
            f"AND r.target=x.fid AND r.target_type={shape.own} AND {inner}{hidden}/**/)"
        )
    return _version(place, "(" + " OR ".join(sources) + ")")


def _listed(shape: Listed, place: _Place) -> str:
    mark = _marks(place.argument, 1)[0]
    lists = []
    for layer in (OWN, BASE):
        hidden = f" AND {_NOT_SHADOWED.format(vid='y.vid')}" if layer == BASE else ""
        lists.append(
            f"EXISTS (SELECT 1 FROM version y JOIN idx_reference r ON r.layer={layer} AND r.vid=y.vid AND r.param={shape.param} "
            f"WHERE y.layer={layer} AND y.rtype={shape.list_type} AND y.fid={mark} AND y.live=1{hidden} "
            f"AND r.target=x.fid AND r.target_type=x.rtype/**/)"
        )
    return _version(place, "(" + " OR ".join(lists) + ")")


def _any_of(shape: AnyOf, place: _Place, rtype: int, dialect: Dialect) -> str:
    parts, argument = [], place.argument
    for part in shape.parts:
        parts.append(_all(part, _Place(place.layer, place.vid, argument), rtype, dialect))
        argument += sum(inner.width for inner in part)
    found = "(" + " OR ".join(f"({part})" for part in parts) + ")"
    return f"NOT {found}" if shape.negated else found


def _outside(shape: Outside, place: _Place, rtype: int, dialect: Dialect) -> str:
    owners = ",".join(_marks(place.argument, shape.owners))
    rows = (
        f"SELECT o.vid FROM idx_compartment o WHERE o.layer={place.layer} AND o.kind=1 AND o.owner IN ({owners}) "
        f"AND o.rtype={rtype}"
    )
    if shape.inner:
        inner = _all(shape.inner, _Place(place.layer, "o.vid", place.argument + shape.owners), rtype, dialect)
        rows += f" AND {inner}"
    return f"{place.vid} NOT IN ({rows})"


def _probe(shape: Shape, place: _Place, rtype: int, dialect: Dialect) -> str:
    match shape:
        case Match():
            return _match(shape, place)
        case Missing():
            return _missing(shape, place)
        case Ids():
            return _version(place, f"x.fid IN ({','.join(_marks(place.argument, shape.count))})")
        case Updated():
            return _updated(shape, place)
        case Words():
            return _words(shape, place, dialect)
        case Member():
            return _member(place, rtype)
        case Dated():
            return _dated(place, rtype)
        case Listed():
            return _listed(shape, place)
        case AnyOf():
            return _any_of(shape, place, rtype, dialect)
        case Chain():
            return _chain(shape, place, dialect)
        case Has():
            return _has(shape, place, dialect)
        case Outside():
            return _outside(shape, place, rtype, dialect)
        case Never():
            return "1=0"


def _all(shapes: tuple[Shape, ...], place: _Place, rtype: int, dialect: Dialect) -> str:
    parts, argument = [], place.argument
    for shape in shapes:
        parts.append(_probe(shape, _Place(place.layer, place.vid, argument), rtype, dialect))
        argument += shape.width
    return " AND ".join(parts) or "1=1"


# --- drivers ----------------------------------------------------------------------------------------------------------


def ordered(shape: Shape) -> bool:
    """Whether the driver's rows come in `vid` order, so that a page needs no sort."""
    if isinstance(shape, Match):
        return not shape.negated and len(shape.tests) == 1 and (shape.table, shape.tests[0]) in _ORDERED
    return isinstance(shape, Member)


def rank(shape: Shape) -> int:
    """How few candidates the shape would yield as a driver; BROAD and above when it cannot drive."""
    match shape:
        case Match(negated=False):
            return shape.rank
        case Ids():
            return 0
        case Member():
            return 3
        case Chain() | Has():
            return min((rank(inner) for inner in shape.inner), default=BROAD) + 1
        case Listed():
            return 3
        case Updated():
            return CODED
        case AnyOf(negated=False):
            # As good as its worst alternative; each is driven by its first criterion.
            return max((rank(part[0]) if part else BROAD for part in shape.parts), default=BROAD)
        case _:
            return BROAD


def _choose(arm: Arm, sorted_by_vid: bool) -> int | None:
    """Index of the driving criterion, None for walking all resources of the type."""
    best, chosen = BROAD, None
    for n, shape in enumerate(arm.where):
        own = rank(shape)
        if own >= SCAN and not (ordered(shape) and own <= BROAD):
            continue
        if own < best or chosen is None:
            best, chosen = own, n
    if chosen is None and not sorted_by_vid:
        return None
    return chosen


def _drive(shape: Shape, place: _Place, rtype: int, dialect: Dialect) -> tuple[str, str]:
    """FROM clause and condition of a driver; its rows are `d.vid`, each once."""
    match shape:
        case Match():
            distinct = "" if ordered(shape) else "DISTINCT "
            rows = _rows(shape, place)
            if ordered(shape) and shape.tests == ("code",):
                # One code under two systems is one resource; a DISTINCT would cost the index's order.
                rows += (
                    f" AND NOT EXISTS (SELECT 1 FROM idx_token u WHERE u.layer={place.layer} AND u.param={shape.param} "
                    "AND u.code=t.code AND u.vid=t.vid AND u.system<t.system/**/)"
                )
            return f"(SELECT {distinct}t.vid FROM {shape.table} t WHERE {rows}) d", "1=1"
        case Ids():
            marks = ",".join(_marks(place.argument, shape.count))
            return "version d", f"d.layer={place.layer} AND d.rtype={rtype} AND d.fid IN ({marks}) AND d.live=1"
        case Member():
            kind, owner = _marks(place.argument, 2)
            return (
                "idx_compartment d",
                f"d.layer={place.layer} AND d.kind={kind} AND d.owner={owner} AND d.rtype={rtype}",
            )
        case Chain():
            return _drive_chain(shape, place, dialect), "1=1"
        case Has():
            return _drive_has(shape, place, rtype, dialect), "1=1"
        case Listed():
            return _drive_listed(shape, place, rtype), "1=1"
        case Updated():
            tests = _tests("updated", shape.tests, place.argument)
            condition = tests.replace("t.lo", "d.updated").replace("t.hi", "(d.updated+1)")
            return "version d", f"d.layer={place.layer} AND d.rtype={rtype} AND d.live=1 AND {condition}"
        case AnyOf():
            return _drive_any(shape, place, rtype, dialect), "1=1"
    raise ValueError(type(shape).__name__)


def _candidates(shapes: tuple[Shape, ...], layer: str, argument: int, rtype: int, dialect: Dialect) -> str:
    """vids of `rtype` in one layer that meet `shapes`, driven by the best of them."""
    chosen = _choose(Arm(rtype, shapes), sorted_by_vid=False)
    starts = _starts(shapes, argument)
    if chosen is None:
        source, condition = "version d", f"d.layer={layer} AND d.rtype={rtype} AND d.live=1"
    else:
        source, condition = _drive(shapes[chosen], _Place(layer, "d.vid", starts[chosen]), rtype, dialect)
    probes = [
        _probe(shape, _Place(layer, "d.vid", start), rtype, dialect)
        for n, (shape, start) in enumerate(zip(shapes, starts, strict=True))
        if n != chosen
    ]
    if layer == BASE:
        probes.append(_NOT_SHADOWED.format(vid="d.vid"))
    return f"SELECT d.vid FROM {source} WHERE {' AND '.join([condition, *probes])}"


def _drive_any(shape: AnyOf, place: _Place, rtype: int, dialect: Dialect) -> str:
    parts, argument = [], place.argument
    for part in shape.parts:
        own = _Place(place.layer, "d.vid", argument)
        source, condition = _drive(part[0], own, rtype, dialect)
        rest = _all(part[1:], _Place(place.layer, "d.vid", argument + part[0].width), rtype, dialect)
        parts.append(f"SELECT d.vid FROM {source} WHERE {condition} AND {rest}")
        argument += sum(inner.width for inner in part)
    return f"(SELECT DISTINCT vid FROM ({' UNION ALL '.join(parts)}) w) d"


def _drive_chain(shape: Chain, place: _Place, dialect: Dialect) -> str:
    targets = " UNION ALL ".join(
        _candidates(shape.inner, layer, place.argument, shape.target, dialect) for layer in (OWN, BASE)
    )
    return (
        f"(SELECT DISTINCT r.vid FROM ({targets}) c CROSS JOIN version y CROSS JOIN idx_reference r "
        f"WHERE y.vid=c.vid AND r.layer={place.layer} AND r.param={shape.param} "
        f"AND r.target=y.fid AND r.target_type={shape.target}) d"
    )


def _drive_has(shape: Has, place: _Place, rtype: int, dialect: Dialect) -> str:
    sources = []
    for layer in (OWN, BASE):
        vids = _candidates(shape.inner, layer, place.argument, shape.source, dialect)
        sources.append(
            f"SELECT r.target FROM ({vids}) c CROSS JOIN idx_reference r WHERE r.layer={layer} AND r.vid=c.vid "
            f"AND r.param={shape.param} AND r.target_type={shape.own}"
        )
    return (
        f"(SELECT y.vid FROM (SELECT DISTINCT target FROM ({' UNION ALL '.join(sources)}) u) c CROSS JOIN version y "
        f"WHERE y.layer={place.layer} AND y.rtype={rtype} AND y.fid=c.target AND y.live=1) d"
    )


def _drive_listed(shape: Listed, place: _Place, rtype: int) -> str:
    mark = _marks(place.argument, 1)[0]
    items = []
    for layer in (OWN, BASE):
        hidden = f" AND {_NOT_SHADOWED.format(vid='y.vid')}" if layer == BASE else ""
        items.append(
            f"SELECT r.target FROM version y CROSS JOIN idx_reference r WHERE y.layer={layer} AND y.rtype={shape.list_type} "
            f"AND y.fid={mark} AND y.live=1{hidden} AND r.layer={layer} AND r.vid=y.vid AND r.param={shape.param} "
            f"AND r.target_type={rtype}"
        )
    return (
        f"(SELECT y.vid FROM (SELECT DISTINCT target FROM ({' UNION ALL '.join(items)}) u) c CROSS JOIN version y "
        f"WHERE y.layer={place.layer} AND y.rtype={rtype} AND y.fid=c.target AND y.live=1) d"
    )


def _starts(shapes: tuple[Shape, ...], argument: int) -> list[int]:
    starts = []
    for shape in shapes:
        starts.append(argument)
        argument += shape.width
    return starts


# --- sorting and paging -----------------------------------------------------------------------------------------------

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
    marks = _marks(first, len(columns))
    alternatives = []
    for n, (column, descending) in enumerate(columns):
        less = descending != query.backwards
        equal = [f"{columns[m][0]}={marks[m]}" for m in range(n)]
        alternatives.append(" AND ".join([*equal, f"{column}{'<' if less else '>'}{marks[n]}"]))
    return "(" + " OR ".join(f"({alternative})" for alternative in alternatives) + ")"


def _order(query: Query) -> str:
    def direction(descending: bool) -> str:
        return "DESC" if descending != query.backwards else "ASC"

    keys = [f"k{n} {direction(key.descending)}" for n, key in enumerate(query.sort)]
    return ", ".join([*keys, f"vid {direction(True)}"])


def _arm(query: Query, arm: Arm, layer: str, argument: int, dialect: Dialect) -> str:
    chosen = _choose(arm, sorted_by_vid=not query.sort)
    starts = _starts(arm.where, argument)
    if chosen is None:
        source, conditions = "version d", [f"d.layer={layer}", f"d.rtype={arm.rtype}", "d.live=1"]
    else:
        source, condition = _drive(arm.where[chosen], _Place(layer, "d.vid", starts[chosen]), arm.rtype, dialect)
        conditions = [condition]
    if query.after and not query.sort:
        conditions.append(f"d.vid{'>' if query.backwards else '<'}?{FIRST_ARGUMENT + query.width}")
    conditions += [
        _probe(shape, _Place(layer, "d.vid", start), arm.rtype, dialect)
        for n, (shape, start) in enumerate(zip(arm.where, starts, strict=True))
        if n != chosen
    ]
    if layer == BASE and query.shadowed:
        conditions.append(_NOT_SHADOWED.format(vid="d.vid"))
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


def _fenced(sql: str, dialect: Dialect) -> str:
    return sql.replace(_PROBE, " OFFSET 0" if dialect == "postgresql" else "")


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
    return _fenced(
        f"SELECT v.vid, v.rtype, v.fid, v.body{keys} FROM (SELECT * FROM ({rows}) m ORDER BY {order} LIMIT ?3) p "
        f"CROSS JOIN version v WHERE v.vid=p.vid{outer}",
        dialect,
    )


@lru_cache(maxsize=2048)
def vids_sql(query: Query, dialect: Dialect) -> str:
    """Version numbers of all that match, newest first and no more than ?3, from the indexes alone."""
    return _fenced(f"SELECT vid FROM ({_union(query, dialect)}) m ORDER BY vid DESC LIMIT ?3", dialect)


@lru_cache(maxsize=1024)
def count_sql(query: Query, dialect: Dialect) -> str:
    """One number: how many match, counting no further than ?3."""
    return _fenced(f"SELECT COUNT(*) FROM (SELECT 1 FROM ({_union(query, dialect)}) m LIMIT ?3) c", dialect)


@lru_cache(maxsize=2048)
def rows_sql(shape: Match, limit: int, dialect: Dialect) -> str:
    """How many index rows a criterion has in both layers, counting no further than `limit`; its arguments start at ?3."""
    arms = [
        f"SELECT 1 FROM (SELECT 1 FROM {shape.table} t WHERE {_rows(shape, _Place(layer, '', 3))} LIMIT {limit}) a{n}"
        for n, layer in enumerate((OWN, BASE))
    ]
    return f"SELECT COUNT(*) FROM ({' UNION ALL '.join(arms)}) c"


@lru_cache(maxsize=4096)
def met_sql(shapes: tuple[Shape, ...], layer: str, vid: str, argument: int, rtype: int, dialect: Dialect) -> str:
    """Conditions for versions `vid` of one layer, whether or not the own layer hides them now."""
    return _fenced(_all(shapes, _Place(layer, vid, argument), rtype, dialect), dialect)


@lru_cache(maxsize=4096)
def conditions_sql(shapes: tuple[Shape, ...], layer: str, vid: str, argument: int, rtype: int, dialect: Dialect) -> str:
    """Conditions that candidates `vid` of one layer must meet to be seen: `shapes`, and not hidden by the own layer."""
    met = _all(shapes, _Place(layer, vid, argument), rtype, dialect)
    return _fenced(f"{met} AND {_NOT_SHADOWED.format(vid=vid)}" if layer == BASE else met, dialect)
