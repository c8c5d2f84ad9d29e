"""$expand, $lookup, $validate-code and $subsumes over the shipped code systems and a Tenant's own.

http://hl7.org/fhir/R4/terminology-service.html. Results are FHIR resources as dicts; errors are `FhirError`s.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from sandbox.fhir import codesystems
from sandbox.fhir.codesystems import GRAMMARS, CodeSystem, Concept, Inclusion, ValueSet
from sandbox.fhir.folding import fold
from sandbox.fhir.outcomes import BadRequestError, Language, NotFoundError, Text, UnprocessableError

MAX_EXPANSION: Final = 10_000
MAX_SEARCHED: Final = 500
MAX_NESTING: Final = 20
Members = dict[tuple[str, str], str]
"""(system, code) -> display, in the order of the definition."""

Resolve = Callable[[str, str], Mapping[str, Any] | None]
"""(resource type, canonical URL) -> the Tenant's own CodeSystem or ValueSet, or None."""


def _nothing(resource_type: str, url: str) -> None:
    return None


class UncountableError(Exception):
    """A value set whose members cannot be listed here; `system` is why."""

    def __init__(self, system: str) -> None:
        self.system = system
        super().__init__(system)


class Terminology:
    """The operations, over shipped tables and whatever `resolve` finds first."""

    def __init__(self, resolve: Resolve = _nothing) -> None:
        self._resolve = resolve
        self._systems: dict[str, CodeSystem | None] = {}

    def own(self, resource_type: str, url: str) -> Mapping[str, Any] | None:
        """A resource of the Tenant's own by canonical URL."""
        return self._resolve(resource_type, url)

    def system(self, url: str) -> CodeSystem | None:
        if url not in self._systems:
            own = self._resolve("CodeSystem", url)
            self._systems[url] = codesystems.code_system_of(own) if own is not None else codesystems.code_system(url)
        return self._systems[url]

    def value_set(self, canonical: str) -> ValueSet:
        """A value set by canonical URL, `|version` honoured. Raises `NotFoundError`."""
        url, _, version = canonical.partition("|")
        own = self._resolve("ValueSet", url)
        found = codesystems.value_set_of(own) if own is not None else codesystems.value_set(url)
        if found is None or (version and found.version and version != found.version):
            raise NotFoundError(
                Text(f"The value set {canonical} is not known here.", f"مجموعه‌مقدار {canonical} در اینجا شناخته نیست."),
                rule="value-set-unknown",
            )
        return found

    # --- membership -------------------------------------------------------------------------------------------------

    def members(self, value_set: ValueSet, path: tuple[str, ...] = ()) -> Members:
        """All members. Raises `UncountableError` when a part cannot be listed."""
        if len(path) > MAX_NESTING or (value_set.url and value_set.url in path):
            raise UnprocessableError(
                Text(
                    f"The value set {value_set.url} includes itself.", f"مجموعه‌مقدار {value_set.url} خود را در بر دارد."
                ),
                rule="value-set-cycle",
            )
        found: Members = {}
        for inclusion in value_set.include:
            found |= self._included(inclusion, (*path, value_set.url))
            if len(found) > MAX_EXPANSION:
                raise _too_many()
        for exclusion in value_set.exclude:
            for member in self._included(exclusion, (*path, value_set.url)):
                found.pop(member, None)
        return found

    def _included(self, inclusion: Inclusion, path: tuple[str, ...]) -> Members:
        found: Members | None = self._of_system(inclusion) if inclusion.system else None
        # Several value sets, or a system with value sets, mean their intersection.
        for canonical in inclusion.value_sets:
            other = self.members(self.value_set(canonical), path)
            found = other if found is None else {k: v for k, v in found.items() if k in other}
        return found or {}

    def _of_system(self, inclusion: Inclusion) -> Members:
        system = self.system(inclusion.system)
        if inclusion.codes is not None:
            shown = system.concepts if system else {}
            return {
                (inclusion.system, code): display or (shown[code].display if code in shown else "")
                for code, display in inclusion.codes
            }
        if system is None or inclusion.external:
            raise UncountableError(inclusion.system)
        concepts = [
            c
            for c in system.concepts.values()
            if c.selectable and all(_passes(system, c, f) for f in inclusion.filters)
        ]
        return {(system.url, c.code): c.display for c in concepts}

    def contains(self, value_set: ValueSet, system: str, code: str) -> bool | None:
        """Whether a code belongs; None when this server cannot know. An empty system matches any."""
        try:
            members = self.members(value_set)
        except UncountableError:
            return self._contains_part_by_part(value_set, system, code)
        if system:
            own = self.system(system)
            concept = own.find(code) if own else None
            return (system, concept.code if concept else code) in members
        return any(c == code for _, c in members)

    def _contains_part_by_part(self, value_set: ValueSet, system: str, code: str) -> bool | None:
        unknown = False
        for inclusion in value_set.include:
            part = ValueSet("", "", "", (inclusion,), ())
            try:
                if any(c == code and system in {"", s} for s, c in self.members(part)):
                    return not value_set.exclude or None
            except UncountableError as error:
                grammar = GRAMMARS.get(error.system)
                applies = system in {"", error.system} and not inclusion.external
                if applies and grammar and not inclusion.filters and grammar(code):
                    return True
                unknown = unknown or (
                    system in {"", error.system} and not (grammar and not inclusion.filters and not inclusion.external)
                )
        return None if unknown else False

    def codes_in(self, canonical: str) -> Members:
        """The members of a value set, for `:in` and `:not-in`. Raises `NotFoundError` or `UnprocessableError`."""
        try:
            return self.members(self.value_set(canonical))
        except UncountableError as error:
            raise uncountable(error.system) from None

    # --- operations -------------------------------------------------------------------------------------------------

    def expand(
        self,
        value_set: ValueSet,
        *,
        now: str,
        text: str = "",
        offset: int = 0,
        count: int | None = None,
        designations: bool = False,
    ) -> dict[str, Any]:
        """The ValueSet with its expansion at `now` (an instant). `text` filters displays and codes, folded.

        Raises `UnprocessableError` when a part belongs to a system that does not ship.
        """
        try:
            members = self.members(value_set)
        except UncountableError as error:
            raise uncountable(error.system) from None
        wanted = fold(text)
        rows = [
            (s, c, d) for (s, c), d in members.items() if not wanted or wanted in fold(d) or fold(c).startswith(wanted)
        ]
        page = rows[offset : offset + count] if count is not None else rows[offset:]
        parameters = [
            {"name": n, k: v} for n, k, v in (("filter", "valueString", text), ("offset", "valueInteger", offset)) if v
        ]
        if count is not None:
            parameters.append({"name": "count", "valueInteger": count})
        expansion: dict[str, Any] = {"timestamp": now, "total": len(rows), "offset": offset, "parameter": parameters}
        expansion["contains"] = [_contained(*row, self.system(row[0]) if designations else None) for row in page]
        made = {"resourceType": "ValueSet", "url": value_set.url, "name": value_set.name, "version": value_set.version}
        found = {k: v for k, v in made.items() if v}
        return found | {"status": "active", "expansion": {k: v for k, v in expansion.items() if v not in ([], "")}}

    def lookup(self, system: str, code: str, wanted: Collection[str] = ()) -> dict[str, Any]:
        """Parameters with name, display, definition, parents and children, or the properties `wanted`. Raises `NotFoundError`."""
        table = self.system(system)
        if table is None:
            if system in GRAMMARS and GRAMMARS[system](code):
                return _parameters([("name", "valueString", system), ("display", "valueString", code)])
            raise NotFoundError(
                Text(
                    f"The code system {system} is not available here.",
                    f"سامانهٔ کدگذاری {system} در اینجا در دسترس نیست.",
                ),
                code="not-found",
                rule="code-system-unknown",
            )
        concept = table.find(code)
        if concept is None:
            raise NotFoundError(
                Text(f"{system} has no code {code!r}.", f"کد «{code}» در {system} نیست."),
                code="code-invalid",
                rule="code-unknown",
            )
        rows = [
            ("name", "valueString", table.name),
            ("version", "valueString", table.version),
            ("display", "valueString", concept.display),
        ]
        made = _parameters([*rows, ("definition", "valueString", concept.definition)])
        children = [c.code for c in table.concepts.values() if concept.code in c.parents]
        for name, codes in (("parent", concept.parents), ("child", children)):
            for related in codes if not wanted or name in wanted else ():
                part = [{"name": "code", "valueCode": name}, {"name": "value", "valueCode": related}]
                made["parameter"].append({"name": "property", "part": part})
        return made

    def validate_code(
        self,
        *,
        code: str,
        system: str = "",
        display: str = "",
        value_set: ValueSet | None = None,
        language: Language = "en",
    ) -> dict[str, Any]:
        """Parameters with `result`, and `message` and `display` where they help."""
        table = self.system(system) if system else None
        concept = table.find(code) if table else None
        problem = self._code_problem(code, system, table, concept) if system else None
        if problem is None and value_set is not None:
            belongs = self.contains(value_set, system, code)
            if belongs is None:
                problem = Text(
                    f"{value_set.url} draws on a code system that is not available here, so this cannot be told.",
                    f"{value_set.url} از سامانه‌ای می‌گیرد که در اینجا در دسترس نیست؛ پس نمی‌توان داوری کرد.",
                )
            elif not belongs:
                problem = Text(f"{code!r} is not in {value_set.url}.", f"کد «{code}» در {value_set.url} نیست.")
        if problem is None and display and concept and fold(display) != fold(concept.display):
            problem = Text(
                f"The display of {code!r} is {concept.display!r}.", f"عنوان کد «{code}»، «{concept.display}» است."
            )
        rows: list[tuple[str, str, Any]] = [("result", "valueBoolean", problem is None)]
        rows.append(("message", "valueString", problem.in_(language) if problem else ""))
        return _parameters([*rows, ("display", "valueString", concept.display if concept else "")])

    def _code_problem(self, code: str, system: str, table: CodeSystem | None, concept: Concept | None) -> Text | None:
        if table is None:
            grammar = GRAMMARS.get(system)
            if grammar is None:
                return Text(
                    f"The code system {system} is not available here, so this cannot be told.",
                    f"سامانهٔ {system} در اینجا در دسترس نیست؛ پس نمی‌توان داوری کرد.",
                )
            if grammar(code):
                return None
        if concept is None:
            return Text(f"{system} has no code {code!r}.", f"کد «{code}» در {system} نیست.")
        return None

    def subsumes(self, system: str, first: str, second: str) -> dict[str, Any]:
        """Parameters with `outcome`: equivalent, subsumes, subsumed-by or not-subsumed. Raises `NotFoundError`."""
        table = self.system(system)
        if table is None or table.find(first) is None or table.find(second) is None:
            self.lookup(system, first)
            self.lookup(system, second)
            raise BadRequestError(
                Text(f"{system} has no hierarchy.", f"{system} سلسله‌مراتب ندارد."), code="not-supported"
            )
        outcome = "not-subsumed"
        if first == second:
            outcome = "equivalent"
        elif table.is_a(second, first):
            outcome = "subsumes"
        elif table.is_a(first, second):
            outcome = "subsumed-by"
        return _parameters([("outcome", "valueCode", outcome)])


def _passes(system: CodeSystem, concept: Concept, condition: tuple[str, str, str]) -> bool:
    prop, op, value = condition
    if prop == "concept" and op == "is-a":
        return system.is_a(concept.code, value)
    if prop == "concept" and op == "descendent-of":
        return concept.code != value and system.is_a(concept.code, value)
    if prop == "concept" and op == "is-not-a":
        return not system.is_a(concept.code, value)
    if prop == "parent" and op == "=":
        return value in concept.parents
    raise UncountableError(system.url)


def _contained(system: str, code: str, display: str, table: CodeSystem | None) -> dict[str, Any]:
    row = {"system": system, "code": code} | ({"display": display} if display else {})
    concept = table.concepts.get(code) if table else None
    if concept is not None and concept.definition:
        use = {"system": "http://terminology.hl7.org/CodeSystem/designation-usage", "code": "definition"}
        return row | {"designation": [{"use": use, "value": concept.definition}]}
    return row


def _parameters(rows: list[tuple[str, str, Any]]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": n, k: v} for n, k, v in rows if v != ""]}


def _too_many() -> UnprocessableError:
    return UnprocessableError(
        Text(f"The expansion has more than {MAX_EXPANSION} codes.", f"گسترش بیش از {MAX_EXPANSION} کد دارد."),
        code="too-costly",
        rule="expansion-too-large",
    )


def uncountable(system: str) -> UnprocessableError:
    return UnprocessableError(
        Text(f"The codes of {system} cannot be listed here.", f"کدهای {system} را نمی‌توان در اینجا فهرست کرد."),
        code="not-supported",
        rule="code-system-unknown",
        hint=Text(
            "HL7's own code systems ship with the sandbox; others can be created as CodeSystem resources.",
            "سامانه‌های کدگذاری HL7 همراه محیط آزمایشی است؛ بقیه را می‌توانید به‌صورت منبع CodeSystem بسازید.",
        ),
    )
