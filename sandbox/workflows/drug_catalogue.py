"""The sandbox's coded drug catalogue: names, ATC codes, dose ranges, interactions, pregnancy and coverage rules.

`data/drugs.json` states its licence and sources. It is for testing software and is no clinical reference.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import product
from types import MappingProxyType
from typing import Any, Literal

import orjson

from sandbox.workflows.codes import ATC, DRUG, Resource, code_of

Severity = Literal["moderate", "major", "contraindicated"]


@dataclass(frozen=True, slots=True)
class Drug:
    """One product. `ingredients` maps each to its amount in one dose unit, in `unit` (UCUM: `mg` or `[iU]`).

    `daily_min` and `daily_max` bound an adult's daily dose of the first ingredient, in `unit`. `pregnancy` is the former FDA
    letter (A, B, C, D, X). `cover_percent` is the basic insurer's share, 0 when not covered.
    """

    code: str
    name: str
    name_fa: str
    atc: str
    strength: str
    form: str
    ingredients: Mapping[str, float]
    unit: str
    daily_min: float
    daily_max: float
    pregnancy: Literal["A", "B", "C", "D", "X"]
    allergy_classes: frozenset[str]
    cover_percent: int
    max_quantity: int
    prior_authorisation: bool
    brand: bool

    @property
    def main(self) -> tuple[str, float]:
        """The first ingredient and its amount in one dose unit."""
        return next(iter(self.ingredients.items()))

    def concept(self) -> Resource:
        """The drug as a CodeableConcept: own code, ATC code, Persian text."""
        codings = [{"system": DRUG, "code": self.code, "display": self.name}, {"system": ATC, "code": self.atc}]
        return {"coding": codings, "text": f"{self.name_fa} {self.strength}"}


@dataclass(frozen=True, slots=True)
class Interaction:
    """Two ingredients that do not go together."""

    first: str
    second: str
    severity: Severity
    risk: str
    risk_fa: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All drugs and interactions; `licence` is what the data file states."""

    version: str
    licence: str
    drugs: Mapping[str, Drug]
    interactions: Mapping[frozenset[str], Interaction]

    def find(self, concept: Any) -> Drug | None:
        """The drug a CodeableConcept names: by own code, or by an ATC code that only one generic product has."""
        known = self.drugs.get(code_of(concept, DRUG))
        if known is not None:
            return known
        atc = code_of(concept, ATC)
        generics = [drug for drug in self.drugs.values() if atc and drug.atc == atc and not drug.brand]
        return generics[0] if len(generics) == 1 else None

    def between(self, one: Iterable[str], other: Iterable[str]) -> list[Interaction]:
        """Interactions of any ingredient of `one` with any of `other`."""
        pairs = {frozenset(pair) for pair in product(one, other)}
        return [self.interactions[pair] for pair in pairs if pair in self.interactions]

    def substitutes(self, drug: Drug) -> list[Drug]:
        """Other products of the same ingredients, strength and form, generics first."""
        same = [
            other
            for other in self.drugs.values()
            if other.code != drug.code
            and (dict(other.ingredients), other.strength, other.form)
            == (dict(drug.ingredients), drug.strength, drug.form)
        ]
        return sorted(same, key=lambda other: (other.brand, other.code))


@cache
def catalogue() -> Catalogue:
    """The shipped catalogue, read once."""
    raw = orjson.loads(resources.files("sandbox.workflows.data").joinpath("drugs.json").read_bytes())
    drugs = {item["code"]: _drug(item) for item in raw["drugs"]}
    found = [Interaction(**item) for item in raw["interactions"]]
    return Catalogue(
        version=raw["version"],
        licence=raw["licence"],
        drugs=MappingProxyType(drugs),
        interactions=MappingProxyType({frozenset((one.first, one.second)): one for one in found}),
    )


def _drug(item: dict[str, Any]) -> Drug:
    frozen = {
        "ingredients": MappingProxyType(item["ingredients"]),
        "allergy_classes": frozenset(item["allergy_classes"]),
    }
    return Drug(**(item | frozen))
