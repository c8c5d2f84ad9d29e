"""A search as asked: result parameters apart from criteria, everything bounded before any SQL runs.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl

from sandbox.fhir import definitions
from sandbox.fhir.outcomes import BadRequestError, NotSupportedError, Text

DEFAULT_COUNT = 20
MAX_COUNT = 1000
MAX_PARAMETERS = 100
MAX_ALTERNATIVES = 200
Total = Literal["", "none", "estimate", "accurate"]
Summary = Literal["", "true", "false", "text", "data", "count"]

RESULT = frozenset(
    {
        "_sort", "_count", "_include", "_revinclude", "_include:iterate", "_revinclude:iterate", "_include:recurse",
        "_revinclude:recurse", "_summary", "_elements", "_total", "_format", "_pretty", "_cursor", "_type", "_contained",
        "_containedType", "_maxresults",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Include:
    """`_include` or `_revinclude`: from `source` through `code`, perhaps only to or from `target`."""

    source: str
    code: str
    target: str
    iterate: bool


@dataclass(slots=True)
class SearchRequest:
    """Result parameters, and criteria as (name, value) still to be understood per type."""

    types: tuple[str, ...] = ()
    criteria: list[tuple[str, str]] = field(default_factory=list)
    includes: list[Include] = field(default_factory=list)
    revincludes: list[Include] = field(default_factory=list)
    sort: list[tuple[str, bool]] = field(default_factory=list)
    count: int = DEFAULT_COUNT
    total: Total = ""
    summary: Summary = ""
    elements: tuple[str, ...] = ()
    cursor: str = ""
    used: list[tuple[str, str]] = field(default_factory=list)
    """Parameters as understood, for the self link; without the cursor."""


def pairs(query: bytes | str) -> list[tuple[str, str]]:
    """Decoded parameters of a query string or form. Raises `BadRequestError`."""
    text = query.decode("latin-1") if isinstance(query, bytes) else query
    if not text:
        return []
    try:
        found = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_PARAMETERS)
    except UnicodeDecodeError as error:
        raise BadRequestError(Text("The query is not valid UTF-8.", "پرس‌وجو UTF-8 معتبر نیست.")) from error
    except ValueError as error:
        raise BadRequestError(
            Text(f"A search may have {MAX_PARAMETERS} parameters.", f"جست‌وجو حداکثر {MAX_PARAMETERS} پارامتر می‌پذیرد."),
            code="too-costly",
        ) from error
    if any("\0" in name or "\0" in value for name, value in found):
        raise BadRequestError(Text("The query holds a NUL character.", "پرس‌وجو نویسهٔ تهی دارد."))
    return found


def understand(types: tuple[str, ...], parameters: Sequence[tuple[str, str]]) -> SearchRequest:
    """Sort out result parameters. Raises `BadRequestError` naming the one that cannot be used."""
    request = SearchRequest(types=types)
    seen: set[str] = set()
    for asked, given in parameters:
        # fhirpy counts in the words of Aidbox.
        name, value = ("_total", _TOTAL_METHODS.get(given, given)) if asked == "_totalMethod" else (asked, given)
        if name not in RESULT:
            if value != "":  # an empty value asks nothing (http://hl7.org/fhir/R4/search.html#lenient)
                request.criteria.append((name, value))
                request.used.append((name, value))
            continue
        if name in _ONCE and name in seen:
            raise _bad(name, "is given twice", "دو بار آمده است")
        seen.add(name)
        _READERS[name](request, name, value)
        if name not in ("_cursor", "_format", "_pretty"):
            request.used.append((name, value))
    return request


_TOTAL_METHODS = {"count": "accurate"}
_ONCE = frozenset({"_count", "_summary", "_elements", "_total", "_cursor", "_sort"})


def _bad(name: str, en: str, fa: str) -> BadRequestError:
    return BadRequestError(
        Text(f"Search parameter {name} {en}.", f"پارامتر جست‌وجوی {name} {fa}."), code="value", rule="search-parameter"
    )


def _count(request: SearchRequest, name: str, value: str) -> None:
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        raise _bad(name, f"must be a whole number, not {value!r}", "باید عدد صحیح نامنفی باشد")
    request.count = min(int(value), MAX_COUNT)
    if request.count == 0:
        request.summary = "count"


def _sort(request: SearchRequest, name: str, value: str) -> None:
    for part in value.split(","):
        code = part.removeprefix("-").partition(":")[0]
        if not code:
            raise _bad(name, "has an empty key", "کلید خالی دارد")
        request.sort.append((code, part.startswith("-")))
    if len(request.sort) > 5:
        raise _bad(name, "takes at most five keys", "حداکثر پنج کلید می‌پذیرد")


def _summary(request: SearchRequest, name: str, value: str) -> None:
    match value:
        case "true" | "false" | "text" | "data" | "count":
            if request.summary != "count":
                request.summary = value
        case _:
            raise _bad(
                name, "is one of true, text, data, count, false", "باید یکی از true، text، data، count و false باشد"
            )


def _elements(request: SearchRequest, _name: str, value: str) -> None:
    request.elements = tuple(part.strip() for part in value.split(",") if part.strip())


def _total(request: SearchRequest, name: str, value: str) -> None:
    match value:
        case "none" | "estimate" | "accurate":
            request.total = value
        case _:
            raise _bad(name, "is one of none, estimate, accurate", "باید یکی از none، estimate و accurate باشد")


def _cursor(request: SearchRequest, _name: str, value: str) -> None:
    request.cursor = value


def _ignore(_request: SearchRequest, _name: str, _value: str) -> None:
    """`_format` and `_pretty` are read by the edge; `_type` by the system search."""


def _contained(_request: SearchRequest, name: str, value: str) -> None:
    if value not in ("false", ""):
        raise NotSupportedError(
            Text(
                f"{name}={value} is not supported: contained resources are not searched.",
                "جست‌وجو در منابع درون‌گنجانده پشتیبانی نمی‌شود.",
            )
        )


def _include(request: SearchRequest, name: str, value: str) -> None:
    parts = value.split(":")
    if value == "*":
        parts = [request.types[0] if len(request.types) == 1 and name.startswith("_include") else "*", "*"]
    if len(parts) not in (2, 3) or not all(parts):
        raise _bad(
            name, f"must be Type:parameter or Type:parameter:Target, not {value!r}", "باید به شکل Type:parameter باشد"
        )
    source, code, target = parts[0], parts[1], parts[2] if len(parts) == 3 else ""
    if source not in definitions.RESOURCE_TYPES and (source, code) != ("*", "*"):
        raise _bad(name, f"names an unknown type {source!r}", f"نوع ناشناختهٔ {source} دارد")
    if target and target not in definitions.RESOURCE_TYPES:
        raise _bad(name, f"names an unknown type {target!r}", f"نوع ناشناختهٔ {target} دارد")
    if code != "*":
        parameter = definitions.search_parameters(source).get(code)
        if parameter is None or parameter.type != "reference":
            raise _bad(
                name,
                f"names {source}:{code}, which is no reference parameter",
                f"پارامتر ارجاعی {source}:{code} را ندارد",
            )
    wanted = Include(source, code, target, iterate=name.endswith((":iterate", ":recurse")))
    (request.includes if name.startswith("_include") else request.revincludes).append(wanted)
    if len(request.includes) + len(request.revincludes) > 20:
        raise _bad(name, "is given too often: at most 20 includes", "بیش از بیست بار آمده است")


_READERS = {
    "_sort": _sort,
    "_count": _count,
    "_summary": _summary,
    "_elements": _elements,
    "_total": _total,
    "_cursor": _cursor,
    "_format": _ignore,
    "_pretty": _ignore,
    "_type": _ignore,
    "_maxresults": _count,
    "_contained": _contained,
    "_containedType": _contained,
    **{name: _include for name in RESULT if name.startswith(("_include", "_revinclude"))},
}
