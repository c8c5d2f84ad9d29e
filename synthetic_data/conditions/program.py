"""A compiled story: states as tuples of closures, onset as tables. Running one is `enter(run, day, state)`."""

from collections.abc import Callable
from dataclasses import dataclass, field

from ..calendars import OPEN_DAY
from ..life.record import Life, Run
from ..randomness import stream_key
from .expressions import Guard

Action = Callable[[Run, int], None]
Delay = Callable[[Run], int]


@dataclass(slots=True)
class Transition:
    """One way out of a state: taken when its guard holds and its chance comes up; `after` gives days."""

    to: int
    after: Delay
    chance: float = 1.0
    guard: Guard | None = None


@dataclass(slots=True)
class State:
    """A state: what is done on entering, and where to go from there. `every` repeats it on the person's follow-up days."""

    name: str
    actions: tuple[Action, ...] = ()
    transitions: tuple[Transition, ...] = ()
    every: int = 0
    opens: bool = False  # needs an ordinary clinic day
    enter: "Callable[[Run, int], None]" = field(default=lambda run, day: None)


@dataclass(slots=True)
class Onset:
    """How a story begins: kind prevalence, rate or triggered; knots are (age, percent) or (age, cases per person-year)."""

    kind: str
    male: tuple[tuple[float, float], ...] = ()
    female: tuple[tuple[float, float], ...] = ()
    factors: dict[str, float] = field(default_factory=dict)
    months: tuple[float, ...] = ()
    thalassaemia: bool = False
    rural: float = 1.0
    guard: Guard | None = None
    apart: frozenset[str] = frozenset()  # stories that its guard excludes


@dataclass(slots=True)
class Death:
    """How often this story is the cause of a death, by age: (age, weight) knots; `state` tells the death itself."""

    male: tuple[tuple[float, float], ...]
    female: tuple[tuple[float, float], ...]
    state: int
    lead: int


@dataclass(slots=True)
class Story:
    """One clinical story, ready to run."""

    id: str
    code: str
    en: str
    fa: str
    onset: Onset
    states: tuple[State, ...]
    death: Death | None = None
    sources: tuple[str, ...] = ()
    rank: int = 0  # settles ties between stories on one day; depends on the code alone

    def __post_init__(self) -> None:
        self.rank = (stream_key(f"rank.{self.code}") & 0xFFFFFFFF) << 24


def schedule(run: Run, day: int, state: State) -> None:
    """Put a state on the person's agenda, on a day when it can happen."""
    life = run.life
    if day >= life.until or day > life.death:
        # Memoryless delays may point centuries ahead, past the end of the calendar.
        return
    if state.opens and day >= life.window:
        day = OPEN_DAY[day]
    if day < life.until and day <= life.death:
        life.push(day, run, state.enter)


def make_enter(state: State, states: list[State]) -> Callable[[Run, int], None]:
    """The function that enters a state: do what it says, then choose the way out."""
    actions, transitions, every = state.actions, state.transitions, state.every

    def enter(run: Run, day: int) -> None:
        for action in actions:
            action(run, day)
        for transition in transitions:
            guard = transition.guard
            if (guard is None or guard(run, day)) and (transition.chance >= 1.0 or run.u() < transition.chance):
                schedule(run, day + transition.after(run), states[transition.to])
                return
        if every:
            schedule(run, next_follow_up(run.life, day, every, run.u()), state)

    return enter


def next_follow_up(life: Life, day: int, every: int, draw: float) -> int:
    """The person's next follow-up day: stories with a common rhythm meet at one visit. Long before the window, skip to it."""
    earliest = day + max(1, every * 2 // 3)
    if earliest < life.window:
        earliest = life.window + int(draw * every)
    late = int((draw * 97 % 1) ** 6 * every)  # now and then somebody comes weeks late
    return earliest + (life.phase - earliest) % every + late
