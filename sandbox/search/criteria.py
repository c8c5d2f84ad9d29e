"""What a search asks, split into *shape* (decides the SQL) and *arguments* (bound to it).

A criterion is a frozen shape plus its flat arguments, in the order in which the shape consumes them; SQL is rendered once per
shape and kept, however many patients are asked for with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Rank of a driver: the smaller, the fewer rows it is expected to yield. Above SCAN, walking all resources of the type and
# probing each is the better plan unless the index already yields rows in the wanted order.
EXACT, UNIQUE, OWNED, SELECTIVE, CODED, SCAN, BROAD = 0, 1, 2, 4, 5, 6, 8


@dataclass(frozen=True, slots=True)
class Match:
    """Rows of one index table for one parameter; `tests` are alternatives."""

    table: str
    param: int
    tests: tuple[str, ...]
    negated: bool = False
    rank: int = BROAD

    @property
    def width(self) -> int:
        return sum(TESTS[self.table][test][0] for test in self.tests)


@dataclass(frozen=True, slots=True)
class Missing:
    """The parameter has no row (`missing`) or has one."""

    table: str
    param: int
    missing: bool
    width: int = 0


@dataclass(frozen=True, slots=True)
class Ids:
    """Logical ids (`_id`)."""

    count: int

    @property
    def width(self) -> int:
        return self.count


@dataclass(frozen=True, slots=True)
class Updated:
    """`_lastUpdated`; tests as of dates, on one stored instant."""

    tests: tuple[str, ...]

    @property
    def width(self) -> int:
        return sum(TESTS["updated"][test][0] for test in self.tests)


@dataclass(frozen=True, slots=True)
class Words:
    """Words in the body (`_content`) or the narrative (`_text`): no index, bounded by the time limit."""

    narrative: bool
    count: int

    @property
    def width(self) -> int:
        return self.count


@dataclass(frozen=True, slots=True)
class Member:
    """Membership in a compartment: arguments are kind and owner."""

    width: int = 2


@dataclass(frozen=True, slots=True)
class Dated:
    """Clinical date within a compartment: arguments are kind, owner, first and last moment (half-open)."""

    width: int = 4


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Alternatives, each a conjunction of shapes."""

    parts: tuple[tuple[Shape, ...], ...]
    negated: bool = False

    @property
    def width(self) -> int:
        return sum(shape.width for part in self.parts for shape in part)


@dataclass(frozen=True, slots=True)
class Chain:
    """A reference whose target, of type `target`, meets `inner`."""

    param: int
    target: int
    inner: tuple[Shape, ...]

    @property
    def width(self) -> int:
        return sum(shape.width for shape in self.inner)


@dataclass(frozen=True, slots=True)
class Has:
    """Some resource that meets `inner` refers here through `param`."""

    source: int
    param: int
    inner: tuple[Shape, ...]
    own: int  # type of the resource referred to

    @property
    def width(self) -> int:
        return sum(shape.width for shape in self.inner)


@dataclass(frozen=True, slots=True)
class Outside:
    """In no Patient's compartment of `owners` many, as far as `inner` holds: collected once, so that a page costs no probe each."""

    owners: int
    inner: tuple[Shape, ...] = ()

    @property
    def width(self) -> int:
        return self.owners + sum(shape.width for shape in self.inner)


@dataclass(frozen=True, slots=True)
class Never:
    """Nothing can match: an unknown code system, or a type the caller may not see."""

    width: int = 0


Shape = Match | Missing | Ids | Updated | Words | Member | Dated | AnyOf | Chain | Has | Outside | Never


@dataclass(frozen=True, slots=True)
class Criterion:
    """A shape with the arguments it consumes."""

    shape: Shape
    args: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class SortKey:
    """One key of `_sort`: an index table and parameter, or a column of the version itself."""

    table: str
    param: int
    descending: bool


@dataclass(frozen=True, slots=True)
class Arm:
    """One resource type of a search with its conjunction."""

    rtype: int
    where: tuple[Shape, ...]

    @property
    def width(self) -> int:
        return sum(shape.width for shape in self.where)


@dataclass(frozen=True, slots=True)
class Query:
    """All that the SQL text depends on. `after` says how many cursor values follow the arms' arguments."""

    arms: tuple[Arm, ...]
    sort: tuple[SortKey, ...] = ()
    after: bool = False
    backwards: bool = False
    shadowed: bool = True
    """Whether the Tenant hides anything of its base."""

    @property
    def width(self) -> int:
        return sum(arm.width for arm in self.arms)


# Stored and asked ranges are half-open; the words are those of http://hl7.org/fhir/R4/search.html#prefix.
_DATE = {
    "eq": (2, "t.lo>={0} AND t.lo<{1} AND t.hi<={1}"),
    "ne": (2, "NOT (t.lo>={0} AND t.hi<={1})"),
    "gt": (1, "t.hi>{0}"),
    "lt": (1, "t.lo<{0}"),
    "ge": (2, "(t.hi>{1} OR (t.lo>={0} AND t.hi<={1}))"),
    "le": (2, "(t.lo<{0} OR (t.lo>={0} AND t.hi<={1}))"),
    "sa": (1, "t.lo>={0}"),
    "eb": (1, "t.hi<={0}"),
    "ap": (2, "t.lo<{1} AND t.hi>{0}"),
}
_NUMBER = {
    "eq": (2, "t.lo>={0} AND t.lo<{1}"),
    "ne": (2, "NOT (t.lo>={0} AND t.lo<{1})"),
    "gt": (1, "t.hi>{0}"),
    "lt": (1, "t.lo<{0}"),
    "ge": (1, "t.hi>={0}"),
    "le": (1, "t.lo<={0}"),
    "sa": (1, "t.lo>{0}"),
    "eb": (1, "t.hi<{0}"),
    "ap": (2, "t.lo<={1} AND t.hi>={0}"),
}


def _with_unit(unit: str) -> dict[str, tuple[int, str]]:
    """Number tests on rows of one unit: the unit's arguments come after the number's."""
    made = {}
    for op, (count, condition) in _NUMBER.items():
        marks = [f"{{{count + n}}}" for n in range(unit.count("%"))]
        text = unit
        for mark in marks:
            text = text.replace("%", mark, 1)
        made[op] = (count + len(marks), f"{condition} AND {text}")
    return made


TESTS: dict[str, dict[str, tuple[int, str]]] = {
    "idx_token": {
        "code": (1, "t.code={0}"),
        "system|code": (2, "t.code={0} AND t.system={1}"),
        "system|starts": (3, "t.code>={0} AND t.code<{1} AND t.system={2}"),
        "|code": (1, "t.code={0} AND t.system=0"),
        "system|": (1, "t.system={0}"),
        "any": (0, "1=1"),
    },
    "idx_text": {"starts": (2, "t.value>={0} AND t.value<{1}"), "contains": (1, "t.value LIKE {0} ESCAPE '!'")},
    "idx_of_type": {"of-type": (3, "t.value={0} AND t.type_code={1} AND t.type_system={2}")},
    "idx_reference": {
        "typed": (2, "t.target={0} AND t.target_type={1}"),
        "any": (1, "t.target={0} AND t.target_type>0"),
        "url": (1, "t.target={0} AND t.target_type=0"),
    },
    "idx_date": _DATE,
    "updated": _DATE,
    "idx_string": {
        "starts": (2, "t.value>={0} AND t.value<{1}"),
        "contains": (1, "t.value LIKE {0} ESCAPE '!'"),
        "exact": (2, "t.value={0} AND t.exact={1}"),
    },
    "idx_quantity": {
        **{f"{op}": (n, f"{c} AND t.canonical=0") for op, (n, c) in _NUMBER.items()},
        **{f"{op}|code": v for op, v in _with_unit("t.unit=% AND t.canonical=0").items()},
        **{f"{op}|system|code": v for op, v in _with_unit("t.unit=% AND t.system=% AND t.canonical=0").items()},
        **{f"{op}|canonical": v for op, v in _with_unit("t.unit=% AND t.canonical=1").items()},
    },
    "idx_uri": {
        "equals": (1, "t.value={0}"),
        "below": (3, "(t.value={0} OR (t.value>={1} AND t.value<{2}))"),
    },
    "idx_composite": {
        # Unit vectors of two places: the square of the straight line between them tells the distance over the ground.
        "near": (
            4,
            "(t.lo2-{0})*(t.lo2-{0})+(t.hi2-{1})*(t.hi2-{1})+(t.lo3-{2})*(t.lo3-{2})<={3}",
        ),
    },
}


def composite_test(first: str, *rest: str) -> str:
    """Name of the test of a composite: `first` on the code columns, the rest on columns 2 and 3; made on first use."""
    name = " $ ".join((first, *rest))
    known = TESTS["idx_composite"]
    if name not in known:
        width, conditions = 0, []
        for place, op in enumerate((first, *rest), 1):
            count, condition = _COMPONENTS[op]
            marks = [f"{{{width + n}}}" for n in range(count)]
            conditions.append(condition.format(*marks, n="" if place == 1 else place))
            width += count
        known[name] = (width, " AND ".join(conditions))
    return name


def _placed(condition: str) -> str:
    return condition.replace("t.lo", "t.lo{n}").replace("t.hi", "t.hi{n}")


# Column names end with the component's place: code, code2, lo2, lo3. A canonical quantity has system2 = -1.
_COMPONENTS: dict[str, tuple[int, str]] = {
    "code": (1, "t.code{n}={0}"),
    "system|code": (2, "t.code{n}={0} AND t.system{n}={1}"),
    "|code": (1, "t.code{n}={0} AND t.system{n}=0"),
    "system|": (1, "t.system{n}={0}"),
    "starts": (2, "t.code{n}>={0} AND t.code{n}<{1}"),
    "exact": (1, "t.code{n}={0}"),
    **{f"date:{op}": (count, _placed(condition)) for op, (count, condition) in _DATE.items()},
    **{f"number:{op}": (count, _placed(condition)) for op, (count, condition) in _NUMBER.items()},
    **{
        f"quantity:{op}": (count, _placed(condition) + " AND t.system{n}>=0")
        for op, (count, condition) in _NUMBER.items()
    },
    **{
        f"quantity:{op}|unit": (count + 1, f"{_placed(condition)} AND t.code{{n}}={{{count}}}")
        for op, (count, condition) in _NUMBER.items()
    },
}


def either(found: list[Criterion]) -> Criterion:
    """Any of `found`."""
    if len(found) == 1:
        return found[0]
    return Criterion(AnyOf(tuple((c.shape,) for c in found)), tuple(arg for c in found for arg in c.args))
