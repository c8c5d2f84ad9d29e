"""The Tenant's own code systems and value sets, fetched ahead of whatever cannot wait for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sandbox.exchange.calls import Call
from sandbox.fhir import searchvalues
from sandbox.fhir.profiles import targets_of
from sandbox.fhir.terminology import Terminology
from sandbox.search import service
from sandbox.search.compile import Compiler
from sandbox.search.request import understand
from sandbox.security.access import Limit
from sandbox.storage.encoding import load

_LOOKED_UP = 100
_SETS, _HIERARCHIES = ("in", "not-in"), ("above", "below")


class OwnTerms:
    """The Tenant's CodeSystems and ValueSets that an operation or a search may need, fetched ahead of it.

    `whole` looks at all of the Tenant's, for what binds every caller alike.
    """

    def __init__(self, call: Call, *, whole: bool = False) -> None:
        self._call, self._whole = call, whole
        self._found: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    def resolve(self, resource_type: str, url: str) -> Mapping[str, Any] | None:
        return self._found.get((resource_type, url))

    def add(self, resource: Mapping[str, Any]) -> None:
        self._found[str(resource.get("resourceType")), str(resource.get("url", ""))] = resource

    async def fetch(self, *wanted: tuple[str, str]) -> None:
        """Look up these and whatever they include, as far as the caller may see."""
        queue = [(kind, url.partition("|")[0]) for kind, url in wanted if url]
        for given in list(self._found.values()):
            queue += _included(given or {})
        while queue and len(self._found) < _LOOKED_UP:
            key = queue.pop()
            if key not in self._found:
                self._found[key] = await self._by_url(*key)
                queue += _included(self._found[key] or {})

    async def _by_url(self, resource_type: str, url: str) -> Mapping[str, Any] | None:
        call = self._call
        if not self._whole and not call.access.limits(resource_type, "s"):
            return None
        named = [("url", searchvalues.escape(url))]
        if url.startswith(f"{resource_type}/"):
            named = [("_id", searchvalues.escape(url))]
        found = await bodies(call, resource_type, [*named, ("_sort", "-_lastUpdated")], 1, whole=self._whole)
        return found[0] if found else None


async def bodies(
    call: Call, rtype: str, criteria: Sequence[tuple[str, str]], most: int, *, whole: bool = False
) -> list[Mapping[str, Any]]:
    """Resources that a search finds, within the caller's limits or in the `whole` Tenant."""
    request = understand((rtype,), criteria)
    request.count, request.total = most, "none"
    compiler = call.services.compiler(call.access, call.now)
    if whole:
        compiler.limits = lambda _: (Limit(),)
    question = service.compile_question(compiler, request, rtype)
    page = await service.find(call.services.store, call.tenant, request, question, call.services.cursors, call.now)
    return [load(row[3]) for row in page.rows]


def _included(resource: Mapping[str, Any]) -> list[tuple[str, str]]:
    if resource.get("resourceType") == "StructureDefinition":
        return targets_of(resource)
    compose = resource.get("compose")
    if not isinstance(compose, dict):
        return []
    parts = [p for name in ("include", "exclude") for p in compose.get(name) or () if isinstance(p, dict)]
    found = [("CodeSystem", str(p["system"])) for p in parts if p.get("system")]
    return found + [("ValueSet", str(url).partition("|")[0]) for p in parts for url in p.get("valueSet") or ()]


async def compiler_for(
    call: Call, criteria: Iterable[tuple[str, str]], *, letter: str = "s", lenient: bool = False
) -> Compiler:
    """The caller's compiler, knowing those of the Tenant's own value sets and code systems that `criteria` draw on."""
    compiler = call.services.compiler(call.access, call.now, letter=letter, lenient=lenient)
    wanted = list(_named(criteria))
    if wanted:
        own = OwnTerms(call)
        await own.fetch(*wanted)
        compiler.terms = Terminology(own.resolve)
    return compiler


def _named(criteria: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    for name, value in criteria:
        modifier = name.rpartition(":")[2]
        if modifier in _SETS:
            yield "ValueSet", searchvalues.unescape(value)
        elif modifier in _HIERARCHIES:
            for part in searchvalues.split(value, ","):
                system, bar, _ = part.rpartition("|")
                if bar:
                    yield "CodeSystem", searchvalues.unescape(system)
