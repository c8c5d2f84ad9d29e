"""What the search index keeps of one resource version, kind by kind."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final, NamedTuple

UNBOUNDED: Final = 1e300
"""Stands for infinity in number and quantity ranges, as not every store keeps infinities."""
CURRENCY_SYSTEM: Final = "urn:iso:std:iso:4217"


class StringEntry(NamedTuple):
    code: str
    folded: str
    exact: str


class TokenEntry(NamedTuple):
    """`value` is folded (`folding.fold_token`); system "" when there is none."""

    code: str
    system: str
    value: str


class TextEntry(NamedTuple):
    """Display and text of coded values, for `:text`; folded."""

    code: str
    folded: str


class OfTypeEntry(NamedTuple):
    """Identifiers by the coding of their type, for `:of-type`."""

    code: str
    type_system: str
    type_code: str
    value: str


class ReferenceEntry(NamedTuple):
    """`type` and `id` of a local target, else `url`; the identifier when the reference carries one."""

    code: str
    type: str
    id: str
    url: str
    identifier_system: str
    identifier_value: str


class DateEntry(NamedTuple):
    code: str
    lo: int
    hi: int


class NumberEntry(NamedTuple):
    code: str
    lo: float
    hi: float


class QuantityEntry(NamedTuple):
    """A closed range, lo == hi for a plain value. Canonical: the same in UCUM base units, unit "" when unknown."""

    code: str
    lo: float
    hi: float
    system: str
    unit: str
    canonical_lo: float
    canonical_hi: float
    canonical_unit: str


class UriEntry(NamedTuple):
    code: str
    value: str


class PositionEntry(NamedTuple):
    """Degrees, for `near`."""

    code: str
    latitude: float
    longitude: float


class CompositeEntry(NamedTuple):
    """One combination. `parts` are the components' entries, in the order of the definition, each with the code ""."""

    code: str
    parts: tuple[Any, ...]


class IndexEntries:
    """Everything the index keeps of one resource version; each list is free of duplicates, entries lead with the code.

    `compartments` holds (compartment, id) pairs; `present` the codes that have at least one value (for `:missing`).
    """

    __slots__ = (
        "compartments", "composites", "dates", "numbers", "of_types", "own_base", "positions", "quantities", "references",
        "resource", "strings", "texts", "tokens", "uris",
    )  # fmt: skip

    def __init__(self, own_base: str = "", resource: Any = None) -> None:
        self.own_base = own_base
        self.resource = resource
        self.strings: list[StringEntry] = []
        self.tokens: list[TokenEntry] = []
        self.texts: list[TextEntry] = []
        self.of_types: list[OfTypeEntry] = []
        self.references: list[ReferenceEntry] = []
        self.dates: list[DateEntry] = []
        self.numbers: list[NumberEntry] = []
        self.quantities: list[QuantityEntry] = []
        self.uris: list[UriEntry] = []
        self.positions: list[PositionEntry] = []
        self.composites: list[CompositeEntry] = []
        self.compartments: list[tuple[str, str]] = []

    @property
    def present(self) -> set[str]:
        """Codes that have at least one value."""
        return {entry[0] for name in _KINDS for entry in getattr(self, name)}

    def settle(self) -> None:
        """Drop duplicates, and what malformed elements left behind: stores and queries rely on every entry's types."""
        self.resource = None
        for name in _KINDS:
            entries = getattr(self, name)
            if not entries:
                continue
            try:
                _check(name, entries)
            except TypeError:
                entries = [e for e in entries if _sound(e)]
                setattr(self, name, entries)
            if len(entries) > 1 and len(set(entries)) < len(entries):
                setattr(self, name, list(dict.fromkeys(entries)))


def _check(name: str, entries: list[Any]) -> None:
    """Raises `TypeError` when an entry of text holds anything else; joining is the fastest way to find out."""
    if name in _TEXTUAL:
        "".join(chain.from_iterable(entries))
    elif name == "quantities":
        "".join([text for e in entries for text in (e[3], e[4], e[7])])
    elif name == "composites" and not all(_sound(e) for e in entries):
        raise TypeError(name)


def _sound(entry: tuple[Any, ...]) -> bool:
    """Whether every field is of its declared type."""
    if isinstance(entry, CompositeEntry):
        return all(_sound(part) for part in entry.parts)
    if isinstance(entry, QuantityEntry):
        return isinstance(entry.system, str) and isinstance(entry.unit, str)
    numeric = isinstance(entry, (DateEntry, NumberEntry, PositionEntry))
    return numeric or all(isinstance(field, str) for field in entry)


_TEXTUAL: Final = frozenset({"strings", "tokens", "texts", "of_types", "references", "uris"})
_KINDS: Final = (
    "strings", "tokens", "texts", "of_types", "references", "dates", "numbers", "quantities", "uris", "positions", "composites",
)  # fmt: skip
