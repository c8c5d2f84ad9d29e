"""Who exists: households drawn so that the age pyramid comes out right, with mothers linked to their children.

A household is a woman and a man of 18 or over, each drawn from the pyramid of their sex, the woman's children under
18, and now and then a relative who died within the history. A child's chance of existing is the age-specific
fertility at that age of the mother, scaled for each child's age so that the expected number of children equals the
pyramid's. So marginal distributions are those of the country, and yet every child has a mother of a plausible age.

A member's number is `household * SLOTS + slot`; slots: 0 woman, 1 man, 2.. the child born when the mother was 15, 16,
..., and last the deceased relative. A number never depends on how many people are made.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .calendars import MONTH, YEAR
from .randomness import Keys, blocks, member_keys, stream_key
from .world.tables import load

Floats = NDArray[np.float64]

SLOTS = 40
WOMAN, MAN, FIRST_CHILD, DECEASED = 0, 1, 2, 37
FERTILE_FROM, FERTILE_TO = 15, 49
ADULT = 18
CHUNK = 64  # households planned together; the result does not depend on it
_DRAWS = 60
PREGNANCY = 300  # days: nobody is pregnant for longer
_HORIZON = int(121 * MONTH) + PREGNANCY  # births are planned so far ahead, whatever part of them comes to pass
_STREAM = stream_key("household")
_COUPLE_SHIFT = 0.055  # how far the man's place in his pyramid is ahead of the woman's: about four years
_COUPLE_SPREAD = 0.06


@dataclass(frozen=True, slots=True)
class Member:
    """One person as planned: `birth` and `death` are day numbers; `mother` is a member number or -1."""

    number: int
    household: int
    slot: int
    female: bool
    birth: int
    death: int  # 0 when alive on as_of
    mother: int
    married: bool
    spared: int = 0  # a woman does not die before this day: her last planned child has been born


class Household(NamedTuple):
    """The members that exist, in slot order, and the children who will be born after the end: pregnancies under way."""

    members: list[Member]
    expected: list[Member]


@cache
def single_years() -> tuple[Floats, Floats]:
    """The pyramid by single years of age 0..99, male and female, each as a share of the whole population."""
    male, female = np.zeros(100), np.zeros(100)
    for band in load("demography")["pyramid_2025"]:
        for target, key in ((male, "male_pct_of_total"), (female, "female_pct_of_total")):
            if band["age"] == "85+":
                shape = 0.72 ** np.arange(15)
                target[85:100] = band[key] * shape / shape.sum() / 100
            else:
                low = int(band["age"].split("-")[0])
                target[low : low + 5] = band[key] / 500
    return male, female


@cache
def _adult_ages(female: bool) -> tuple[Floats, Floats]:
    """Cumulative shares of adults by exact age, for inverse sampling: (cumulative, age)."""
    weights = single_years()[1 if female else 0][ADULT:]
    cumulative = np.concatenate(([0.0], np.cumsum(weights)))
    return cumulative / cumulative[-1], np.arange(ADULT, 101, dtype=np.float64)


@cache
def fertility() -> Floats:
    """Births per woman-year at ages 15..49 (2023), interpolated between the middles of the published bands."""
    rates = load("demography")["asfr_per_1000"]
    middles = [int(band.split("-")[0]) + 2.5 for band in rates]
    ages = np.arange(FERTILE_FROM, FERTILE_TO + 1) + 0.5
    shape = np.interp(ages, [13.0, *middles, 50.0], [0.0, *rates.values(), 0.0])
    return np.asarray(shape * (sum(rates.values()) * 5 / shape.sum()) / 1000)


@cache
def _child_scale() -> Floats:
    """For each child's age 0..17, the factor on fertility that gives the pyramid's number of children."""
    male, female = single_years()
    scale = np.zeros(ADULT)
    fine = 10
    mothers = np.repeat(female[ADULT:] / fine, fine)
    ages = np.arange(ADULT * fine, 100 * fine) / fine + 0.5 / fine
    adults = (male[ADULT:].sum() + female[ADULT:].sum()) / 2
    for age in range(ADULT):
        expected = 0.0
        for part in np.arange(0.05, 1, 0.1):
            at_birth = ages - (age + part)
            inside = (at_birth >= FERTILE_FROM) & (at_birth < FERTILE_TO + 1)
            index = np.clip(at_birth.astype(np.int64) - FERTILE_FROM, 0, FERTILE_TO - FERTILE_FROM)
            expected += float((mothers * np.where(inside, fertility()[index], 0)).sum()) / 10
        # Households are drawn per adult woman; their number is half the adults.
        scale[age] = (male[age] + female[age]) / expected * (female[ADULT:].sum() / adults)
    return scale


@cache
def _deaths() -> tuple[Floats, Floats, float]:
    """Deaths per person-year by single age for each sex, and the crude rate: mx times the pyramid."""
    table = load("demography")["mortality_mx"]
    found = []
    for weights, sex in zip(single_years(), ("male", "female"), strict=True):
        starts = [int(age) for age in table[sex]]
        rates = np.array(list(table[sex].values()))
        mx = rates[np.searchsorted(starts, np.arange(100), side="right") - 1]
        found.append(mx * weights)
    return found[0], found[1], float(found[0].sum() + found[1].sum())


@cache
def _hazards(female: bool) -> list[float]:
    table = load("demography")["mortality_mx"]["female" if female else "male"]
    starts, rates = [int(age) for age in table], list(table.values())
    calm = _death_rate() / _deaths()[2]
    return [float(rates[bisect_right(starts, age) - 1]) * calm for age in range(121)]


def mortality(female: bool, age: int) -> float:
    """Deaths per person-year at a completed age."""
    return _hazards(female)[min(age, 120)]


def _death_rate() -> float:
    """Deaths per person-year: the crude rate of 2023; the age-specific rates of 2020-2025 hold the COVID-19 years."""
    return float(load("demography")["crude_death_rate_2023_per_1000"]) / 1000


def _age_at_death(uniform: float) -> tuple[bool, int]:
    """Sex (female?) and completed age of someone who died, from the country's deaths."""
    male, female, crude = _deaths()
    at = int(np.searchsorted(np.cumsum(np.concatenate((male, female))) / crude, uniform, side="right"))
    at = min(at, 199)
    return at >= 100, at % 100


class Planner:
    """Plans households for one population; `deceased` is how many years of deaths to include."""

    def __init__(self, seed: int, as_of: int, history_years: int, until: int) -> None:
        self.seed, self.as_of, self.until = seed, as_of, until
        self.history_days = int(history_years * YEAR)
        people = 2 / (1 - float(single_years()[0][:ADULT].sum() + single_years()[1][:ADULT].sum()))
        self.death_share = min(0.95, _death_rate() * history_years * people)

    def plan(self, first: int, count: int = CHUNK) -> list[Household]:
        """Households first..first+count."""
        households = np.arange(first, first + count, dtype=np.uint64)
        drawn = blocks(member_keys(self.seed, households * np.uint64(SLOTS)), _STREAM, 0, _DRAWS)
        women, men = self._adults(drawn)
        born = self._children(drawn, women)
        return [self._household(first + i, drawn[i], int(women[i]), int(men[i]), born[i]) for i in range(count)]

    def _adults(self, drawn: Floats) -> tuple[Keys, Keys]:
        place = drawn[:, 0]
        partner = (place + _COUPLE_SHIFT + _COUPLE_SPREAD * (drawn[:, 1] - 0.5)) % 1.0
        found = []
        for female, uniform in ((True, place), (False, partner)):
            cumulative, ages = _adult_ages(female)
            found.append(self.as_of - (np.interp(uniform, cumulative, ages) * YEAR).astype(np.int64) - 1)
        return found[0], found[1]  # type: ignore[return-value]

    def _children(self, drawn: Floats, women: NDArray[np.generic]) -> list[list[tuple[int, int]]]:
        """For each woman, (slot, birth day) of her children under 18 on as_of or born later."""
        ages = np.arange(FERTILE_FROM, FERTILE_TO + 1)
        position = drawn[:, 2:3] * 0.9 + 0.1 * drawn[:, 24:59]
        birth = women[:, None].astype(np.float64) + (ages[None, :] + position) * YEAR
        age_now = np.floor((self.as_of - birth) / YEAR)
        scale = _child_scale()[np.clip(age_now, 0, ADULT - 1).astype(np.int64)]
        chance = np.where((age_now < ADULT) & (birth <= self.as_of + _HORIZON), fertility()[None, :] * scale, 0.0)
        hits = np.argwhere(_spread(drawn[:, 3], len(ages)) < chance)
        found: list[list[tuple[int, int]]] = [[] for _ in range(len(drawn))]
        for row, column in hits.tolist():
            found[row].append((FIRST_CHILD + column, int(birth[row, column])))
        return found

    def _household(self, number: int, drawn: Floats, woman: int, man: int, born: list[tuple[int, int]]) -> Household:
        base = number * SLOTS
        age = (self.as_of - woman) / YEAR
        gap = (woman - man) / YEAR
        settled = min(0.88, max(0.0, (age - 18) / 10)) if age < 70 else 0.5
        parent = any(birth <= self.as_of + PREGNANCY for _, birth in born)
        married = -10 < gap < 20 and (parent or float(drawn[4]) < settled)
        members = [
            Member(base, number, WOMAN, True, woman, 0, -1, married, max((birth for _, birth in born), default=0) + 42),
            Member(base + MAN, number, MAN, False, man, 0, -1, married),
        ]
        expected = []
        for slot, birth in born:
            female = float(drawn[5 + (slot - FIRST_CHILD) % 17]) >= 1.05 / 2.05
            child = Member(base + slot, number, slot, female, birth, 0, base, False)
            if birth <= self.until:
                members.append(child)
            elif birth <= self.until + PREGNANCY:
                expected.append(child)
        if float(drawn[22]) < self.death_share:
            members.append(self._deceased(number, float(drawn[23]), float(drawn[22]) / self.death_share))
        return Household(members, expected)

    def _deceased(self, number: int, age_draw: float, when: float) -> Member:
        female, age = _age_at_death(age_draw)
        death = self.as_of - 1 - int(when * (self.history_days - 2))
        birth = death - int((age + (age_draw * 7919) % 1) * YEAR)
        return Member(number * SLOTS + DECEASED, number, DECEASED, female, birth, death, -1, age >= 25)


def _spread(uniform: Floats, count: int) -> Floats:
    """`count` independent uniforms out of one, by hashing its bits."""
    keys = (uniform * 2**53).astype(np.uint64)
    return blocks(keys, stream_key("household.births"), 0, count)
