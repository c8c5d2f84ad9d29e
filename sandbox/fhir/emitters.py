"""Functions that turn one FHIR value into index entries, one per (parameter type, data type)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Final

from sandbox.fhir import dates, definitions, references, ucum
from sandbox.fhir.definitions import Element, SearchParameter
from sandbox.fhir.entries import (
    CURRENCY_SYSTEM,
    UNBOUNDED,
    CompositeEntry,
    DateEntry,
    IndexEntries,
    NumberEntry,
    OfTypeEntry,
    PositionEntry,
    QuantityEntry,
    ReferenceEntry,
    StringEntry,
    TextEntry,
    TokenEntry,
    UriEntry,
)
from sandbox.fhir.fhirpath.paths import Step
from sandbox.fhir.folding import MAX_INDEXED, fold, fold_contact, fold_token

Emit = Callable[[Any, IndexEntries], None]
# tuple.__new__ skips the keyword handling of a NamedTuple's constructor: index entries are made by the dozen.
_new = tuple.__new__


def emitter(parameter: SearchParameter, type_name: str, element: Element | None) -> Step | None:
    """The step that indexes a value of `type_name` for a parameter; None when that type is not searchable so."""
    makers = _MAKERS.get(parameter.type, {})
    maker = makers.get(type_name)
    return maker(parameter.code, element) if maker else None


def _codes_by_system(element: Element | None) -> dict[str, str]:
    """Code -> system for a `code` element: its required value set implies the system."""
    if element is None or element.binding is None:
        return {}
    systems = definitions.required_codes(element.binding.value_set) or {}
    return {code: system for system, codes in systems.items() for code in codes}


def _code(code: str, element: Element | None) -> Emit:
    systems = _codes_by_system(element)

    def emit(value: Any, out: IndexEntries) -> None:
        out.tokens.append(_new(TokenEntry, (code, systems.get(value, ""), fold_token(value))))

    return emit


def _plain_token(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.tokens.append(_new(TokenEntry, (code, "", fold_token(value))))

    return emit


def _boolean(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.tokens.append(_new(TokenEntry, (code, "", "true" if value else "false")))

    return emit


def _coding(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        symbol = value.get("code")
        if symbol is not None:
            out.tokens.append(_new(TokenEntry, (code, value.get("system", ""), fold_token(symbol))))
        display = value.get("display")
        if display is not None:
            out.texts.append(_new(TextEntry, (code, fold(display))))

    return emit


def _codeable_concept(code: str, element: Element | None) -> Emit:
    coding = _coding(code, element)

    def emit(value: Any, out: IndexEntries) -> None:
        for item in value.get("coding", ()):
            coding(item, out)
        text = value.get("text")
        if text is not None:
            out.texts.append(_new(TextEntry, (code, fold(text))))

    return emit


def _identifier(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        number = value.get("value")
        if number is None:
            return
        folded = fold_token(number)
        out.tokens.append(_new(TokenEntry, (code, value.get("system", ""), folded)))
        kind = value.get("type")
        if kind is None:
            return
        if "text" in kind:
            out.texts.append(_new(TextEntry, (code, fold(kind["text"]))))
        for item in kind.get("coding", ()):
            if "code" in item:
                entry = (code, item.get("system", ""), fold_token(item["code"]), folded)
                out.of_types.append(_new(OfTypeEntry, entry))

    return emit


def _contact_point(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        number = value.get("value")
        if number is None:
            return
        system, plain, bare = value.get("system", ""), fold_token(number), fold_contact(number)
        out.tokens.append(_new(TokenEntry, (code, system, plain)))
        if bare != plain:
            out.tokens.append(_new(TokenEntry, (code, system, bare)))

    return emit


def _string(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.strings.append(_new(StringEntry, (code, fold(value), value[:MAX_INDEXED])))

    return emit


def _parts(single: Sequence[str], several: Sequence[str]) -> Callable[[str, Element | None], Emit]:
    """Strings inside a HumanName or Address: each part is a value of its own."""

    def maker(code: str, element: Element | None) -> Emit:
        def emit(value: Any, out: IndexEntries) -> None:
            strings = out.strings
            for name in single:
                part = value.get(name)
                if part is not None:
                    strings.append(_new(StringEntry, (code, fold(part), part[:MAX_INDEXED])))
            for name in several:
                for part in value.get(name, ()):
                    if part is not None:
                        strings.append(_new(StringEntry, (code, fold(part), part[:MAX_INDEXED])))

        return emit

    return maker


def _date(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.dates.append(_new(DateEntry, (code, *dates.parse_range(value))))

    return emit


def _date_or_nothing(code: str, element: Element | None) -> Emit:
    """A string element under a date parameter counts when it happens to be a date."""

    def emit(value: Any, out: IndexEntries) -> None:
        try:
            found = dates.parse_range(value)
        except dates.InvalidDateError:
            return
        out.dates.append(_new(DateEntry, (code, *found)))

    return emit


def _period(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        start, end = value.get("start"), value.get("end")
        if start is not None or end is not None:
            out.dates.append(_new(DateEntry, (code, *dates.period_range(start, end))))

    return emit


def _timing(code: str, element: Element | None) -> Emit:
    """The outer bounds of a schedule: from its first event to its last, or its bounding period."""

    def emit(value: Any, out: IndexEntries) -> None:
        spans = [dates.parse_range(event) for event in value.get("event", ()) if event is not None]
        bounds = value.get("repeat", {}).get("boundsPeriod")
        if bounds:
            spans.append(dates.period_range(bounds.get("start"), bounds.get("end")))
        if spans:
            entry = (code, min(s.lo for s in spans), max(s.hi for s in spans))
            out.dates.append(_new(DateEntry, entry))

    return emit


def _number(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        number = float(value)
        out.numbers.append(_new(NumberEntry, (code, number, number)))

    return emit


def _number_range(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        low, high = value.get("low", {}).get("value"), value.get("high", {}).get("value")
        if low is not None or high is not None:
            lo = -UNBOUNDED if low is None else float(low)
            hi = UNBOUNDED if high is None else float(high)
            out.numbers.append(_new(NumberEntry, (code, lo, hi)))

    return emit


def _quantity(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        number = value.get("value")
        if number is None:
            return
        lo = hi = float(number)
        comparator = value.get("comparator")
        if comparator is not None:
            # "<5" is any amount below five: a range, or a search for values over four would miss it.
            lo = -UNBOUNDED if comparator[0] == "<" else lo
            hi = UNBOUNDED if comparator[0] == ">" else hi
        _add_quantity(code, lo, hi, value, out)

    return emit


def _add_quantity(code: str, lo: float, hi: float, like: Any, out: IndexEntries) -> None:
    system = like.get("system", "")
    unit = like.get("code") or like.get("unit") or ""
    base = ("", 0.0, 0.0)
    if unit and system in {"", ucum.SYSTEM}:
        base = _in_base_units(lo, hi, unit)
    out.quantities.append(_new(QuantityEntry, (code, lo, hi, system, unit, base[1], base[2], base[0])))


def _in_base_units(lo: float, hi: float, code: str) -> tuple[str, float, float]:
    low = ucum.canonical(lo, code)
    if low is None:
        return "", 0.0, 0.0
    high = low if hi == lo else ucum.canonical(hi, code)
    if high is None:
        return "", 0.0, 0.0
    return low[1], (low[0] if abs(lo) < UNBOUNDED else lo), (high[0] if abs(hi) < UNBOUNDED else hi)


def _quantity_range(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        low, high = value.get("low", {}), value.get("high", {})
        lo, hi = low.get("value"), high.get("value")
        if lo is not None or hi is not None:
            like = low if lo is not None else high
            first = -UNBOUNDED if lo is None else float(lo)
            last = UNBOUNDED if hi is None else float(hi)
            _add_quantity(code, first, last, like, out)

    return emit


def _money(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        number = value.get("value")
        if number is not None:
            amount = float(number)
            entry = (code, amount, amount, CURRENCY_SYSTEM, value.get("currency", ""), 0.0, 0.0, "")
            out.quantities.append(_new(QuantityEntry, entry))

    return emit


def _uri(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.uris.append(_new(UriEntry, (code, value)))

    return emit


def _canonical_uri(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.uris.append(_new(UriEntry, (code, value)))
        url, bar, _ = value.partition("|")
        if bar:
            out.uris.append(_new(UriEntry, (code, url)))

    return emit


def _reference(code: str, element: Element | None) -> Emit:
    types = definitions.RESOURCE_TYPES

    def emit(value: Any, out: IndexEntries) -> None:
        raw = value.get("reference")
        identifier = value.get("identifier")
        system, number = "", ""
        if identifier is not None:
            system, number = identifier.get("system", ""), fold_token(identifier.get("value", ""))
        if raw is None:
            if number:
                out.references.append(_new(ReferenceEntry, (code, value.get("type", ""), "", "", system, number)))
            return
        kind, slash, fid = raw.partition("/")
        if not (slash and kind in types and "/" not in fid and 0 < len(fid) <= 64):
            kind, fid, raw = _resolved(raw, out.own_base)
        else:
            raw = ""
        out.references.append(_new(ReferenceEntry, (code, kind, fid, raw, system, number)))

    return emit


def _resolved(raw: str, own_base: str) -> tuple[str, str, str]:
    """(type, id, url) of a reference that is not plainly `Type/id`."""
    found = references.parse(raw, own_base=own_base)
    if found.kind == "relative":
        return found.type, found.id, ""
    return "", "", raw


def _canonical_reference(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        kind, fid, url = _resolved(value, out.own_base)
        out.references.append(_new(ReferenceEntry, (code, kind, fid, url, "", "")))
        bare, bar, _ = url.partition("|")
        if bar:
            out.references.append(_new(ReferenceEntry, (code, "", "", bare, "", "")))

    return emit


def _contained_resource(code: str, element: Element | None) -> Emit:
    """Bundle.entry.resource under `composition` and `message`: the entry's own resource is the target."""

    def emit(value: Any, out: IndexEntries) -> None:
        kind, fid = value.get("resourceType", ""), value.get("id", "")
        if isinstance(kind, str) and kind in definitions.RESOURCE_TYPES and references.is_id(fid):
            out.references.append(_new(ReferenceEntry, (code, kind, fid, "", "", "")))

    return emit


def _position(code: str, element: Element | None) -> Emit:
    def emit(value: Any, out: IndexEntries) -> None:
        out.positions.append(_new(PositionEntry, (code, float(value["latitude"]), float(value["longitude"]))))

    return emit


class _Part:
    """Stands in for `IndexEntries` while one component of a composite is gathered: only the lists that it can fill."""

    __slots__ = (
        "dates",
        "numbers",
        "of_types",
        "own_base",
        "quantities",
        "references",
        "strings",
        "texts",
        "tokens",
        "uris",
    )

    def __init__(self, kind: str, own_base: str) -> None:
        self.own_base = own_base
        setattr(self, kind, [])
        if kind == "tokens":
            self.texts: list[Any] = []
            self.of_types: list[Any] = []


def composite(code: str, components: Sequence[tuple[bool, Step, str]]) -> Step:
    """Pairs the entries of each component; `components` are (reads the whole resource, step, parameter type)."""
    kinds = tuple(_LISTS[kind] for _, _, kind in components)

    def emit(value: Any, out: IndexEntries) -> None:
        found = []
        for (rooted, step, _), kind in zip(components, kinds, strict=True):
            part = _Part(kind, out.own_base)
            step(out.resource if rooted else value, part)
            entries = getattr(part, kind)
            if not entries:
                return
            found.append(entries)
        for combination in product(*found):
            out.composites.append(_new(CompositeEntry, (code, combination)))

    return emit


_LISTS: Final = {
    "token": "tokens", "string": "strings", "reference": "references", "date": "dates", "number": "numbers",
    "quantity": "quantities", "uri": "uris",
}  # fmt: skip

Maker = Callable[[str, "Element | None"], Emit]
_MAKERS: Final[dict[str, dict[str, Maker]]] = {
    "string": {
        "string": _string,
        "markdown": _string,
        "HumanName": _parts(("text", "family"), ("given", "prefix", "suffix")),
        "Address": _parts(("text", "city", "district", "state", "postalCode", "country"), ("line",)),
    },
    "token": {
        "CodeableConcept": _codeable_concept,
        "Coding": _coding,
        "ContactPoint": _contact_point,
        "Identifier": _identifier,
        "boolean": _boolean,
        "code": _code,
        "id": _plain_token,
        "string": _plain_token,
        "uri": _plain_token,
    },
    "reference": {
        "Reference": _reference,
        "Resource": _contained_resource,
        "canonical": _canonical_reference,
        "uri": _canonical_reference,
        "Attachment": lambda code, element: _attachment(code),
    },
    "date": {
        "Period": _period,
        "Timing": _timing,
        "date": _date,
        "dateTime": _date,
        "instant": _date,
        "string": _date_or_nothing,
    },
    "number": {
        "decimal": _number,
        "integer": _number,
        "positiveInt": _number,
        "unsignedInt": _number,
        "Range": _number_range,
    },
    "quantity": {
        "Quantity": _quantity,
        "Age": _quantity,
        "Duration": _quantity,
        "Count": _quantity,
        "Distance": _quantity,
        "Money": _money,
        "Range": _quantity_range,
    },
    "uri": {"uri": _uri, "url": _uri, "canonical": _canonical_uri, "oid": _uri, "uuid": _uri},
    "special": {"Location.position": _position},
}


def _attachment(code: str) -> Emit:
    reference = _canonical_reference(code, None)

    def emit(value: Any, out: IndexEntries) -> None:
        if value.get("url"):
            reference(value["url"], out)

    return emit
