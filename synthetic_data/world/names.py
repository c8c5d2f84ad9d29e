"""Given names by birth cohort, family names by region, streets. Spelt with Persian ی and ک and the half-space."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import Any

from .tables import Weighted, load


@dataclass(frozen=True, slots=True)
class Name:
    """A name in Persian script and its usual Latin spelling."""

    fa: str
    latin: str


_REGIONAL_BOOST = 3.0  # how much a regional name outweighs its national figure at home (general knowledge)


@cache
def _region_of(province: str) -> dict[str, Any] | None:
    for region in load("names")["regional"].values():
        if province in region["provinces"]:
            return dict(region)
    return None


@cache
def given_names(female: bool, cohort: int, province: str) -> Weighted[Name]:
    """The given names of one birth cohort (0..4) in one province."""
    sex = "female" if female else "male"
    rows = [(row, 1.0) for row in load("names")[sex]]
    region = _region_of(province)
    if region:
        rows += [(row, _REGIONAL_BOOST) for row in region[sex]]
    used = [(row, factor) for row, factor in rows if row["weights"][cohort]]
    return Weighted([Name(r["fa"], r["latin"]) for r, _ in used], [r["weights"][cohort] * f for r, f in used])


@cache
def family_names(province: str, coined: bool) -> Weighted[Name]:
    """Family names of one province, or the coined ones that nobody is known to bear."""
    if coined:
        rows = [(row, 1.0) for row in load("names")["coined_family"]]
    else:
        rows = [(row, 1.0) for row in load("names")["family"]]
        region = _region_of(province)
        if region:
            rows += [(row, _REGIONAL_BOOST * 2) for row in region["family"]]
    return Weighted([Name(r["fa"], r["latin"]) for r, _ in rows], [r["weight"] * f for r, f in rows])


def cohort_of(birth_year: int) -> int:
    """The birth cohort (0..4) of a Gregorian year."""
    return bisect_right(load("names")["cohort_first_gregorian_year"], birth_year) - 1


@cache
def streets() -> tuple[str, ...]:
    """Street names that every Iranian city has."""
    return tuple(load("names")["streets"])
