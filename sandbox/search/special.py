"""Parameters that are no plain look-up of a value: `_id`, `_lastUpdated`, `_text`, `_content`, `_list` and `near`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.fhir import positions, searchvalues, ucum
from sandbox.fhir.outcomes import BadRequestError, NotSupportedError, Text
from sandbox.search import values
from sandbox.search.criteria import SELECTIVE, Criterion, Ids, Match, Updated, Words

if TYPE_CHECKING:
    from sandbox.search.compile import Compiler


def _id(compiler: Compiler, rtype: str, name: str, value: str, modifier: str) -> Criterion:
    if modifier:
        raise BadRequestError(
            Text(f"Modifier :{modifier} does not apply to _id.", f"تغییردهندهٔ ‎:{modifier} برای ‎_id معنا ندارد."),
            code="not-supported",
        )
    ids = [searchvalues.unescape(part).removeprefix(f"{rtype}/") for part in searchvalues.alternatives(value, name)]
    if len(ids) > MAX_COUNT_OF_IDS:
        raise BadRequestError(
            Text(f"_id may have {MAX_COUNT_OF_IDS} alternatives.", f"‎_id حداکثر {MAX_COUNT_OF_IDS} مقدار می‌پذیرد."),
            code="too-costly",
        )
    return Criterion(Ids(len(ids)), tuple(ids))


MAX_COUNT_OF_IDS = 500


def _last_updated(compiler: Compiler, _rtype: str, name: str, value: str, modifier: str) -> Criterion:
    if modifier:
        raise BadRequestError(
            Text(f"Modifier :{modifier} does not apply to {name}.", f"تغییردهندهٔ ‎:{modifier} معنا ندارد."),
            code="not-supported",
        )
    tests = [values.date(part, "_lastUpdated", compiler.now) for part in searchvalues.alternatives(value, name)]
    return Criterion(Updated(tuple(op for op, _ in tests)), tuple(arg for _, args in tests for arg in args))


def _words(compiler: Compiler, _rtype: str, name: str, value: str, modifier: str) -> Criterion:
    parts = [values.like(searchvalues.unescape(part)) for part in searchvalues.alternatives(value, name)]
    return Criterion(Words(name.startswith("_text"), len(parts)), tuple(parts))


def in_list(compiler: Compiler, rtype: str, value: str) -> Criterion:
    """Items of one of the Lists named by `value`, as far as the caller may see those Lists.

    http://hl7.org/fhir/R4/search.html#list
    """
    for part in searchvalues.alternatives(value, "_list"):
        if part.startswith("$"):
            raise NotSupportedError(
                Text(
                    f"The functional list {part} is not kept here; name a List by its id.",
                    f"فهرست کارکردی {part} در اینجا نیست؛ یک List را با شناسه‌اش نام ببرید.",
                )
            )
    ids = ",".join(part.removeprefix("List/") for part in searchvalues.alternatives(value, "_list"))
    return compiler.has(rtype, "_has:List:item:_id", ids, 0)


def near(compiler: Compiler, _rtype: str, name: str, value: str, modifier: str) -> Criterion:
    """`latitude|longitude|distance|units`: positions within a great-circle distance. http://hl7.org/fhir/R4/location.html#search"""
    if modifier:
        raise BadRequestError(
            Text(f"Modifier :{modifier} does not apply to near.", f"تغییردهندهٔ ‎:{modifier} برای near معنا ندارد."),
            code="not-supported",
        )
    tests = [_circle(part) for part in searchvalues.alternatives(value, name)]
    param = compiler.dictionary.params["Location.near"]
    shape = Match("idx_composite", param, tuple("near" for _ in tests), rank=SELECTIVE)
    return Criterion(shape, tuple(arg for args in tests for arg in args))


DEFAULT_DISTANCE_METRES = 50_000.0


def _circle(text: str) -> tuple[float, float, float, float]:
    """The place as a unit vector, and the square of the chord that spans the distance."""
    parts = [searchvalues.unescape(part) for part in searchvalues.split(text, "|")]
    if not 2 <= len(parts) <= 4:
        raise _no_place(text)
    try:
        latitude, longitude = float(parts[0]), float(parts[1])
        distance = float(parts[2]) if len(parts) > 2 and parts[2] else None
    except ValueError:
        raise _no_place(text) from None
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise _no_place(text)
    metres = DEFAULT_DISTANCE_METRES
    if distance is not None:
        unit = parts[3] if len(parts) == 4 and parts[3] else "km"
        metric = ucum.canonical(distance, unit)
        if metric is None or metric[1] != "m" or not 0 <= metric[0] < float("inf"):
            raise _no_place(text)
        metres = metric[0]
    angle = min(metres / positions.EARTH_RADIUS_METRES, math.pi)
    # A hair more, so that a place is found at its own position in spite of rounding.
    return (*positions.unit_vector(latitude, longitude), (2 * math.sin(angle / 2)) ** 2 + 1e-15)


def _no_place(text: str) -> BadRequestError:
    return BadRequestError(
        Text(
            f"Search parameter near: {text!r} is no place and distance.", f"پارامتر near: «{text}» مکان و فاصله نیست."
        ),
        code="value",
        rule="search-value",
        hint=Text(
            "Write latitude|longitude|distance|unit, for example 35.70|51.40|5|km; latitude is -90 to 90, longitude -180 to 180.",
            "آن را به شکل عرض|طول|فاصله|یکا بنویسید، مانند 35.70|51.40|5|km؛ عرض از ۹۰- تا ۹۰ و طول از ۱۸۰- تا ۱۸۰ است.",
        ),
    )


SPECIAL: dict[str, Callable[[Compiler, str, str, str, str], Criterion]] = {
    "_id": _id,
    "_lastUpdated": _last_updated,
    "_text": _words,
    "_content": _words,
    "near": near,
}
