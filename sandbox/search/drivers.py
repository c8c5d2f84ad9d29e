"""Which criterion walks its index to find the candidates of an arm, and the FROM clause that does it."""

from __future__ import annotations

from sandbox.kernel.database import Dialect
from sandbox.search.criteria import (
    BROAD,
    CODED,
    SCAN,
    AnyOf,
    Arm,
    Chain,
    Has,
    Ids,
    Match,
    Member,
    Shape,
    Updated,
)
from sandbox.search.probes import BASE, NOT_SHADOWED, OWN, Place, all_of, marks, probe, rows_of, starts, tests_of

# Tests of one value whose index rows come in `vid` order once the value is fixed.
_ORDERED = {
    ("idx_token", "code"),
    ("idx_token", "system|code"),
    ("idx_token", "|code"),
    ("idx_reference", "typed"),
    ("idx_reference", "url"),
    ("idx_uri", "equals"),
}


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
        case Updated():
            return CODED
        case AnyOf(negated=False):
            # As good as its worst alternative; each is driven by its first criterion.
            return max((rank(part[0]) if part else BROAD for part in shape.parts), default=BROAD)
        case _:
            return BROAD


def choose(arm: Arm, sorted_by_vid: bool) -> int | None:
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


def drive(shape: Shape, place: Place, rtype: int, dialect: Dialect) -> tuple[str, str]:
    """FROM clause and condition of a driver; its rows are `d.vid`, each once."""
    match shape:
        case Match():
            distinct = "" if ordered(shape) else "DISTINCT "
            rows = rows_of(shape, place)
            if ordered(shape) and shape.tests == ("code",):
                # One code under two systems is one resource; a DISTINCT would cost the index's order.
                rows += (
                    f" AND NOT EXISTS (SELECT 1 FROM idx_token u WHERE u.layer={place.layer} AND u.param={shape.param} "
                    "AND u.code=t.code AND u.vid=t.vid AND u.system<t.system/**/)"
                )
            return f"(SELECT {distinct}t.vid FROM {shape.table} t WHERE {rows}) d", "1=1"
        case Ids():
            ids = ",".join(marks(place.argument, shape.count))
            return "version d", f"d.layer={place.layer} AND d.rtype={rtype} AND d.fid IN ({ids}) AND d.live=1"
        case Member():
            kind, owner = marks(place.argument, 2)
            return (
                "idx_compartment d",
                f"d.layer={place.layer} AND d.kind={kind} AND d.owner={owner} AND d.rtype={rtype}",
            )
        case Chain():
            return _drive_chain(shape, place, dialect), "1=1"
        case Has():
            return _drive_has(shape, place, rtype, dialect), "1=1"
        case Updated():
            tests = tests_of("updated", shape.tests, place.argument)
            condition = tests.replace("t.lo", "d.updated").replace("t.hi", "(d.updated+1)")
            return "version d", f"d.layer={place.layer} AND d.rtype={rtype} AND d.live=1 AND {condition}"
        case AnyOf():
            return _drive_any(shape, place, rtype, dialect), "1=1"
    raise ValueError(type(shape).__name__)


def _candidates(shapes: tuple[Shape, ...], layer: str, argument: int, rtype: int, dialect: Dialect) -> str:
    """vids of `rtype` in one layer that meet `shapes`, driven by the best of them."""
    chosen = choose(Arm(rtype, shapes), sorted_by_vid=False)
    firsts = starts(shapes, argument)
    if chosen is None:
        source, condition = "version d", f"d.layer={layer} AND d.rtype={rtype} AND d.live=1"
    else:
        source, condition = drive(shapes[chosen], Place(layer, "d.vid", firsts[chosen]), rtype, dialect)
    probes = [
        probe(shape, Place(layer, "d.vid", start), rtype, dialect)
        for n, (shape, start) in enumerate(zip(shapes, firsts, strict=True))
        if n != chosen
    ]
    if layer == BASE:
        probes.append(NOT_SHADOWED.format(vid="d.vid"))
    return f"SELECT d.vid FROM {source} WHERE {' AND '.join([condition, *probes])}"


def _drive_any(shape: AnyOf, place: Place, rtype: int, dialect: Dialect) -> str:
    parts, argument = [], place.argument
    for part in shape.parts:
        own = Place(place.layer, "d.vid", argument)
        source, condition = drive(part[0], own, rtype, dialect)
        rest = all_of(part[1:], Place(place.layer, "d.vid", argument + part[0].width), rtype, dialect)
        parts.append(f"SELECT d.vid FROM {source} WHERE {condition} AND {rest}")
        argument += sum(inner.width for inner in part)
    return f"(SELECT DISTINCT vid FROM ({' UNION ALL '.join(parts)}) w) d"


def _drive_chain(shape: Chain, place: Place, dialect: Dialect) -> str:
    targets = " UNION ALL ".join(
        _candidates(shape.inner, layer, place.argument, shape.target, dialect) for layer in (OWN, BASE)
    )
    return (
        f"(SELECT DISTINCT r.vid FROM ({targets}) c CROSS JOIN version y CROSS JOIN idx_reference r "
        f"WHERE y.vid=c.vid AND r.layer={place.layer} AND r.param={shape.param} "
        f"AND r.target=y.fid AND r.target_type={shape.target}) d"
    )


def _drive_has(shape: Has, place: Place, rtype: int, dialect: Dialect) -> str:
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
