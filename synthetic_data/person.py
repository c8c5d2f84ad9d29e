"""Who a person is: names, home, insurer and identifiers, drawn from named streams of the household and of the
member."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .calendars import date_of
from .households import MAN, SLOTS, Member
from .population import PopulationSpec
from .randomness import member_keys, stream_key, uniforms
from .world.identifiers import NationalCodes, landline, mobile, postal_code
from .world.names import Name, cohort_of, family_names, given_names, streets
from .world.payers import Payer, payer_draw
from .world.places import City, cities_of
from .world.providers import CityNetwork, network_of
from .world.tables import Weighted

_HOME = (
    "city",
    "rural",
    "street",
    "alley",
    "postal",
    "landline",
    "payer",
    "family.man",
    "family.woman",
    "moved",
    "doctor",
)
_SELF = ("given", "mobile", "payer.own", "blood", "language", "family.deceased")
_HOME_KEYS = np.array([stream_key(f"home.{name}") for name in _HOME], dtype=np.uint64)
_SELF_KEYS = np.array([stream_key(f"self.{name}") for name in _SELF], dtype=np.uint64)
_LETTERS = "bcdfghjkmnpqrstvwxyz"


class Home(NamedTuple):
    """Where a household lives, and how it is insured."""

    city: City
    network: CityNetwork
    rural: bool
    line: str
    postal: str
    phone: str
    payer: Payer
    doctor: float  # which of several practitioners the household goes to
    moved: float  # decides whether and when the household moved here


@dataclass(frozen=True, slots=True)
class Identity:
    """A person's administrative facts; `code` is the first part of the id of everything recorded about them."""

    member: Member
    code: str
    home: Home
    given: Name
    family: Name
    national_code: str
    mobile: str
    payer: Payer

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


class Registrar:
    """Gives planned members their identities."""

    def __init__(self, spec: PopulationSpec) -> None:
        self._seed = spec.seed
        self._cities: Weighted[City] = cities_of(spec.region)
        self._codes = NationalCodes(spec.seed, spec.identifiers)
        self._coined = spec.surnames == "coined"
        self._tag = population_tag(spec.seed)

    def code_of(self, number: int) -> str:
        """The Patient id of a member number."""
        return f"{self._tag}-{number:x}"

    def identify(self, households: list[list[Member]]) -> list[list[Identity]]:
        """Identities of whole households, in order."""
        firsts = np.array([members[0].household * SLOTS for members in households], dtype=np.uint64)
        everyone = np.array([m.number for members in households for m in members], dtype=np.uint64)
        homes = uniforms(member_keys(self._seed, firsts), _HOME_KEYS).tolist()
        selves = iter(uniforms(member_keys(self._seed, everyone), _SELF_KEYS).tolist())
        return [
            self._household(members, drawn, [next(selves) for _ in members])
            for members, drawn in zip(households, homes, strict=True)
        ]

    def _home(self, drawn: list[float]) -> Home:
        city = self._cities.pick(drawn[0])
        rural = drawn[1] >= city.province.urban_share
        street = streets()[int(drawn[2] * len(streets()))]
        if rural:
            line = f"روستای {street}آباد، خیابان اصلی، پلاک {1 + int(drawn[3] * 60)}"
        else:
            line = f"خیابان {street}، کوچهٔ {1 + int(drawn[3] * 40)}، پلاک {1 + int(drawn[3] * 7919) % 120}"
        payer = payer_draw(rural).pick(drawn[6])
        return Home(
            city,
            network_of(city.number),
            rural,
            line,
            postal_code(drawn[4]),
            landline(drawn[5]),
            payer,
            drawn[10],
            drawn[9],
        )

    def _household(self, members: list[Member], drawn: list[float], selves: list[list[float]]) -> list[Identity]:
        home = self._home(drawn)
        surnames = family_names(home.city.province.code, self._coined)
        of_man, of_woman = surnames.pick(drawn[7]), surnames.pick(drawn[8])
        made = []
        for member, own in zip(members, selves, strict=True):
            family = of_woman if member.slot == 0 else of_man if member.slot < MAN + 36 else surnames.pick(own[5])
            cohort = cohort_of(date_of(member.birth).year)
            given = given_names(member.female, cohort, home.city.province.code).pick(own[0])
            # One adult in ten is insured apart from the household's head (general knowledge).
            payer = payer_draw(home.rural).pick(own[2] * 10) if own[2] < 0.1 and member.slot < 2 else home.payer
            made.append(Identity(
                member, self.code_of(member.number), home, given, family,
                self._codes.mint(member.number), mobile(own[1]), payer,
            ))  # fmt: skip
        return made
