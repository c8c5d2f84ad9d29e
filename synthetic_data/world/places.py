"""Provinces and cities, with the 2016 census counts as weights."""

from dataclasses import dataclass
from functools import cache

from ..errors import SpecError
from .tables import Weighted, load


@dataclass(frozen=True, slots=True, eq=False)
class City:
    """A city; `number` is its place in the national list and part of its facilities' ids."""

    number: int
    name_fa: str
    name_en: str
    weight: float
    latitude: float
    longitude: float
    province: "Province"


@dataclass(frozen=True, slots=True, eq=False)
class Province:
    """A province by ISO 3166-2 code; `thalassaemia` is its beta-thalassaemia rate relative to the country's."""

    code: str
    name_fa: str
    name_en: str
    population: int
    urban_share: float
    thalassaemia: float
    cities: list[City]


_TYPICAL_THALASSAEMIA = 20.0  # cases per 100,000 where the source gives none: the country's mean (general knowledge)


@cache
def provinces() -> tuple[Province, ...]:
    """All 31 provinces, most populous first, cities filled in."""
    made: list[Province] = []
    number = 0
    for row in load("provinces")["provinces"]:
        rate = row.get("beta_thalassaemia_major_per_100k_1995", _TYPICAL_THALASSAEMIA) / _TYPICAL_THALASSAEMIA
        province = Province(
            row["iso_3166_2"], row["name_fa"], row["name_en"], row["population_2016"], row["urban_share"], rate, []
        )
        for city in row["cities"]:
            place = (city["name_fa"], city["name_en"], city["weight"], city["latitude"], city["longitude"])
            province.cities.append(City(number, *place, province))
            number += 1
        made.append(province)
    return tuple(made)


def find_province(text: str) -> Province:
    """A province by ISO code or by its Persian or English name; raises SpecError when there is none."""
    wanted = text.strip().casefold()
    for province in provinces():
        if wanted in (province.code.casefold(), province.name_en.casefold(), province.name_fa):
            return province
    raise SpecError(f"unknown province {text!r}: give an ISO 3166-2 code such as IR-01, or a name such as Gilan")


def cities_of(codes: tuple[str, ...]) -> Weighted[City]:
    """The cities of these provinces (all of them when empty), weighted by population."""
    chosen = [p for p in provinces() if not codes or p.code in codes]
    cities: list[City] = []
    weights: list[float] = []
    for province in chosen:
        total = sum(city.weight for city in province.cities)
        for city in province.cities:
            cities.append(city)
            weights.append(province.population * city.weight / total)
    return Weighted(cities, weights)
