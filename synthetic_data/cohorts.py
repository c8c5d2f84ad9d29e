"""Cohorts: people who meet conditions, drawn directly from the conditional distribution instead of being searched for.

Age comes from the pyramid times the prevalence of every disease asked for; a disease is made to have begun by placing the
person's liability inside its prevalence at that age, and the shared factors are moved as the regression on that liability
says, so other diseases and the latent state follow as they do in people who happen to have it. One draw gives one person:
nothing is rejected.
"""

import numpy as np

from .calendars import YEAR
from .conditions.program import Onset, Story
from .errors import SpecError
from .households import MAN, SLOTS, WOMAN, Floats, Household, Member, single_years
from .population import Cohort, PopulationSpec
from .randomness import blocks, member_keys, stream_key

_STREAM = stream_key("cohort")


def prevalence(onset: Onset, female: bool, ages: Floats) -> Floats:
    """The share of one sex in whom a prevalence story has begun by these ages."""
    knots = onset.female if female else onset.male
    if not knots:
        return np.zeros_like(ages)
    curve = np.maximum.accumulate(np.array([amount / 100 for _, amount in knots]))
    return np.asarray(np.interp(ages, [age for age, _ in knots], curve, left=0.0), dtype=np.float64)


def required(cohort: Cohort, stories: dict[str, Story]) -> list[Story]:
    """The stories a cohort asks for; raises SpecError for one that is unknown, left out, or not a lasting condition."""
    found = []
    for name in cohort.stories:
        if name not in stories:
            raise SpecError(f"the cohort asks for the story {name!r}, which is not part of the population")
        if stories[name].onset.kind != "prevalence":
            raise SpecError(
                f"the cohort asks for {name!r}, which comes and goes: ask for one that the command `stories` calls a prevalence"
            )
        found.append(stories[name])
    for story in found:
        for other in cohort.stories:
            if other in story.onset.apart:
                raise SpecError(f"nobody has both {story.id} and {other}: they exclude each other")
    return found


class CohortPlanner:
    """Plans people one by one: a household of one member each, of the sexes and ages that meet the conditions."""

    def __init__(self, spec: PopulationSpec, as_of: int, stories: dict[str, Story]) -> None:
        if spec.cohort is None:
            raise ValueError("a cohort planner needs a cohort")
        self.seed, self.as_of, self.cohort = spec.seed, as_of, spec.cohort
        wanted = required(spec.cohort, stories)
        ages = np.arange(100, dtype=np.float64) + 0.5
        weights: list[Floats] = []
        for female in (False, True):
            weight: Floats = single_years()[1 if female else 0].copy()
            weight[: spec.cohort.min_age] = 0
            weight[spec.cohort.max_age + 1 :] = 0
            if spec.cohort.sex is not None and (spec.cohort.sex == "female") != female:
                weight[:] = 0
            for story in wanted:
                weight = weight * prevalence(story.onset, female, ages)
            weights.append(weight)
        self._cumulative = np.cumsum(np.concatenate(weights))
        self.share = float(self._cumulative[-1])
        if self.share <= 0:
            raise SpecError("nobody can meet all conditions of this cohort: " + _describe(spec.cohort))

    def plan(self, first: int, count: int) -> list[Household]:
        """People number first..first+count, each alone in a household."""
        numbers = np.arange(first, first + count, dtype=np.uint64)
        drawn = blocks(member_keys(self.seed, numbers * np.uint64(SLOTS)), _STREAM, 0, 3)
        at = np.minimum(np.searchsorted(self._cumulative, drawn[:, 0] * self.share, side="right"), 199)
        made = []
        for index, place in enumerate(at.tolist()):
            female, age = place >= 100, place % 100
            birth = self.as_of - int((age + float(drawn[index, 1])) * YEAR) - 1
            slot = WOMAN if female else MAN
            number = (first + index) * SLOTS + slot
            married = age >= 20 and float(drawn[index, 2]) < min(0.88, (age - 18) / 10)
            made.append(Household([Member(number, first + index, slot, female, birth, 0, -1, married)], []))
        return made


def _describe(cohort: Cohort) -> str:
    parts = [
        cohort.sex or "",
        f"aged {cohort.min_age} to {cohort.max_age}",
        *(f"with {name}" for name in cohort.stories),
    ]
    return ", ".join(part for part in parts if part)
