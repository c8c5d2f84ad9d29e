"""What a target is, and the questions that targets ask of a surveyed person."""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

from .survey import Person, Survey

Test = Callable[[Person], bool]
Measure = Callable[[Survey], tuple[float, int]]
"""(observed value, number of people or events it rests on)."""


@dataclass(frozen=True)
class Target:
    """One figure; shares are percentages, the error of a `ratio` is relative and rests on so many cases,
    `counts` are events per so many."""

    group: str
    name: str
    expected: float
    tolerance: float
    measure: Measure
    source: str
    held_out: bool = False
    share: bool = True
    ratio: bool = False
    counts: int = 0

    def allowed(self, observed: float, number: int) -> float:
        """The tolerance and three standard errors; `number` is how many people, events or expected cases the figure rests on."""
        if not number:
            return self.tolerance
        if self.ratio:
            return self.tolerance + 3 * self.expected / sqrt(number)
        if self.counts:
            return self.tolerance + 3 * sqrt(max(self.expected, 0.1) * self.counts / number)
        if not self.share:
            return self.tolerance
        rate = min(max(self.expected, 1.0), 99.0)
        return self.tolerance + 3 * sqrt(rate * (100 - rate) / number)


def share(people: Test, what: Test) -> Measure:
    """The percentage of the living `people` of whom `what` is true."""

    def measure(found: Survey) -> tuple[float, int]:
        chosen = [what(person) for person in found.people if person.alive and people(person)]
        return found.share(chosen), len(chosen)

    return measure


def aged(low: int, high: int = 200, female: bool | None = None) -> Test:
    """Of these completed years and, when given, this sex."""
    return lambda person: low <= person.age <= high and (female is None or person.female == female)


def begun(*stories: str) -> Test:
    """In whom one of these stories has begun."""
    return lambda person: any(story in person.begun for story in stories)


def coded(*prefixes: str) -> Test:
    """With a diagnosis whose code begins so."""
    return lambda person: any(code.startswith(prefixes) for code in person.coded)


def takes(*prefixes: str) -> Test:
    """Under treatment with a drug whose ATC code begins so."""
    return lambda person: any(code.startswith(prefixes) for code in person.taking)


def both(*tests: Test) -> Test:
    """For whom all tests hold."""
    return lambda person: all(test(person) for test in tests)
