"""The state of one simulated life and of one visit. Plain slots: these objects are the hot path."""

from collections.abc import Callable
from heapq import heappush
from typing import TYPE_CHECKING, Any

from ..calendars import CLOCK, ISO
from ..fhir.fragments import INTEGERS, Resource
from ..person import Family, Home, Identity
from ..randomness import Draw

if TYPE_CHECKING:
    from ..catalogue.tables import Drug
    from ..conditions.program import Story
    from ..world.providers import Practitioner
    from .coverage import Period
    from .simulate import Engine

FOREVER = 10**9
Event = tuple[int, int, Callable[["Run", int], None], "Run"]


class Life:
    """One person's simulated life and the resources written about it.

    Days are day numbers. Nothing routine is written before `window`, and nothing at all from `until` on. `state` and `drift`
    are the latent variables on `window` and their change a day; read them with `level`.
    """

    __slots__ = (
        "admitted", "agenda", "allergies", "begun", "birth", "busy_day", "busy_until", "coverages", "death", "doses", "drift",
        "early", "engine", "family", "female", "flags",
        "groups", "home", "insured", "key", "known", "open_conditions", "out", "patient", "phase", "pid", "pushed", "runs", "size_z",
        "state", "subject", "until", "visit", "who", "window",
    )  # fmt: skip

    def __init__(self, who: Identity, family: Family, key: int, engine: "Engine") -> None:
        member = who.member
        self.who, self.family = who, family
        self.home: Home = who.homes[0]
        self.female: bool = member.female
        self.birth: int = member.birth
        self.death: int = member.death or FOREVER
        self.key, self.engine = key, engine
        self.window, self.until = engine.window, engine.until
        self.pid: bytes = who.code.encode()
        self.subject: bytes = b'"subject":{"reference":"Patient/' + self.pid + b'"},'
        self.patient: bytes = b'"patient":{"reference":"Patient/' + self.pid + b'"},'
        self.out: list[Resource] = []
        self.agenda: list[Event] = []
        self.visit: Visit | None = None
        self.pushed = 0
        self.known = False  # whether the care network has met this person within the history
        self.busy_day = self.busy_until = -1  # the day and minute at which the last visit ended
        self.admitted = 0  # the day until which the person lies in hospital
        self.flags: set[str] = set()
        self.allergies: dict[str, str] = {}
        self.groups: dict[str, str] = {}  # therapeutic group -> the long-term drug taken of it
        self.runs: dict[str, Run] = {}
        self.begun: frozenset[str] = frozenset()  # at the end: the stories that have begun
        self.open_conditions: list[Problem] = []
        self.coverages: list[Period] = []
        self.insured = False  # on the day being lived
        self.state: list[float] = []
        self.drift: list[float] = []
        self.phase = 0  # the person's place in the lattice of follow-up days
        self.doses: dict[str, int] = {}  # vaccine series -> doses given
        self.early = 0.0  # weeks by which a small child was born before 38.5 weeks, if before 38
        self.size_z = 0.0  # how tall and heavy for age, as a child

    @property
    def died(self) -> bool:
        """Whether this person is dead when the population is seen."""
        return self.death < self.until

    def push(self, day: int, run: "Run", enter: Callable[["Run", int], None]) -> None:
        """Put something on the agenda. Ties of a day are settled by story, then by order within it."""
        self.pushed += 1
        heappush(self.agenda, (day, run.rank + self.pushed, enter, run))

    def begin(self, story: str, day: int) -> None:
        """Begin a story that another one triggers; nothing happens when it runs already or is not part of the population."""
        self.engine.begin(self, story, day)

    def coverage_on(self, day: int) -> "Period | None":
        """The insurance in force on a day."""
        for period in self.coverages:
            if period.start <= day <= period.end:
                return period
        return None

    def level(self, index: int, day: int) -> float:
        """A latent variable on a day."""
        return self.state[index] + self.drift[index] * (day - self.window)


class Run:
    """One clinical story in one life: its draws, its ids, its drugs."""

    __slots__ = ("adherence", "drugs", "life", "memory", "number", "prefix", "rank", "story", "text", "u")

    def __init__(self, life: Life, story: "Story", u: Draw) -> None:
        self.life, self.story, self.u = life, story, u
        self.rank: int = story.rank
        self.text: str = f"{life.who.code}-{story.code}"
        self.prefix: bytes = self.text.encode()
        self.number = 0
        self.drugs: dict[str, dict[int, float]] = {}  # active drugs and the shifts they cause
        self.adherence = 0.0
        self.memory: dict[str, Any] = {}

    def new_id(self) -> tuple[str, bytes]:
        """The next id of this story in this life, as text and as bytes."""
        number = self.number
        self.number = number + 1
        return f"{self.text}{number}", self.prefix + INTEGERS[number]


class Visit:
    """An encounter while it is open: one day in a clinic, or a stay in hospital."""

    __slots__ = (
        "antibiotic", "context", "day", "diagnoses", "drugs", "end", "follows", "id", "items", "lines", "minute", "physician",
        "reasons", "results", "run", "setting", "start", "text",
        "therapies", "words",
    )  # fmt: skip

    def __init__(self, run: "Run", setting: "Setting", physician: "Practitioner", day: int, minute: int) -> None:
        self.run, self.setting, self.physician = run, setting, physician
        self.text, self.id = run.new_id()
        self.day, self.minute = day, minute
        self.end = day
        self.start: bytes = ISO[day] + CLOCK[day][minute]
        self.context: bytes = b"".join((run.life.subject, b'"encounter":{"reference":"Encounter/', self.id, b'"},'))
        self.diagnoses: list[bytes] = []
        self.lines: list[tuple[bytes, int]] = []
        self.drugs: set[str] = set()  # prescribed at this visit
        self.therapies: set[str] = set()  # the groups of those drugs
        self.items: list[tuple[Drug, float, int]] = []  # (drug, dose, days), for the letter
        self.results: list[tuple[str, bytes]] = []  # (test, printed value), for the letter
        self.antibiotic: Run | None = None  # the story that has prescribed an antibiotic here
        self.follows: bytes = b""  # the id of the diagnosis that a visit without a new one follows up
        self.reasons: list[str] = []
        self.words: list[str] = []


class Setting:
    """A kind of visit: how FHIR classes it, where it happens, what it costs."""

    __slots__ = ("code", "fa", "facility", "inpatient", "minutes", "physical", "price")

    def __init__(self, code: str, facility: str, fa: str, price: int, minutes: tuple[int, int], physical: bool) -> None:
        self.code, self.facility, self.fa, self.price, self.minutes = code, facility, fa, price, minutes
        self.physical = physical
        self.inpatient = code == "admission"


class Problem:
    """A diagnosis that will be written as a Condition when the life ends or the population is seen."""

    __slots__ = ("abated", "code", "encounter", "id", "onset", "recorded", "recorder", "text")

    def __init__(self, code: str, text: str, id_: bytes, onset: int, recorded: int) -> None:
        self.code, self.text, self.id, self.onset, self.recorded = code, text, id_, onset, recorded
        self.abated = 0
        self.encounter: bytes = b""
        self.recorder: bytes = b""
