"""Living many lives: onsets are decided for all people of a shard at once, then each life runs from event to event."""

from collections.abc import Callable, Iterator
from functools import cache
from heapq import heappop
from math import log
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..calendars import JALALI, MONTH, OPEN_DAY, YEAR, day_of
from ..cohorts import prevalence, required
from ..conditions.program import Death, Onset, Story, schedule
from ..conditions.registry import select
from ..fhir.conditions import write_conditions
from ..fhir.family import related_people
from ..fhir.fragments import Resource
from ..fhir.patient import patient
from ..households import mortality
from ..person import Family, Home, Identity
from ..population import PopulationSpec
from ..randomness import (
    NORMAL,
    NORMAL_SIZE,
    Keys,
    blocks,
    draws,
    member_keys,
    normal_cdf,
    normals,
    stream_key,
    uniforms,
)
from . import latent
from .care import close_visit
from .coverage import cover
from .modules import module_run
from .pregnancy import plan_birth, plan_pregnancies
from .record import FOREVER, Life, Run
from .vaccination import plan_vaccination

Floats: TypeAlias = NDArray[np.float64]
_MOST = 4  # episodes of one story in one year
_PERSON = np.array([stream_key(f"life.{name}") for name in ("phase", "size", "death", "cause")], dtype=np.uint64)


class Engine:
    """Simulates the people of one population."""

    def __init__(self, spec: PopulationSpec) -> None:
        self.spec = spec
        self.as_of = day_of(spec.as_of)
        self.window = self.as_of - int(spec.history_years * YEAR)
        self.until = self.as_of + 1 + int(spec.evolve_months * MONTH)
        self.stories = select(spec.stories)
        self._streams = {name: stream_key(f"story.{name}") for name in self.stories}
        self._onset_streams = {name: stream_key(f"onset.{name}") for name in self.stories}
        self._years = int((self.until - self.window) // 365.25) + 1
        self.fatal = [story for story in self.stories.values() if story.death is not None]

    def live(self, people: list[tuple[Identity, Family]]) -> Iterator[tuple[Identity, list[Resource]]]:
        """The resources of each person, in order; the family is what they may be related to."""
        for life, resources in self.lives(people):
            yield life.who, resources

    def lives(self, people: list[tuple[Identity, Family]]) -> Iterator[tuple[Life, list[Resource]]]:
        """Like `live`, with the life itself: its latent state is that of the last day."""
        lives = self.prepare(people)[::-1]
        while lives:
            life = lives.pop()
            yield life, self._run(life)

    def begin(self, life: Life, name: str, day: int) -> None:
        """Begin a triggered story; see `Life.begin`."""
        story = self.stories.get(name)
        if story is None or name in life.runs or day >= self.until or day > life.death:
            return
        run = Run(life, story, draws([], life.key, self._streams[name]))
        life.runs[name] = run
        schedule(run, day, story.states[0])

    def prepare(self, people: list[tuple[Identity, Family]]) -> list[Life]:
        """Lives ready to run: latent state, onsets and deaths decided, nothing written yet."""
        numbers = np.array([who.member.number for who, _ in people], dtype=np.uint64)
        keys = member_keys(self.spec.seed, numbers)
        own = uniforms(keys, _PERSON)
        births = np.array([who.member.birth for who, _ in people], dtype=np.float64)
        female = np.array([who.member.female for who, _ in people])
        shared = latent.factors(keys)
        forced = self._force(keys, births, female, shared)
        statures = normals(own[:, 1])
        state, drift = latent.start(keys, shared, female, births, self.window, statures)
        lives = [Life(who, family, key, self) for (who, family), key in zip(people, keys.tolist(), strict=True)]
        columns = zip(lives, state.tolist(), drift.tolist(), own.tolist(), strict=True)
        for life, levels, slopes, (phase, size, dying, _) in columns:
            life.state, life.drift = levels, slopes
            life.phase = int(phase * 3600)
            life.size_z = NORMAL[int(size * NORMAL_SIZE)]
            self._mortality(life, dying)
            _plan_growth(life)
        group = _Group(lives, keys, births, female, shared, forced)
        for story in self.stories.values():
            self._begin_all(story, group)
        for life, row in zip(lives, own.tolist(), strict=True):
            if life.death < self.until:
                self._end(life, row[3])
        return lives

    def _mortality(self, life: Life, draw: float) -> None:
        """People alive on as_of may die afterwards, at the country's rates, when the population lives on."""
        if life.death == FOREVER and self.until > self.as_of + 1:
            age = (self.as_of - life.birth) / YEAR
            day = self.as_of + 1 + int(-log(1 - draw) / mortality(life.female, int(max(0.0, age))) * YEAR)
            if day < self.until and day > life.who.member.spared:
                life.death = day

    def _end(self, life: Life, draw: float) -> None:
        """Choose the story that tells a death, by its share at this age, and put its last state on the agenda."""
        age = (life.death - life.birth) / YEAR
        weights = [_weight(story.death, life.female, age) for story in self.fatal]
        place = draw * max(sum(weights), 100.0)  # what is left of 100 has no story: an ill-defined cause
        for story, weight in zip(self.fatal, weights, strict=True):
            place -= weight
            if place < 0 and story.death is not None:
                run = Run(life, story, draws([], life.key, self._streams[story.id]))
                day = max(life.birth, life.window, life.death - story.death.lead)
                life.flags.add("dying")
                life.push(day, run, _ending(run, story.states[story.death.state].enter))
                return

    def _begin_all(self, story: Story, group: "_Group") -> None:
        """Find who gets a story and when, and put it on their agendas."""
        onset = story.onset
        if onset.kind == "triggered":
            return
        found = self._prevalent(story, group) if onset.kind == "prevalence" else self._episodes(story, group)
        if not found:
            return
        people = sorted({index for index, _ in found})
        stream = self._streams[story.id]
        made = blocks(group.keys[people], stream).tolist()
        runs = {}
        for index, block in zip(people, made, strict=True):
            life = group.lives[index]
            runs[index] = Run(life, story, draws(block, life.key, stream))
        enter = _entrance(story)
        opens = story.states[0].opens
        for index, onset_day in found:
            life = group.lives[index]
            day = OPEN_DAY[onset_day] if opens and onset_day >= self.window else onset_day
            if life.birth <= day <= life.death and day < self.until:
                life.push(day, runs[index], enter)

    def _own(self, story: Story, keys: Keys) -> Floats:
        return normals(uniforms(keys, np.array([self._onset_streams[story.id]], dtype=np.uint64))[:, 0])

    def _force(self, keys: Keys, births: Floats, female: NDArray[np.bool_], shared: Floats) -> dict[str, Floats]:
        """In a cohort, place liabilities inside the prevalence of what is asked for, and move the shared factors along."""
        forced: dict[str, Floats] = {}
        if self.spec.cohort is None:
            return forced
        ages = (self.as_of - births) / YEAR
        for story in required(self.spec.cohort, self.stories):
            loads = story.onset.factors
            liability = latent.share(shared, loads, self._own(story, keys))
            share = np.where(female, prevalence(story.onset, True, ages), prevalence(story.onset, False, ages))
            place = normal_cdf(liability) * share
            moved = normals(np.clip(place, 0.0, 1 - 1e-9)) - liability
            for name, load in loads.items():
                shared[:, latent.FACTORS.index(name)] += load * moved
            forced[story.id] = place
        return forced

    def _prevalent(self, story: Story, group: "_Group") -> list[tuple[int, int]]:
        """(person, day) of everybody whose liability crosses the prevalence at some age."""
        onset = story.onset
        place = group.forced.get(story.id)
        if place is None:
            place = normal_cdf(latent.share(group.shared, onset.factors, self._own(story, group.keys)))
            place = place / _local(onset, group)
        days = np.full(len(place), np.inf)
        for sex in (False, True):
            ages, amounts = _curve(onset.female if sex else onset.male)
            if not len(ages):
                continue
            chosen = (group.female == sex) & (place < amounts[-1])
            days[chosen] = group.births[chosen] + np.interp(place[chosen], amounts, ages) * YEAR
        return [(int(i), int(days[i])) for i in np.flatnonzero(days < self.until)]

    def _episodes(self, story: Story, group: "_Group") -> list[tuple[int, int]]:
        """(person, day) of every episode within the written history, year by year."""
        onset = story.onset
        drawn = blocks(group.keys, self._onset_streams[story.id], 0, self._years * 2)
        mids = self.window + (np.arange(self._years) + 0.5) * 365.25
        ages = (mids[None, :] - group.births[:, None]) / YEAR
        rates = np.where(group.female[:, None], _rate(onset.female, ages), _rate(onset.male, ages))
        load = sum(onset.factors.values())
        if onset.factors:
            shared = latent.share(group.shared, onset.factors, np.zeros(len(group.keys)))
            rates = rates * np.exp(shared - sum(x * x for x in onset.factors.values()) / 2)[:, None] if load else rates
        rates = rates * _local(onset, group)[:, None]
        none = np.exp(-rates)
        counts = np.zeros(rates.shape, dtype=np.int64)
        term, reached = none.copy(), none.copy()
        for number in range(1, _MOST + 1):
            counts += drawn[:, 0::2] >= reached
            term = term * rates / number
            reached = reached + term
        return self._dated(onset, counts, drawn[:, 1::2])

    def _dated(self, onset: Onset, counts: NDArray[np.int64], places: Floats) -> list[tuple[int, int]]:
        cumulative = _season(onset.months, JALALI[self.window][1])
        found = []
        for person, year in np.argwhere(counts).tolist():
            for number in range(int(counts[person, year])):
                place = (float(places[person, year]) + number * 0.618034) % 1.0
                day = int(np.interp(place, cumulative, np.arange(366)))
                found.append((person, self.window + int(year * 365.25) + day))
        return found

    def _run(self, life: Life) -> list[Resource]:
        """One life, from the first event on the agenda to the last before death or the end."""
        cover(life)
        plan_birth(life)
        plan_vaccination(life)
        plan_pregnancies(life)
        _plan_moves(life)
        agenda = life.agenda
        last = min(life.death, self.until - 1)
        today = -1
        while agenda:
            day, _, enter, run = heappop(agenda)
            if day > last:
                break
            if day != today:
                if life.visit is not None and day > life.visit.end:
                    close_visit(life)
                if life.admitted >= day and life.visit is not None and day < life.death:
                    life.push(OPEN_DAY[life.admitted + 1 + day % 7], run, enter)
                    continue
                today = day
            enter(run, day)
        close_visit(life)
        write_conditions(life)
        death = life.death if life.death < self.until else 0
        relatives = related_people(life.who, life.family)
        agenda.clear()
        life.begun = frozenset(life.runs)
        life.runs.clear()  # lives and runs refer to each other: undone by hand, so that no garbage collector is needed
        return [patient(life.who, life.family, death, self.until), *relatives, *life.out]


class _Group:
    """The people of a shard as columns."""

    __slots__ = ("births", "female", "forced", "keys", "lives", "rural", "shared", "thalassaemia")

    def __init__(
        self,
        lives: list[Life],
        keys: Keys,
        births: Floats,
        female: NDArray[np.bool_],
        shared: Floats,
        forced: dict[str, Floats],
    ) -> None:
        self.lives, self.keys, self.births, self.female, self.shared = lives, keys, births, female, shared
        self.forced = forced  # liabilities that a cohort prescribes
        self.rural = np.array([life.home.rural for life in lives])
        self.thalassaemia = np.array([life.home.city.province.thalassaemia for life in lives])


def _plan_growth(life: Life) -> None:
    """From the 12th birthday on a child's body becomes an adult's; from the 18th it ages like one."""
    for age in (latent.GROWING, latent.GROWN):
        day = life.birth + int(age * YEAR)
        if life.window < day < life.until:
            life.push(day, module_run(life, "background"), _grow(age))


@cache
def _grow(age: int) -> Callable[[Run, int], None]:
    def grow(run: Run, day: int) -> None:
        life = run.life
        drift = latent.drift_from(age, life.female)
        lived = day - life.window
        life.state = [
            level + (old - new) * lived for level, old, new in zip(life.state, life.drift, drift, strict=True)
        ]
        life.drift = drift

    return grow


def _plan_moves(life: Life) -> None:
    """From the day of a move on, care is sought in the new city; from the day of a change of insurer, the new one pays."""
    run = module_run(life, "background")
    for home in life.who.homes[1:]:
        life.push(home.since, run, _move_to(home))


def _move_to(home: Home) -> Callable[[Run, int], None]:
    def move(run: Run, day: int) -> None:
        run.life.home = home

    return move


def _local(onset: Onset, group: _Group) -> Floats:
    factor = np.where(group.rural, onset.rural, 1.0)
    return np.asarray(factor * group.thalassaemia) if onset.thalassaemia else factor


@cache
def _curve(knots: tuple[tuple[float, float], ...]) -> tuple[Floats, Floats]:
    """Prevalence as a share that never falls with age: (ages, shares)."""
    ages = np.array([age for age, _ in knots])
    return ages, np.maximum.accumulate(np.array([amount / 100 for _, amount in knots])) if knots else ages


def _rate(knots: tuple[tuple[float, float], ...], ages: Floats) -> Floats:
    if not knots:
        return np.zeros_like(ages)
    rates = np.interp(ages, [age for age, _ in knots], [amount for _, amount in knots])
    return np.where(ages < 0, 0.0, rates)


def _weight(death: Death | None, female: bool, age: float) -> float:
    knots = () if death is None else death.female if female else death.male
    return float(np.interp(age, [a for a, _ in knots], [w for _, w in knots])) if knots else 0.0


def _ending(run: Run, enter: Callable[[Run, int], None]) -> Callable[[Run, int], None]:
    def end(same: Run, day: int) -> None:
        enter(run.life.runs.setdefault(run.story.id, run), day)  # the run of the disease, when it has begun

    return end


@cache
def _season(months: tuple[float, ...], first: int) -> Floats:
    """Cumulative share of a year's episodes by day, for a year that begins in the Jalali month `first`."""
    if not months:
        return np.linspace(0, 1, 366)
    weights = [months[(first - 1 + int(day / 30.44)) % 12] for day in range(365)]
    return np.concatenate(([0.0], np.cumsum(weights) / sum(weights)))


def _entrance(story: Story) -> Callable[[Run, int], None]:
    """Entering the first state, if the onset's guard allows it; from then on the story counts as running."""
    guard, first = story.onset.guard, story.states[0].enter

    lasting = story.onset.kind == "prevalence"

    def enter(run: Run, day: int) -> None:
        running = run.life.runs.get(story.id)
        if running is not None and running is not run and lasting:
            return  # another story has triggered it already
        if guard is None or guard(run, day):
            first(run.life.runs.setdefault(story.id, run), day)

    return enter
