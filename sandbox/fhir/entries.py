"""What the search index keeps of one resource version, kind by kind."""

from __future__ import annotations

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
        """Drop duplicates."""
        self.resource = None
        for name in _KINDS:
            entries = getattr(self, name)
            if len(entries) > 1 and len(set(entries)) < len(entries):
                setattr(self, name, list(dict.fromkeys(entries)))
        if len(self.compartments) > 1:
            self.compartments = list(dict.fromkeys(self.compartments))


_KINDS: Final = (
    "strings", "tokens", "texts", "of_types", "references", "dates", "numbers", "quantities", "uris", "positions", "composites",
)  # fmt: skip
