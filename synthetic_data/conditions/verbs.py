"""The verbs of the story format: each parses its arguments once and returns what to do. See docs/*/reference/stories.md."""

from collections.abc import Callable

from ..catalogue.tables import diagnoses, drugs, imaging, panels, procedures
from ..errors import StoryFormatError
from ..fhir.conditions import SUBSTANCES
from ..life import care, papers
from ..life.latent import variables
from ..life.record import Run
from ..life.vitals import MEASURES
from ..randomness import NORMAL
from ..world.providers import specialties
from .delays import parse_delay, parse_span
from .expressions import compile_guard
from .program import Action


class _Words:
    """The arguments of one statement, and where it stands, for clear errors."""

    def __init__(self, words: list[str], place: str) -> None:
        self.words, self.place = words, place

    def wrong(self, why: str) -> StoryFormatError:
        return StoryFormatError(f"{self.place}: {why}")

    def take(self, what: str) -> str:
        if not self.words:
            raise self.wrong(f"{what} is missing")
        return self.words.pop(0)

    def known(self, what: str, table: dict[str, object]) -> str:
        word = self.take(what)
        if word not in table:
            raise self.wrong(f"unknown {what} {word!r}")
        return word

    def number(self, what: str) -> float:
        word = self.take(what)
        try:
            return float(word)
        except ValueError as error:
            raise self.wrong(f"{what} must be a number, not {word!r}") from error

    def option(self, name: str) -> bool:
        """Whether the next word is this keyword; it is consumed if so."""
        if self.words[:1] == [name]:
            self.words.pop(0)
            return True
        return False


def _visit(w: _Words) -> Action:
    setting = w.known("setting", dict(care.SETTINGS))
    specialty = w.known("specialty", dict(specialties()))

    def act(run: Run, day: int) -> None:
        care.open_visit(run, day, setting, specialty)

    return act


def _admit(w: _Words) -> Action:
    specialty = w.known("specialty", dict(specialties()))
    low, high = parse_span(w.take("nights"), w.place)

    def act(run: Run, day: int) -> None:
        care.admit(run, day, specialty, low + int(run.u() * (high - low + 1)))

    return act


def _diagnose(w: _Words) -> Action:
    code = w.known("diagnosis", dict(diagnoses()))
    span = parse_span(w.take("duration"), w.place) if w.option("for") else (0, 0)

    def act(run: Run, day: int) -> None:
        lasts = span[0] + int(run.u() * (span[1] - span[0] + 1)) if span[1] else 0
        care.diagnose(run, day, code, lasts)

    return act


def _resolve(w: _Words) -> Action:
    code = w.known("diagnosis", dict(diagnoses()))
    return lambda run, day: care.resolve(run, day, code)


def _order(w: _Words) -> Action:
    keys = [w.known("panel", dict(panels()))]
    while w.words and w.words[0] in panels():
        keys.append(w.take("panel"))

    def act(run: Run, day: int) -> None:
        for key in keys:
            care.order(run, day, key)

    return act


def _image(w: _Words) -> Action:
    study = imaging()[w.known("imaging study", dict(imaging()))]
    words = " ".join(w.words) or "یافتهٔ غیرطبیعی دیده نشد."
    w.words = []
    return lambda run, day: care.image(run, day, study, words)


def _perform(w: _Words) -> Action:
    procedure = procedures()[w.known("procedure", dict(procedures()))]
    return lambda run, day: care.perform(run, day, procedure)


def _measure(w: _Words) -> Action:
    measures = [MEASURES[w.known("measure", dict(MEASURES))]]
    while w.words:
        measures.append(MEASURES[w.known("measure", dict(MEASURES))])

    def act(run: Run, day: int) -> None:
        visit = run.life.visit
        if visit is not None and visit.setting.physical:
            for measure in measures:
                measure(run, visit)

    return act


def _start(w: _Words) -> Action:
    """Begin a long-term drug: it acts on the state until stopped, and `renew` prescribes it again. Nobody gets two of a group."""
    drug = drugs()[w.known("drug", dict(drugs()))]
    days = int(w.number("days")) if w.option("for") else 90
    avoid = compile_guard(drug.avoid, f"drugs.toml: {drug.key}") if drug.avoid else None
    groups = care.groups_of(drug.key)

    def act(run: Run, day: int) -> None:
        life = run.life
        if life.groups.keys() & groups or drug.allergy in life.allergies or (avoid is not None and avoid(run, day)):
            return
        care.start_effects(run, drug)
        care.prescribe(run, day, drug, days)

    return act


def _renew(w: _Words) -> Action:
    """Prescribe again every drug this story has started; one that is now forbidden is stopped instead."""
    days = int(w.number("days")) if w.option("for") else 90
    rules = {
        key: compile_guard(drug.avoid, f"drugs.toml: {key}") for key, drug in drugs().items() if drug.avoid
    }  # fmt: skip

    def act(run: Run, day: int) -> None:
        for key in tuple(run.drugs):
            avoid = rules.get(key)
            if drugs()[key].allergy in run.life.allergies or (avoid is not None and avoid(run, day)):
                care.stop_effects(run, key)
            else:
                care.prescribe(run, day, drugs()[key], days)

    return act


def _stop(w: _Words) -> Action:
    key = w.take("drug")
    if key == "all":

        def stop_all(run: Run, day: int) -> None:
            for name in tuple(run.drugs):
                care.stop_effects(run, name)

        return stop_all
    if key not in drugs():
        raise w.wrong(f"unknown drug {key!r}")
    return lambda run, day: care.stop_effects(run, key)


def _prescribe(w: _Words) -> Action:
    """A course: prescribed once, without lasting effect on the state."""
    drug = drugs()[w.known("drug", dict(drugs()))]
    days = int(w.number("days")) if w.option("for") else drug.days
    avoid = compile_guard(drug.avoid, f"drugs.toml: {drug.key}") if drug.avoid else None
    groups = care.groups_of(drug.key)

    def act(run: Run, day: int) -> None:
        life = run.life
        if life.groups.keys() & groups:
            return  # taken for good already
        if drug.allergy not in life.allergies and (avoid is None or not avoid(run, day)):
            care.prescribe(run, day, drug, days)

    return act


def _shift(w: _Words) -> Action:
    """Change a latent variable for good (or until shifted back)."""
    variable = variables()[w.known("latent variable", dict(variables()))]
    amount = w.number("amount")
    spread = w.number("spread") if w.option("sd") else 0.0
    index, low, high = variable.index, variable.low, variable.high

    def act(run: Run, day: int) -> None:
        change = amount + spread * NORMAL[int(run.u() * 4096)] if spread else amount
        if change * amount < 0:
            change = 0.0  # a disease never improves what it harms
        state = run.life.state
        state[index] = min(high, max(low, state[index] + change))

    return act


def _level(w: _Words) -> Action:
    """Set a latent variable to a value."""
    variable = variables()[w.known("latent variable", dict(variables()))]
    value = w.number("value")
    spread = w.number("spread") if w.option("sd") else 0.0

    def act(run: Run, day: int) -> None:
        chosen = value + spread * NORMAL[int(run.u() * 4096)] if spread else value
        life = run.life
        target = min(variable.high, max(variable.low, chosen))
        life.state[variable.index] += target - life.level(variable.index, day)

    return act


def _set(w: _Words) -> Action:
    flag = w.take("flag")
    return lambda run, day: run.life.flags.add(flag)


def _clear(w: _Words) -> Action:
    flag = w.take("flag")
    return lambda run, day: run.life.flags.discard(flag)


def _allergic(w: _Words) -> Action:
    substance = w.known("substance", dict(SUBSTANCES))
    severe = w.option("severe")
    return lambda run, day: care.allergic(run, day, substance, severe)


def _trigger(w: _Words) -> Action:
    """Begin another story, unless it runs already."""
    story = w.take("story")
    delay = parse_delay(w.take("delay"), w.place) if w.option("after") else None
    return lambda run, day: run.life.begin(story, day + (delay(run) if delay else 0))


def _note(w: _Words) -> Action:
    text = " ".join(w.words)
    w.words = []
    if not text:
        raise w.wrong("the text of the note is missing")
    return lambda run, day: papers.note(run, text)


def _plan(w: _Words) -> Action:
    text = " ".join(w.words)
    w.words = []
    if not text:
        raise w.wrong("the title of the plan is missing")
    return lambda run, day: papers.care_plan(run, day, text)


def _goal(w: _Words) -> Action:
    key = w.known("goal", dict(papers.GOALS))
    return lambda run, day: papers.goal(run, day, key)


def _refer(w: _Words) -> Action:
    specialty = w.known("specialty", dict(specialties()))
    return lambda run, day: papers.refer(run, day, specialty)


VERBS: dict[str, Callable[[_Words], Action]] = {
    "visit": _visit, "admit": _admit, "diagnose": _diagnose, "resolve": _resolve, "order": _order, "image": _image,
    "perform": _perform, "measure": _measure, "start": _start, "renew": _renew, "stop": _stop, "prescribe": _prescribe,
    "shift": _shift, "level": _level, "set": _set, "clear": _clear, "allergic": _allergic, "trigger": _trigger,
    "note": _note, "plan": _plan, "goal": _goal, "refer": _refer,
}  # fmt: skip


def compile_statement(text: str, place: str) -> Action:
    """`VERB arguments [p SHARE] [if GUARD]` as an action; raises StoryFormatError naming `place`."""
    body, _, condition = text.partition(" if ")
    words = body.split()
    place = f"{place}: {text!r}"
    share = 1.0
    if len(words) > 2 and words[-2] == "p":
        share = _Words([words[-1]], place).number("share")
        if not 0 < share <= 1:
            raise StoryFormatError(f"{place}: a share lies between 0 and 1")
        words = words[:-2]
    if not words or words[0] not in VERBS:
        raise StoryFormatError(f"{place}: unknown verb {words[0] if words else ''!r}")
    arguments = _Words(words[1:], place)
    act = VERBS[words[0]](arguments)
    if arguments.words:
        raise StoryFormatError(f"{place}: nothing is expected after the arguments, found {' '.join(arguments.words)!r}")
    guard = compile_guard(condition, place) if condition else None
    if share == 1.0 and guard is None:
        return act

    def sometimes(run: Run, day: int) -> None:
        if (guard is None or guard(run, day)) and (share == 1.0 or run.u() < share):
            act(run, day)

    return sometimes
