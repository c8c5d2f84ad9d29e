"""The catalogue of Requirements, as data: which there are, for which Product, and how each is proved."""

from __future__ import annotations

import hashlib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

CORE = "core"
SUITE = "1405.1"


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing an App must (or should) do. Exactly one of `check` and `attestation` names its proof.

    `needs`: rights (`Type.letters`, `*` for any type) of which the App must hold one, else the Requirement is omitted.
    """

    id: str
    product: str
    level: str
    title_fa: str
    title_en: str
    text_fa: str
    text_en: str
    source: str
    check: str = ""
    attestation: str = ""
    hint_fa: str = ""
    hint_en: str = ""
    needs: tuple[str, ...] = ()

    @property
    def mandatory(self) -> bool:
        return self.level == "must"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The Requirements of one Product (or `core`, of all)."""

    product: str
    title_fa: str
    title_en: str
    requirements: tuple[Requirement, ...]


def _files() -> list[Traversable]:
    folder = files("portal.conformance") / "data"
    found = [file for file in folder.iterdir() if file.name.endswith(".toml") and file.name != "scenarios.toml"]
    return sorted(found, key=lambda file: (file.name != f"{CORE}.toml", file.name))


def _catalogue(raw: dict[str, Any]) -> Catalogue:
    rows = tuple(
        Requirement(product=raw["product"], needs=tuple(row.pop("needs", ())), **row) for row in raw["requirements"]
    )
    return Catalogue(raw["product"], raw["title_fa"], raw["title_en"], rows)


@cache
def catalogues() -> tuple[Catalogue, ...]:
    """Every catalogue, the common one first."""
    return tuple(_catalogue(tomllib.loads(file.read_text("utf-8"))) for file in _files())


@cache
def suite_version() -> str:
    """Version of the suite: its name and the digest of all its data, so that no change goes unnoticed."""
    folder = files("portal.conformance") / "data"
    text = b"".join(file.read_bytes() for file in [*_files(), folder / "scenarios.toml"])
    return f"{SUITE}+{hashlib.sha256(text).hexdigest()[:12]}"


def of_products(products: frozenset[str]) -> list[Requirement]:
    """Requirements that bind an App of these Products, common ones first."""
    return [
        row
        for catalogue in catalogues()
        if catalogue.product == CORE or catalogue.product in products
        for row in catalogue.requirements
    ]


@cache
def by_id() -> dict[str, Requirement]:
    """Every Requirement by id."""
    return {row.id: row for catalogue in catalogues() for row in catalogue.requirements}
