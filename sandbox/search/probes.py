"""Conditions on one candidate: every criterion as SQL that is probed by key.

A condition is rendered at a `Place`: the layer it looks into, the expression of the candidate's vid, its first argument.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.kernel.database import Dialect
from sandbox.search.criteria import (
    TESTS,
    AnyOf,
    Chain,
    Dated,
    Has,
    Ids,
    Match,
    Member,
    Missing,
    Never,
    Outside,
    Shape,
    Updated,
    Words,
)

OWN, BASE = "?1", "?2"
NOT_SHADOWED = "NOT EXISTS (SELECT 1 FROM shadow s WHERE s.layer=?1 AND s.vid={vid}/**/)"
# Marks the end of a subquery that must stay a probe by key: PostgreSQL would turn it into a join and walk it from the wrong
# side, which `OFFSET 0` forbids; SQLite never does.
FENCE = "/**/"


@dataclass(slots=True)
class Place:
    """Where a criterion is rendered: the layer, the expression of the candidate's vid, and the first free argument."""

    layer: str
    vid: str
    argument: int


def marks(first: int, count: int) -> list[str]:
    return [f"?{n}" for n in range(first, first + count)]


def tests_of(table: str, tests: tuple[str, ...], first: int) -> str:
    """The alternatives of a criterion as one condition on alias `t`."""
    if len(tests) > 1 and len(set(tests)) == 1 and TESTS[table][tests[0]][1] in _EQUALITIES:
        column = TESTS[table][tests[0]][1].partition("=")[0]
        return f"{column} IN ({','.join(marks(first, len(tests)))})"
    parts = []
    for test in tests:
        width, condition = TESTS[table][test]
        parts.append(condition.format(*marks(first, width)))
        first += width
    return parts[0] if len(parts) == 1 else "(" + " OR ".join(f"({part})" for part in parts) + ")"


_EQUALITIES = {"t.code={0}", "t.value={0}"}


def rows_of(shape: Match, place: Place) -> str:
    condition = tests_of(shape.table, shape.tests, place.argument)
    return f"t.layer={place.layer} AND t.param={shape.param} AND {condition}"


def _match(shape: Match, place: Place) -> str:
    found = f"EXISTS (SELECT 1 FROM {shape.table} t WHERE {rows_of(shape, place)} AND t.vid={place.vid}/**/)"
    return f"NOT {found}" if shape.negated else found


def _missing(shape: Missing, place: Place) -> str:
    # Collected once per arm: a probe by vid would need an index that nothing else uses.
    rows = f"SELECT t.vid FROM {shape.table} t WHERE t.layer={place.layer} AND t.param={shape.param}"
    return f"{place.vid} {'NOT IN' if shape.missing else 'IN'} ({rows})"


def _version(place: Place, condition: str) -> str:
    return f"EXISTS (SELECT 1 FROM version x WHERE x.vid={place.vid} AND {condition}/**/)"


def _updated(shape: Updated, place: Place) -> str:
    condition = tests_of("updated", shape.tests, place.argument)
    return _version(place, condition.replace("t.lo", "x.updated").replace("t.hi", "(x.updated+1)"))


def _words(shape: Words, place: Place, dialect: Dialect) -> str:
    text = "CAST(x.body AS TEXT)" if dialect == "sqlite" else "convert_from(x.body, 'UTF8')"
    if shape.narrative:
        text = f"json_extract({text}, '$.text.div')" if dialect == "sqlite" else f"({text}::json #>> '{{text,div}}')"
    likes = [
        f"{text} {'LIKE' if dialect == 'sqlite' else 'ILIKE'} {mark} ESCAPE '!'"
        for mark in marks(place.argument, shape.count)
    ]
    return _version(place, "(" + " OR ".join(likes) + ")")


def _member(place: Place, rtype: int) -> str:
    kind, owner = marks(place.argument, 2)
    return (
        f"EXISTS (SELECT 1 FROM idx_compartment t WHERE t.layer={place.layer} AND t.kind={kind} AND t.owner={owner} "
        f"AND t.rtype={rtype} AND t.vid={place.vid}/**/)"
    )


def _dated(place: Place, rtype: int) -> str:
    kind, owner, first, last = marks(place.argument, 4)
    return (
        f"EXISTS (SELECT 1 FROM idx_compartment t WHERE t.layer={place.layer} AND t.kind={kind} AND t.owner={owner} "
        f"AND t.rtype={rtype} AND t.vid={place.vid} AND t.date>={first} AND t.date<{last}/**/)"
    )


def _live(layer: str, rtype: int, fid: str) -> str:
    """The live version `y` of `rtype/fid` in a layer."""
    return f"SELECT 1 FROM version y WHERE y.layer={layer} AND y.rtype={rtype} AND y.fid={fid} AND y.live=1"


def _chain(shape: Chain, place: Place, dialect: Dialect) -> str:
    """The candidate's references, and for each its target in either layer."""
    targets = []
    for layer in (OWN, BASE):
        inner = all_of(shape.inner, Place(layer, "y.vid", place.argument), shape.target, dialect)
        hidden = f" AND {NOT_SHADOWED.format(vid='y.vid')}" if layer == BASE else ""
        targets.append(f"EXISTS ({_live(layer, shape.target, 'r.target')} AND {inner}{hidden}/**/)")
    return (
        f"EXISTS (SELECT 1 FROM idx_reference r WHERE r.layer={place.layer} AND r.vid={place.vid} "
        f"AND r.param={shape.param} AND r.target_type={shape.target} AND ({' OR '.join(targets)})/**/)"
    )


def _has(shape: Has, place: Place, dialect: Dialect) -> str:
    """Resources that refer to the candidate, in either layer."""
    sources = []
    for layer in (OWN, BASE):
        inner = all_of(shape.inner, Place(layer, "r.vid", place.argument), shape.source, dialect)
        hidden = f" AND {NOT_SHADOWED.format(vid='r.vid')}" if layer == BASE else ""
        sources.append(
            f"EXISTS (SELECT 1 FROM idx_reference r WHERE r.layer={layer} AND r.param={shape.param} "
            f"AND r.target=x.fid AND r.target_type={shape.own} AND {inner}{hidden}/**/)"
        )
    return _version(place, "(" + " OR ".join(sources) + ")")


def _any_of(shape: AnyOf, place: Place, rtype: int, dialect: Dialect) -> str:
    parts, argument = [], place.argument
    for part in shape.parts:
        parts.append(all_of(part, Place(place.layer, place.vid, argument), rtype, dialect))
        argument += sum(inner.width for inner in part)
    found = "(" + " OR ".join(f"({part})" for part in parts) + ")"
    return f"NOT {found}" if shape.negated else found


def _outside(shape: Outside, place: Place, rtype: int, dialect: Dialect) -> str:
    owners = ",".join(marks(place.argument, shape.owners))
    rows = (
        f"SELECT o.vid FROM idx_compartment o WHERE o.layer={place.layer} AND o.kind=1 AND o.owner IN ({owners}) "
        f"AND o.rtype={rtype}"
    )
    if shape.inner:
        inner = all_of(shape.inner, Place(place.layer, "o.vid", place.argument + shape.owners), rtype, dialect)
        rows += f" AND {inner}"
    return f"{place.vid} NOT IN ({rows})"


def probe(shape: Shape, place: Place, rtype: int, dialect: Dialect) -> str:
    match shape:
        case Match():
            return _match(shape, place)
        case Missing():
            return _missing(shape, place)
        case Ids():
            return _version(place, f"x.fid IN ({','.join(marks(place.argument, shape.count))})")
        case Updated():
            return _updated(shape, place)
        case Words():
            return _words(shape, place, dialect)
        case Member():
            return _member(place, rtype)
        case Dated():
            return _dated(place, rtype)
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


def all_of(shapes: tuple[Shape, ...], place: Place, rtype: int, dialect: Dialect) -> str:
    parts, argument = [], place.argument
    for shape in shapes:
        parts.append(probe(shape, Place(place.layer, place.vid, argument), rtype, dialect))
        argument += shape.width
    return " AND ".join(parts) or "1=1"


def starts(shapes: tuple[Shape, ...], argument: int) -> list[int]:
    starts = []
    for shape in shapes:
        starts.append(argument)
        argument += shape.width
    return starts


def fenced(sql: str, dialect: Dialect) -> str:
    return sql.replace(FENCE, " OFFSET 0" if dialect == "postgresql" else "")
