"""Who a person is: names, home, insurer and identifiers, drawn from named streams of the household and of the
member."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .calendars import date_of, persian_digits
from .errors import SpecError
from .households import DECEASED, SLOTS, WOMAN, Household, Member
from .population import PopulationSpec
from .randomness import blocks, member_keys, stream_key, uniforms
from .world.identifiers import NationalCodes, landline, mobile, postal_code
from .world.names import Name, cohort_of, family_names, given_names, streets
from .world.payers import Payer, payer_by_code, payer_draw
from .world.places import City, cities_of
from .world.providers import CityNetwork, network_of
from .world.tables import Weighted

_HOME = ("city", "rural", "street", "alley", "postal", "landline", "doctor", "payer", "family.man", "family.woman")
_SELF = ("given", "mobile", "payer.own", "language", "family.deceased")
_MOVES, _INSURERS = stream_key("home.moves"), stream_key("self.insurers")
_HOME_KEYS = np.array([stream_key(f"home.{name}") for name in _HOME], dtype=np.uint64)
_SELF_KEYS = np.array([stream_key(f"self.{name}") for name in _SELF], dtype=np.uint64)
_HOUSEHOLD = 3  # people in a household, a little less than there are on average
_LETTERS = "bcdfghjkmnpqrstvwxyz"


class Home(NamedTuple):
    """Where a household lives from `since` on (a day number; 0: from the beginning)."""

    city: City
    network: CityNetwork
    rural: bool
    line: str
    postal: str
    phone: str
    doctor: float  # which of several practitioners the household goes to
    since: int


@dataclass(frozen=True, slots=True)
class Identity:
    """A person's administrative facts; `code` is the first part of the id of everything recorded about them."""

    member: Member
    code: str
    homes: tuple[Home, ...]
    given: Name
    family: Name
    national_code: str
    mobile: str
    payers: tuple[tuple[int, Payer], ...]  # (since, payer), earliest first

    @property
    def home(self) -> Home:
        """The first home; later ones are in the same province."""
        return self.homes[0]

    @property
    def female(self) -> bool:
        """Whether this person is female."""
        return self.member.female


def population_tag(seed: int) -> str:
    """Four letters that tell the ids of one seed from those of another; letters, so that no id is a bare number."""
    value = stream_key(f"tag:{seed}")
    tag = ""
    for _ in range(4):
        value, letter = divmod(value, len(_LETTERS))
        tag += _LETTERS[letter]
    return tag


@dataclass(frozen=True, slots=True)
class Family:
    """The people of a household who exist, and the children its woman expects when the population ends."""

    people: list[Identity]
    expected: list[Member]


class Registrar:
    """Gives planned members their identities. `window` and `until` bound moves and changes of insurer."""

    def __init__(self, spec: PopulationSpec, window: int, until: int) -> None:
        self._seed = spec.seed
        self._cities: Weighted[City] = cities_of(spec.region)
        self._codes = NationalCodes(spec.seed, spec.identifiers)
        room = self._codes.capacity // SLOTS * (1 if spec.cohort else _HOUSEHOLD)
        if spec.size > room:
            what = "a cohort" if spec.cohort else "a population"
            raise SpecError(
                f"the block of national codes {spec.identifiers} is enough for {what} of {room:,} people, not for {spec.size:,}"
            )
        self._coined = spec.surnames == "coined"
        self._tag = population_tag(spec.seed)
        self._window, self._until = window, until
        self._payer = payer_by_code()[spec.cohort.payer] if spec.cohort and spec.cohort.payer else None
        self._years = int((until - window) // 365.25) + 1

    def code_of(self, number: int) -> str:
        """The Patient id of a member number."""
        return f"{self._tag}-{number:x}"

    def identify(self, households: list[Household]) -> list[Family]:
        """Identities of whole households, in order."""
        firsts = np.array([house.members[0].household * SLOTS for house in households], dtype=np.uint64)
        everyone = np.array([m.number for house in households for m in house.members], dtype=np.uint64)
        keys = member_keys(self._seed, firsts)
        homes = uniforms(keys, _HOME_KEYS).tolist()
        moves = blocks(keys, _MOVES, 0, 6 * self._years).tolist()
        own_keys = member_keys(self._seed, everyone)
        selves = iter(uniforms(own_keys, _SELF_KEYS).tolist())
        insurers = iter(blocks(own_keys, _INSURERS, 0, 3 * self._years).tolist())
        return [
            Family(
                self._household(house.members, home, moved, [(next(selves), next(insurers)) for _ in house.members]),
                house.expected,
            )
            for house, home, moved in zip(households, homes, moves, strict=True)
        ]

    def _home(self, city: City, rural: bool, drawn: list[float], since: int) -> Home:
        """A home from five draws."""
        street = streets()[int(drawn[0] * len(streets()))]
        if rural:
            line = f"روستای {street}آباد، خیابان اصلی، پلاک {1 + int(drawn[1] * 60)}"
        else:
            line = f"خیابان {street}، کوچهٔ {1 + int(drawn[1] * 40)}، پلاک {1 + int(drawn[1] * 7919) % 120}"
        line = persian_digits(line)
        return Home(
            city, network_of(city.number), rural, line, postal_code(drawn[2]), landline(drawn[3]), drawn[4], since
        )

    def _homes(self, drawn: list[float], moves: list[float]) -> tuple[Home, ...]:
        """The first home, and where the household moved within its province: 3% do so in a year (general knowledge)."""
        city = self._cities.pick(drawn[0])
        rural = drawn[1] >= city.province.urban_share
        homes = [self._home(city, rural, drawn[2:7], 0)]
        cities = cities_of((city.province.code,))
        for year in range(self._years):
            chance, when, *rest = moves[6 * year : 6 * year + 6]
            day = self._window + int((year + when) * 365.25)
            if chance < 0.03 and day < self._until:
                homes.append(self._home(cities.pick(chance / 0.03), rural, [*rest, chance / 0.03], day))
        return tuple(homes)

    def _payers(self, rural: bool, first: Payer, drawn: list[float]) -> tuple[tuple[int, Payer], ...]:
        """The insurers over the years: one person in twenty-five changes in a year (general knowledge)."""
        made = [(0, first)]
        for year in range(self._years):
            chance, when, which = drawn[3 * year : 3 * year + 3]
            day = self._window + int((year + when) * 365.25)
            changed = payer_draw(rural).pick(which)
            if chance < 0.04 and day < self._until and changed != made[-1][1] and self._payer is None:
                made.append((day, changed))
        return tuple(made)

    def _household(
        self,
        members: list[Member],
        drawn: list[float],
        moves: list[float],
        selves: list[tuple[list[float], list[float]]],
    ) -> list[Identity]:
        homes = self._homes(drawn, moves)
        province, rural = homes[0].city.province.code, homes[0].rural
        surnames = family_names(province, self._coined)
        together = self._payer or payer_draw(rural).pick(drawn[7])
        of_man, of_woman = surnames.pick(drawn[8]), surnames.pick(drawn[9])
        made = []
        for member, (own, insurers) in zip(members, selves, strict=True):
            family = of_woman if member.slot == WOMAN else surnames.pick(own[4]) if member.slot == DECEASED else of_man
            cohort = cohort_of(date_of(member.birth).year)
            given = given_names(member.female, cohort, province).pick(own[0])
            # One adult in ten is insured apart from the rest of the household (general knowledge).
            payer = (
                payer_draw(rural).pick(own[2] * 10)
                if own[2] < 0.1 and member.slot < 2 and not self._payer
                else together
            )
            made.append(Identity(
                member, self.code_of(member.number), homes, given, family,
                self._codes.mint(member.number), mobile(own[1]), self._payers(rural, payer, insurers),
            ))  # fmt: skip
        return made
