"""Run a search and lay its searchset Bundle out as one flat join of stored bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any
from urllib.parse import quote, urlencode

import orjson

from sandbox.fhir import definitions
from sandbox.fhir.outcomes import BadRequestError, Issue, Language, Text, outcome
from sandbox.kernel.errors import TooCostlyError
from sandbox.search import includes
from sandbox.search.compile import Compiler
from sandbox.search.criteria import BROAD, OWNED, Arm, Criterion, Query, SortKey
from sandbox.search.cursors import Cursors, question_of
from sandbox.search.drivers import rank
from sandbox.search.includes import Found
from sandbox.search.projection import project
from sandbox.search.refining import refine
from sandbox.search.request import SearchRequest
from sandbox.search.sql import count_sql, page_sql, vids_sql
from sandbox.storage.repository import Store
from sandbox.tenants.service import Tenant

CHEAP_TOTAL = 1_000
ESTIMATE = 50_000
EXACT = 2_000_000_000


@dataclass(slots=True)
class Page:
    """One page of results, before it becomes a Bundle."""

    rows: list[Found]
    total: int | None
    following: list[Any] | None
    previous: list[Any] | None


@dataclass(slots=True)
class Question:
    """A compiled search: the query's shape, its arguments, and what the cursor is bound to."""

    query: Query
    args: list[Any]
    asked: Sequence[tuple[str, str]]
    where: str

    @property
    def binding(self) -> bytes:
        """What a cursor is bound to."""
        kept = [(n, v) for n, v in self.asked if n not in ("_count", "_total", "_summary", "_elements")]
        return question_of(kept, self.where)


def compile_question(
    compiler: Compiler, request: SearchRequest, where: str, extra: Sequence[Criterion] = ()
) -> Question:
    """All types of a request as one query; `extra` criteria (a compartment) apply to each type."""
    arms, args = [], []
    for rtype in request.types:
        found = [*extra, *compiler.conjunction(rtype, request.criteria)]
        arms.append(Arm(compiler.dictionary.types[rtype], tuple(c.shape for c in found)))
        args += [a for c in found for a in c.args]
    sort = _sort(compiler, request)
    return Question(Query(tuple(arms), sort), args, request.used, where)


def _sort(compiler: Compiler, request: SearchRequest) -> tuple[SortKey, ...]:
    if len(request.types) > 1 and any(code not in ("_id", "_lastUpdated") for code, _ in request.sort):
        raise BadRequestError(
            Text(
                "Across types, only _id and _lastUpdated sort.",
                "در جست‌وجوی چند نوع تنها ‎_id و ‎_lastUpdated مرتب می‌شوند.",
            ),
            code="not-supported",
        )
    first = request.types[0] if request.types else "Patient"
    return tuple(compiler.sort_key(first, code, descending) for code, descending in request.sort)


async def find(
    store: Store, tenant: Tenant, request: SearchRequest, question: Question, cursors: Cursors, now: int
) -> Page:
    """The rows of one page, its edges for the links, and the total when it is asked for or cheap."""
    database, query = store.database, question.query
    base = [tenant.layer, tenant.base_layer]
    if request.summary == "count":
        return Page([], await _count(store, base, question, EXACT), None, None)
    query = await refine(database, tenant, query, question.args)
    if database.dialect == "sqlite" and not await database.rows(_HIDES, (tenant.layer,)):
        query = replace(query, shadowed=False)
    question.query = query
    if not query.arms:
        return Page([], 0, None, None)
    if _owned(query, request):
        return await _owned_page(store, base, question, request)
    args, backwards = [*question.args], False
    if request.cursor:
        backwards, after = cursors.read(
            request.cursor, tenant=f"{tenant.tenant}/{tenant.revision}", question=question.binding, now=now
        )
        if len(after) != len(query.sort) + 1:
            raise BadRequestError(
                Text("The page link belongs to another search.", "پیوند صفحه از آنِ جست‌وجوی دیگری است.")
            )
        query = replace(query, after=True, backwards=backwards)
        args += after
    rows = await database.rows(page_sql(query, database.dialect), [*base, request.count + 1, *args])
    if not query.sort:
        rows.sort(key=_vid, reverse=not backwards)
    more = len(rows) > request.count
    rows = rows[: request.count]
    if backwards:
        rows = rows[::-1]
    ahead = bool(rows) and (more or backwards)
    behind = bool(rows) and bool(request.cursor) and (more or not backwards)
    page = Page(
        [(r[0], r[1], r[2], r[3]) for r in rows],
        None,
        [*rows[-1][4:], rows[-1][0]] if ahead else None,
        [*rows[0][4:], rows[0][0]] if behind else None,
    )
    page.total = await _total(store, base, question, request, page)
    return page


_vid = itemgetter(0)
_HIDES = "SELECT 1 FROM shadow WHERE layer=?1 LIMIT 1"


def _owned(query: Query, request: SearchRequest) -> bool:
    """Whether a first page is narrow enough to look at everything that matches: what belongs to one patient, say."""
    plain = not request.cursor and not query.sort and request.total != "none"
    return plain and all(min((rank(s) for s in arm.where), default=BROAD) <= OWNED for arm in query.arms)


async def _owned_page(store: Store, base: list[int], question: Question, request: SearchRequest) -> Page:
    """First page and exact total in one walk of the index; then the bodies of the page alone."""
    database, most = store.database, max(CHEAP_TOTAL, request.count) + 1
    found = await database.rows(vids_sql(question.query, database.dialect), [*base, most, *question.args])
    vids = [row[0] for row in found]
    page = Page(await store.bodies.of(vids[: request.count]), len(vids), None, None)
    if len(vids) > request.count and page.rows:
        page.following = [page.rows[-1][0]]
    if len(vids) == most:
        page.total = await _total(store, base, question, request, page)
    return page


async def _total(store: Store, base: list[int], question: Question, request: SearchRequest, page: Page) -> int | None:
    if not request.cursor and page.following is None:
        return len(page.rows)
    match request.total:
        case "none":
            return None
        case "accurate":
            return await _count(store, base, question, EXACT)
        case "estimate":
            return await _count(store, base, question, ESTIMATE)
    try:
        counted = await _count(store, base, question, CHEAP_TOTAL, hurry=True)
    except TooCostlyError:
        return None
    return counted if counted < CHEAP_TOTAL else None


async def _count(store: Store, base: list[int], question: Question, limit: int, *, hurry: bool = False) -> int:
    if not question.query.arms:
        return 0
    database = store.database
    sql = count_sql(question.query, database.dialect)
    rows = await database.rows(sql, [*base, limit, *question.args], hurry=hurry)
    return int(rows[0][0])


@dataclass(slots=True)
class Rendering:
    """Where links point and how much of each resource is shown."""

    base_url: str
    path: str
    language: Language
    query: bytes = b""
    """The query as it came, when it can stand in links as it is."""


def bundle(
    page: Page,
    included: includes.Included | None,
    request: SearchRequest,
    rendering: Rendering,
    type_names: dict[int, str],
    links: tuple[str, str],
    warnings: Sequence[Issue] = (),
) -> bytes:
    """The searchset. `links` are the cursors of the next and the previous page, or empty."""
    used = [(n, str(request.count)) if n == "_count" else (n, v) for n, v in request.used]
    parts: list[bytes] = [b'{"resourceType":"Bundle","type":"searchset"']
    if page.total is not None:
        parts.append(b',"total":%d' % page.total)
    parts.append(b',"link":[' + b",".join(_links(rendering, used, links)) + b"]")
    entries = _entries(page.rows, request, rendering, type_names, b',"search":{"mode":"match"}}')
    if included is not None:
        entries += _entries(included.rows, request, rendering, type_names, b',"search":{"mode":"include"}}')
    if warnings:
        body = orjson.dumps(outcome(warnings, rendering.language))
        entries += [b',{"resource":', body, b',"search":{"mode":"outcome"}}']
    if entries:
        entries[0] = entries[0][1:]
        parts += [b',"entry":[', *entries, b"]"]
    parts.append(b"}")
    return b"".join(parts)


def _entries(
    rows: list[Found], request: SearchRequest, rendering: Rendering, type_names: dict[int, str], tail: bytes
) -> list[bytes]:
    whole = request.summary in ("", "false") and not request.elements
    heads: dict[int, bytes] = {}
    parts: list[bytes] = []
    for _, rtype, fid, body in rows:
        head = heads.get(rtype)
        if head is None:
            head = heads[rtype] = f',{{"fullUrl":"{rendering.base_url}/{type_names[rtype]}/'.encode()
        shown = body if whole else project(body, summary=request.summary, elements=request.elements)
        parts += (head, fid.encode(), b'","resource":', shown, tail)
    return parts


def _links(rendering: Rendering, used: list[tuple[str, str]], links: tuple[str, str]) -> list[bytes]:
    base = f"{rendering.base_url}/{rendering.path}" if rendering.path else rendering.base_url
    query = rendering.query.decode() if rendering.query else urlencode(used, quote_via=quote, safe=":,|/$*")
    made = [_link("self", f"{base}?{query}" if query else base)]
    for relation, cursor in zip(("next", "previous"), links, strict=True):
        if cursor:
            made.append(_link(relation, f"{base}?{query}{'&' if query else ''}_cursor={cursor}"))
    if links[1]:
        made.append(_link("first", f"{base}?{query}" if query else base))
    return made


def _link(relation: str, url: str) -> bytes:
    return b'{"relation":"%s","url":%s}' % (relation.encode(), orjson.dumps(url))


def cursor_links(cursors: Cursors, tenant: Tenant, page: Page, question: Question, now: int) -> tuple[str, str]:
    """Cursors of the next and the previous page, "" where there is none."""
    if page.following is None and page.previous is None:
        return "", ""
    where, binding = f"{tenant.tenant}/{tenant.revision}", question.binding

    def cursor(edge: list[Any] | None, *, backwards: bool) -> str:
        if edge is None:
            return ""
        return cursors.make(edge, tenant=where, question=binding, now=now, backwards=backwards)

    return cursor(page.following, backwards=False), cursor(page.previous, backwards=True)


def types_of(parameters: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Types named by `_type`. Raises `BadRequestError` for an unknown one."""
    named = [part for name, value in parameters if name == "_type" for part in value.split(",") if part]
    for name in named:
        if name not in definitions.RESOURCE_TYPES:
            raise BadRequestError(
                Text(f"_type names an unknown resource type {name!r}.", f"‎_type نوع ناشناختهٔ «{name}» دارد."),
                code="value",
            )
    return tuple(dict.fromkeys(named))
