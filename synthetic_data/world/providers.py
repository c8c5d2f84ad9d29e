"""The care network: facilities of every city and the practitioners who work in them. The same for every population."""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np

from ..calendars import day_of
from ..randomness import blocks, member_keys, stream_key
from .identifiers import council_number, landline, legal_entity_id
from .names import Name, cohort_of, family_names, given_names
from .places import City, Province, provinces
from .tables import load

KINDS: dict[str, tuple[str, str]] = {
    "hospital": ("بیمارستان", "Hospital"),
    "health_centre": ("مرکز جامع سلامت", "Comprehensive health centre"),
    "clinic": ("درمانگاه", "Clinic"),
    "laboratory": ("آزمایشگاه", "Laboratory"),
    "pharmacy": ("داروخانهٔ", "Pharmacy"),
    "imaging": ("مرکز تصویربرداری", "Imaging centre"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Facility:
    """An Organization and the Location of the same id suffix."""

    id: str
    kind: str
    city: City
    name_fa: str
    name_en: str
    legal_id: str
    phone: str

    @property
    def location(self) -> str:
        """The id of its Location."""
        return "l" + self.id[1:]


@dataclass(frozen=True, slots=True, eq=False)
class Specialty:
    """A field of practice; `place` is the kind of facility it works in."""

    code: str
    name_fa: str
    name_en: str
    place: str
    count: int
    everywhere: bool


@dataclass(frozen=True, slots=True, eq=False)
class Practitioner:
    """A practitioner and the role of the same id suffix."""

    id: str
    specialty: Specialty
    facility: Facility
    female: bool
    given: Name
    family: Name
    birth: int
    council: str

    @property
    def role(self) -> str:
        """The id of the PractitionerRole."""
        return "r" + self.id[1:]


@dataclass(frozen=True, slots=True, eq=False)
class CityNetwork:
    """Everything that gives care in one city; specialties the city lacks are those of the provincial capital."""

    city: City
    facilities: dict[str, Facility]
    practitioners: dict[str, list[Practitioner]]
    own: list[Practitioner]


@cache
def specialties() -> dict[str, Specialty]:
    """Specialties by code."""
    rows = load("specialties")["specialties"]
    return {r[0]: Specialty(r[0], r[1], r[2], r[3], r[4], r[5] == "all") for r in rows}


_PROPER = ("امید", "شفا", "مهر", "آرامش", "سپید", "رازی", "ابن‌سینا", "پارس", "نور", "دانا")
_PROPER_EN = ("Omid", "Shafa", "Mehr", "Aramesh", "Sepid", "Razi", "Ebnesina", "Pars", "Nour", "Dana")
_NETWORK_SEED = 1404  # the network is one for all populations, so that they can be loaded beside each other


def _facility(city: City, order: int, kind: str, draw: float) -> Facility:
    words_fa, words_en = KINDS[kind]
    proper = int(draw * len(_PROPER))
    return Facility(
        f"o-{city.number:03d}-{kind.replace('_', '')}",
        kind,
        city,
        f"{words_fa} {_PROPER[proper]} {city.name_fa}",
        f"{_PROPER_EN[proper]} {words_en}, {city.name_en}",
        legal_entity_id(city.number * 10 + order + 1000),
        landline(draw),
    )


def _practitioner(city: City, specialty: Specialty, order: int, facility: Facility, draw: list[float]) -> Practitioner:
    birth = day_of_year(1958 + int(draw[0] * 36), draw[1])
    female = specialty.code in ("midwifery", "gynaecology") or draw[2] < 0.42
    cohort = cohort_of(1958 + int(draw[0] * 36))
    return Practitioner(
        f"p-{city.number:03d}-{specialty.code.replace('_', '')}-{order + 1}",
        specialty,
        facility,
        female,
        given_names(female, cohort, city.province.code).pick(draw[3]),
        family_names(city.province.code, False).pick(draw[4]),
        birth,
        council_number(int(draw[5] * 10_000_000)),
    )


def day_of_year(year: int, position: float) -> int:
    """The day at `position` (0..1) of a Gregorian year."""
    return day_of(date(year, 1, 1)) + int(position * 365)


def _network(city: City, capital: CityNetwork | None) -> CityNetwork:
    key = member_keys(_NETWORK_SEED, np.array([city.number], dtype=np.uint64))
    facility_draws = blocks(key, stream_key("facilities"), 0, len(KINDS))[0].tolist()
    facilities = {k: _facility(city, i, k, facility_draws[i]) for i, k in enumerate(KINDS)}
    practitioners: dict[str, list[Practitioner]] = dict(capital.practitioners) if capital else {}
    own: list[Practitioner] = []
    for specialty in specialties().values():
        if capital and not specialty.everywhere:
            continue
        made = []
        for order in range(specialty.count + (0 if capital or specialty.code != "general_practice" else 1)):
            draw = blocks(key, stream_key(f"practitioner:{specialty.code}:{order}"), 0, 6)[0].tolist()
            made.append(_practitioner(city, specialty, order, facilities[specialty.place], draw))
        practitioners[specialty.code] = made
        own += made
    return CityNetwork(city, facilities, practitioners, own)


@cache
def network(province: Province) -> tuple[CityNetwork, ...]:
    """The networks of a province's cities, the capital first."""
    capital = _network(province.cities[0], None)
    return (capital, *(_network(city, capital) for city in province.cities[1:]))


@cache
def network_of(number: int) -> CityNetwork:
    """The network of a city by its number."""
    for province in provinces():
        for made in network(province):
            if made.city.number == number:
                return made
    raise KeyError(number)
