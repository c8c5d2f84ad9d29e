"""Criteria as asked -> criteria as SQL shapes, with the caller's limits woven into every type that is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from sandbox.fhir import definitions, searchvalues
from sandbox.fhir.definitions import SearchParameter
from sandbox.fhir.outcomes import BadRequestError, NotSupportedError, Text
from sandbox.search import values
from sandbox.search.criteria import (
    BROAD,
    CODED,
    OWNED,
    SELECTIVE,
    UNIQUE,
    AnyOf,
    Chain,
    Criterion,
    Has,
    Ids,
    Listed,
    Match,
    Member,
    Missing,
    Never,
    Outside,
    Shape,
    SortKey,
    Updated,
    Words,
)
from sandbox.search.request import MAX_ALTERNATIVES, pairs
from sandbox.security.access import Apart, Limit
from sandbox.storage.dictionary import UNKNOWN, Dictionary

MAX_CHAIN = 4
TABLES = {
    "token": "idx_token",
    "string": "idx_string",
    "reference": "idx_reference",
    "date": "idx_date",
    "number": "idx_quantity",
    "quantity": "idx_quantity",
    "uri": "idx_uri",
    "composite": "idx_composite",
}
_MODIFIERS = {
    "token": {"not", "text", "in", "not-in", "of-type", "above", "below"},
    "string": {"exact", "contains"},
    "reference": {"identifier"},
    "uri": {"above", "below"},
}
_RANKS = {"string": SELECTIVE, "reference": OWNED, "uri": SELECTIVE, "composite": SELECTIVE, "token": CODED}
_BROAD_CODES = frozenset(
    {"status", "category", "gender", "active", "deceased", "intent", "priority", "class", "clinical-status",
     "verification-status", "use", "type", "_tag", "_security", "_profile"}
)  # fmt: skip
# Members of a value set for `:in`: (system, code) pairs.
Expand = Callable[[str], Iterable[tuple[str, str]]]
LimitsOf = Callable[[str], tuple[Limit, ...]]


@dataclass(slots=True)
class Compiler:
    """Compiles the criteria of one search.

    `limits` gives the caller's ways of searching a type; `unknown` collects code systems that this process has not met.
    """

    dictionary: Dictionary
    limits: LimitsOf
    expand: Expand
    base_url: str
    now: int
    lenient: bool = False
    unknown: set[str] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)

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
            if way.compartment is not None:
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
            shape = Outside(len(patients), tuple(c.shape for c in inner))
            found.append(Criterion(shape, (*patients, *(arg for c in inner for arg in c.args))))
        return found

    # --- one parameter ------------------------------------------------------------------------------------------------

    def _criterion(self, rtype: str, name: str, value: str, depth: int) -> Criterion | None:
        if depth > MAX_CHAIN:
            raise BadRequestError(
                Text(f"{name}: a chain may have {MAX_CHAIN} links.", f"{name}: زنجیره حداکثر {MAX_CHAIN} حلقه دارد."),
                code="too-costly",
            )
        if name.startswith("_has:"):
            return self._has(rtype, name, value, depth)
        head, dot, rest = name.partition(".")
        code, colon, modifier = head.partition(":")
        if code == "_list" and not dot and not colon:
            return _list(self, rtype, name, value, modifier)
        parameter = definitions.search_parameters(rtype).get(code)
        if parameter is None:
            self._unknown_parameter(rtype, name)
            return None
        if dot:
            return self._chain(rtype, parameter, modifier, rest, value, depth)
        if colon and modifier == "missing":
            return self._missing(rtype, parameter, searchvalues.boolean(value, name))
        special = _SPECIAL.get(code)
        if special is not None:
            return special(self, rtype, name, value, modifier)
        return self._plain(rtype, parameter, modifier, value)

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

    def _plain(self, rtype: str, parameter: SearchParameter, modifier: str, value: str) -> Criterion:
        kind = parameter.type
        if kind not in TABLES:
            raise NotSupportedError(
                Text(
                    f"{parameter.code} cannot be searched here.", f"پارامتر {parameter.code} در اینجا پشتیبانی نمی‌شود."
                )
            )
        if (
            modifier
            and modifier not in _MODIFIERS.get(kind, ())
            and not (kind == "reference" and modifier in definitions.RESOURCE_TYPES)
        ):
            raise BadRequestError(
                Text(
                    f"Modifier :{modifier} does not apply to {parameter.code}, a parameter of type {kind}.",
                    f"تغییردهندهٔ ‎:{modifier} برای {parameter.code} از نوع {kind} معنا ندارد.",
                ),
                code="not-supported",
                rule="search-modifier",
            )
        param = self.dictionary.params[f"{rtype}.{parameter.code}"]
        if kind == "token" and modifier in ("in", "not-in", "above", "below"):
            return self._in(param, parameter, modifier, value)
        parts = searchvalues.alternatives(value, parameter.code)
        if len(parts) > MAX_ALTERNATIVES:
            raise BadRequestError(
                Text(
                    f"{parameter.code} may have {MAX_ALTERNATIVES} alternatives.",
                    f"{parameter.code} حداکثر {MAX_ALTERNATIVES} مقدار می‌پذیرد.",
                ),
                code="too-costly",
            )
        table, tests = TABLES[kind], [t for part in parts for t in self._tests(parameter, modifier, part)]
        rank = _RANKS.get(kind, BROAD)
        if kind == "token":
            if modifier == "text":
                table, rank = "idx_text", BROAD
            elif modifier == "of-type":
                table, rank = "idx_of_type", UNIQUE
            elif parameter.code == "identifier":
                rank = UNIQUE
            elif parameter.code in _BROAD_CODES or any(name == "system|" for name, _ in tests):
                rank = BROAD
        elif kind == "reference" and modifier == "identifier":
            table, param = "idx_token", self.dictionary.params[f"{rtype}.{parameter.code}:identifier"]
        elif any(name == "contains" for name, _ in tests):
            rank = BROAD
        elif kind == "date" and all(name == "eq" for name, _ in tests):
            rank = CODED
        return _matching(table, param, tests, negated=modifier == "not", rank=rank)

    def _tests(self, parameter: SearchParameter, modifier: str, text: str) -> list[values.Test]:
        code = parameter.code
        match parameter.type:
            case "string":
                return [values.string(text, modifier)]
            case "token":
                if modifier == "text":
                    return [values.token_text(text)]
                if modifier == "of-type":
                    return [values.of_type(text, code, self._system)]
                return [values.token(text, code, self._system)]
            case "reference":
                if modifier == "identifier":
                    return [values.token(text, code, self._system)]
                return [values.reference(text, parameter, hint=modifier, own_base=self.base_url, find_type=self._type)]
            case "date":
                return [values.date(text, code, self.now)]
            case "number":
                return [values.number(text, code)]
            case "quantity":
                return [values.quantity(text, code, self._system)]
            case "uri":
                return values.uri(text, code, modifier)
            case "composite":
                return [values.composite(text, parameter, now=self.now, find_system=self._system, find_type=self._type)]
        raise NotSupportedError(Text(f"{code} cannot be searched here.", f"پارامتر {code} در اینجا پشتیبانی نمی‌شود."))

    def _in(self, param: int, parameter: SearchParameter, modifier: str, value: str) -> Criterion:
        if modifier in ("above", "below"):
            raise NotSupportedError(
                Text(
                    f"Modifier :{modifier} is not supported for tokens.",
                    f"تغییردهندهٔ ‎:{modifier} برای کدها پشتیبانی نمی‌شود.",
                )
            )
        tests: list[values.Test] = [
            (
                "system|code",
                (values.token(searchvalues.escape(code), parameter.code, self._system)[1][0], self._system(system)),
            )
            for system, code in self.expand(value)
        ]
        if not tests:
            return Criterion(AnyOf(((Never(),),), negated=modifier == "not-in"))
        return _matching("idx_token", param, tests, negated=modifier == "not-in", rank=BROAD)

    def _missing(self, rtype: str, parameter: SearchParameter, missing: bool) -> Criterion:
        if parameter.code in ("_id", "_lastUpdated"):
            return Criterion(AnyOf(((Never(),),), negated=not missing))
        table = TABLES.get(parameter.type)
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

    def _has(self, rtype: str, name: str, value: str, depth: int) -> Criterion | None:
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

    def _system(self, uri: str) -> int:
        known = self.dictionary.systems.get(uri)
        if known is None:
            self.unknown.add(uri)
            return UNKNOWN
        return known

    def _type(self, name: str) -> int:
        return self.dictionary.types[name]

    def sort_key(self, rtype: str, code: str, descending: bool) -> SortKey:
        if code == "_lastUpdated":
            return SortKey("updated", 0, descending)
        if code == "_id":
            return SortKey("fid", 0, descending)
        parameter = definitions.search_parameters(rtype).get(code)
        if parameter is None or parameter.type in ("composite", "special"):
            raise BadRequestError(
                Text(f"{rtype} cannot be sorted by {code!r}.", f"منابع {rtype} را نمی‌توان با «{code}» مرتب کرد."),
                code="not-supported",
                rule="search-sort",
            )
        return SortKey(TABLES[parameter.type], self.dictionary.params[f"{rtype}.{code}"], descending)


def member(kind: str, owner: str) -> Criterion:
    """Membership in a compartment."""
    return Criterion(Member(), (_KINDS[kind], owner))


_KINDS = {"Patient": 1, "Practitioner": 2, "Encounter": 3, "RelatedPerson": 4, "Device": 5}


def either(found: list[Criterion]) -> Criterion:
    if len(found) == 1:
        return found[0]
    return Criterion(AnyOf(tuple((c.shape,) for c in found)), tuple(arg for c in found for arg in c.args))


@lru_cache(maxsize=4096)
def _match_shape(table: str, param: int, tests: tuple[str, ...], negated: bool, rank: int) -> Shape:
    return Match(table, param, tests, negated, rank)


def _matching(table: str, param: int, tests: list[values.Test], *, negated: bool, rank: int) -> Criterion:
    shape = _match_shape(table, param, tuple(name for name, _ in tests), negated, rank)
    return Criterion(shape, tuple(arg for _, args in tests for arg in args))


# --- parameters that are no index look-ups ----------------------------------------------------------------------------


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


def _list(compiler: Compiler, _rtype: str, name: str, value: str, modifier: str) -> Criterion:
    found = [
        Criterion(
            Listed(compiler.dictionary.params["List.item"], compiler.dictionary.types["List"]),
            (searchvalues.unescape(part).removeprefix("List/"),),
        )
        for part in searchvalues.alternatives(value, name)
    ]
    return either(found)


_SPECIAL: dict[str, Callable[[Compiler, str, str, str, str], Criterion]] = {
    "_id": _id,
    "_lastUpdated": _last_updated,
    "_text": _words,
    "_content": _words,
}
