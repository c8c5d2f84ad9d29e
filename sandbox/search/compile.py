"""Criteria as asked -> criteria as SQL shapes, with the caller's limits woven into every type that is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sandbox.fhir import definitions, searchvalues
from sandbox.fhir.definitions import SearchParameter
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.fhir.terminology import Terminology
from sandbox.search import matching, special, values
from sandbox.search.criteria import (
    AnyOf,
    Chain,
    Criterion,
    Has,
    Member,
    Missing,
    Never,
    Outside,
    SortKey,
    either,
)
from sandbox.search.request import pairs
from sandbox.security.access import Apart, Limit
from sandbox.storage.dictionary import SECURITY_CONTEXT, UNKNOWN, Dictionary

MAX_CHAIN = 4
_WHOLE = (Limit(),)
_REMEMBERED = 20_000
_TIMELESS = frozenset({"token", "reference", "string", "uri"})
LimitsOf = Callable[[str], tuple[Limit, ...]]


@dataclass(slots=True)
class Compiler:
    """Compiles the criteria of one search.

    `limits` gives the caller's ways of searching a type, `terms` what value sets and code systems mean; `unknown` collects
    code systems that this process has not met.
    """

    dictionary: Dictionary
    limits: LimitsOf
    terms: Terminology
    base_url: str
    now: int
    lenient: bool = False
    unknown: set[str] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)
    known: dict[tuple[str, str, str], Criterion] = field(default_factory=dict)
    """Criteria by type, parameter and value: what they compile to never changes once all their systems have numbers."""

    def conjunction(self, rtype: str, parameters: Iterable[tuple[str, str]]) -> list[Criterion]:
        """All criteria on `rtype`, its limits included."""
        found = self._asked(rtype, parameters, depth=0)
        return [*found, *self._limited(rtype)]

    def _asked(self, rtype: str, parameters: Iterable[tuple[str, str]], depth: int) -> list[Criterion]:
        found = []
        for name, value in parameters:
            criterion = self._criterion(rtype, name, value, depth)
            if criterion is not None:
                found.append(criterion)
        return found

    def _limited(self, rtype: str) -> list[Criterion]:
        ways = self.limits(rtype)
        if not ways:
            return [Criterion(Never())]
        parts: list[list[Criterion]] = []
        for way in ways:
            part = self._asked(rtype, pairs(way.query), depth=0) if way.query else []
            if rtype == "Binary":
                part += self._by_context(way)
            elif way.compartment is not None:
                part.insert(0, member(*way.compartment))
            if way.apart:
                part += self._apart(rtype, way.apart)
            if not part:
                return []
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        shapes = tuple(tuple(c.shape for c in part) for part in parts)
        return [Criterion(AnyOf(shapes), tuple(arg for part in parts for c in part for arg in c.args))]

    def _apart(self, rtype: str, kept: tuple[Apart, ...]) -> list[Criterion]:
        """Outside of everything that consent keeps from the caller: one criterion for each set of labels."""
        by_labels: dict[tuple[str, ...], list[str]] = {}
        for one in kept:
            by_labels.setdefault(one.labels, []).append(one.patient)
        found = []
        for labels, patients in by_labels.items():
            inner = self._asked(rtype, [("_security", ",".join(labels))], depth=0) if labels else []
            if rtype in definitions.naming_patients():
                named = self._asked(rtype, [("patient", ",".join(f"Patient/{p}" for p in patients))], depth=0)
                part = [*named, *inner]
                shapes = tuple(c.shape for c in part)
                found.append(Criterion(AnyOf((shapes,), negated=True), tuple(arg for c in part for arg in c.args)))
                continue
            shape = Outside(len(patients), tuple(c.shape for c in inner))
            found.append(Criterion(shape, (*patients, *(arg for c in inner for arg in c.args))))
        return found

    def _by_context(self, way: Limit) -> list[Criterion]:
        """A Binary is guarded as its security context; without one it is for those whom no compartment bounds.

        http://hl7.org/fhir/R4/binary.html#security
        """
        others = {t: self.limits(t) for t in sorted(definitions.RESOURCE_TYPES) if t != "Binary"}
        if way.compartment is None and all(ways == _WHOLE for ways in others.values()):
            return []
        param = self.dictionary.params[SECURITY_CONTEXT]
        found = [Criterion(Missing("idx_reference", param, missing=True))] if way.compartment is None else []
        for rtype in (t for t, ways in others.items() if ways):
            inner = self._limited(rtype)
            shape = Chain(param, self.dictionary.types[rtype], tuple(c.shape for c in inner))
            found.append(Criterion(shape, tuple(arg for c in inner for arg in c.args)))
        return [either(found) if found else Criterion(Never())]

    # --- one parameter ------------------------------------------------------------------------------------------------

    def _criterion(self, rtype: str, name: str, value: str, depth: int) -> Criterion | None:
        if depth > MAX_CHAIN:
            raise BadRequestError(
                Text(f"{name}: a chain may have {MAX_CHAIN} links.", f"{name}: زنجیره حداکثر {MAX_CHAIN} حلقه دارد."),
                code="too-costly",
            )
        if name.startswith("_has:"):
            return self.has(rtype, name, value, depth)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if code == "_list" and not dot and not colon:
            return special.in_list(self, rtype, value)
        parameter = definitions.search_parameters(rtype).get(code)
        if parameter is None:
            self._unknown_parameter(rtype, name)
            return None
        if dot:
            return self._chain(rtype, parameter, modifier, rest, value, depth)
        if colon and modifier == "missing":
            return self._missing(rtype, parameter, searchvalues.boolean(value, name))
        own = special.SPECIAL.get(code)
        if own is not None:
            return own(self, rtype, name, value, modifier)
        if colon or parameter.type not in _TIMELESS:
            return matching.criterion(self, rtype, parameter, modifier, value)
        known = self.known.get((rtype, code, value))
        if known is None:
            known = matching.criterion(self, rtype, parameter, modifier, value)
            if not self.unknown:
                if len(self.known) >= _REMEMBERED:
                    self.known.clear()
                self.known[rtype, code, value] = known
        return known

    def _unknown_parameter(self, rtype: str, name: str) -> None:
        if self.lenient:
            self.ignored.append(name)
            return
        known = sorted(c for c in definitions.search_parameters(rtype) if not c.startswith("_"))
        raise BadRequestError(
            Text(f"{rtype} has no search parameter {name!r}.", f"نوع {rtype} پارامتر جست‌وجوی «{name}» ندارد."),
            code="not-supported",
            rule="search-parameter",
            hint=Text(
                f"It has {', '.join(known)}. Send 'Prefer: handling=lenient' to have unknown ones ignored.",
                f"پارامترها: {', '.join(known)}. برای نادیده گرفتن ناشناخته‌ها «Prefer: handling=lenient» بفرستید.",
            ),
        )

    def _missing(self, rtype: str, parameter: SearchParameter, missing: bool) -> Criterion:
        if parameter.code in ("_id", "_lastUpdated"):
            return Criterion(AnyOf(((Never(),),), negated=not missing))
        table = matching.TABLES.get(parameter.type)
        if table is None:
            raise BadRequestError(
                Text(f":missing does not apply to {parameter.code}.", f"‎:missing برای {parameter.code} معنا ندارد.")
            )
        return Criterion(Missing(table, self.dictionary.params[f"{rtype}.{parameter.code}"], missing))

    # --- across references --------------------------------------------------------------------------------------------

    def _chain(
        self, rtype: str, parameter: SearchParameter, hint: str, rest: str, value: str, depth: int
    ) -> Criterion | None:
        if parameter.type != "reference":
            raise BadRequestError(
                Text(
                    f"{parameter.code} is no reference and cannot be chained.",
                    f"{parameter.code} ارجاع نیست و زنجیره نمی‌پذیرد.",
                ),
                rule="search-chain",
            )
        if hint and hint not in parameter.targets:
            raise BadRequestError(
                Text(f"{parameter.code} does not refer to {hint!r}.", f"{parameter.code} به «{hint}» ارجاع نمی‌دهد."),
                rule="search-chain",
            )
        code = rest.partition(".")[0].partition(":")[0]
        targets = [
            t
            for t in (
                (hint,)
                if hint
                else (values.sole_target(parameter),)
                if values.sole_target(parameter)
                else parameter.targets
            )
            if code == "_has" or code in definitions.search_parameters(t)
        ]
        if not targets:
            self._unknown_parameter(hint or rtype, rest if hint else f"{parameter.code}.{rest}")
            return None
        param = self.dictionary.params[f"{rtype}.{parameter.code}"]
        found = []
        for target in targets:
            inner = self._asked(target, [(rest, value)], depth + 1) + self._limited(target)
            shape = Chain(param, self.dictionary.types[target], tuple(c.shape for c in inner))
            found.append(Criterion(shape, tuple(arg for c in inner for arg in c.args)))
        return either(found)

    def has(self, rtype: str, name: str, value: str, depth: int) -> Criterion:
        parts = name.split(":", 3)
        if len(parts) != 4 or not all(parts):
            raise BadRequestError(
                Text(
                    f"{name!r} must be _has:Type:reference:parameter.",
                    "باید به شکل ‎_has:Type:reference:parameter باشد.",
                ),
                rule="search-has",
            )
        _, source, code, rest = parts
        parameter = definitions.search_parameters(source).get(code) if source in definitions.RESOURCE_TYPES else None
        if parameter is None or parameter.type != "reference":
            raise BadRequestError(
                Text(f"{source} has no reference parameter {code!r}.", f"نوع {source} پارامتر ارجاعی «{code}» ندارد."),
                rule="search-has",
            )
        inner = self._asked(source, [(rest, value)], depth + 1) + self._limited(source)
        shape = Has(
            self.dictionary.types[source],
            self.dictionary.params[f"{source}.{code}"],
            tuple(c.shape for c in inner),
            self.dictionary.types[rtype],
        )
        return Criterion(shape, tuple(arg for c in inner for arg in c.args))

    # --- look-ups -----------------------------------------------------------------------------------------------------

    def system(self, uri: str) -> int:
        known = self.dictionary.systems.get(uri)
        if known is None:
            self.unknown.add(uri)
            return UNKNOWN
        return known

    def type_number(self, name: str) -> int:
        return self.dictionary.types[name]

    def sort_key(self, rtype: str, code: str, descending: bool) -> SortKey:
        if code == "_lastUpdated":
            return SortKey("updated", 0, descending)
        if code == "_id":
            return SortKey("fid", 0, descending)
        parameter = definitions.search_parameters(rtype).get(code)
        if parameter is None or parameter.type in ("composite", "special"):
            raise BadRequestError(
                Text(
                    f"_sort: {rtype} cannot be sorted by {code!r}.",
                    f"‎_sort: منابع {rtype} را نمی‌توان با «{code}» مرتب کرد.",
                ),
                code="not-supported",
                rule="search-sort",
            )
        return SortKey(matching.TABLES[parameter.type], self.dictionary.params[f"{rtype}.{code}"], descending)


def member(kind: str, owner: str) -> Criterion:
    """Membership in a compartment."""
    return Criterion(Member(), (_KINDS[kind], owner))


_KINDS = {"Patient": 1, "Practitioner": 2, "Encounter": 3, "RelatedPerson": 4, "Device": 5}
