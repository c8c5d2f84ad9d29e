"""Parameters that are no look-up in an index table: `_id`, `_lastUpdated`, `_text`, `_content` and `_list`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.fhir import searchvalues
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.search import values
from sandbox.search.criteria import Criterion, Ids, Listed, Updated, Words, either

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


def in_list(compiler: Compiler, value: str, name: str) -> Criterion:
    """Items of one of the Lists named by `value`."""
    found = [
        Criterion(
            Listed(compiler.dictionary.params["List.item"], compiler.dictionary.types["List"]),
            (searchvalues.unescape(part).removeprefix("List/"),),
        )
        for part in searchvalues.alternatives(value, name)
    ]
    return either(found)


SPECIAL: dict[str, Callable[[Compiler, str, str, str, str], Criterion]] = {
    "_id": _id,
    "_lastUpdated": _last_updated,
    "_text": _words,
    "_content": _words,
}
