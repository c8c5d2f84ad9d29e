"""Pregnancy, birth and the first days, told in the mother's record and in the child's.

What both records share (how long the pregnancy lasted, how the child was born) is drawn from the child's own streams, so the
two agree although they are written apart.
"""

from collections.abc import Callable
from typing import NamedTuple

from ..calendars import OPEN_DAY, YEAR
from ..catalogue.tables import drugs
from ..conditions.program import Story
from ..fhir import observations as o
from ..fhir.fragments import INTEGERS, TENTHS
from ..households import WOMAN, Member
from ..randomness import draws, member_key, stream_key
from ..world.tables import load
from . import care, vitals
from .growth import catching_up, head_girth, size
from .modules import module_run, one
from .record import Life, Run
from .vaccination import birth_doses

_STREAM = stream_key("story.pregnancy")
_GDM, _PREECLAMPSIA, _ANAEMIA = 0.04, 0.035, 0.12  # sources: conditions/pregnancy.toml
_WEEKS = (
    (8, "first_visit"), (12, "early_ultrasound"), (16, "visit"), (20, "anomaly_scan"), (26, "screening"), (30, "visit"),
    (34, "late_visit"), (37, "visit"), (39, "late_visit"),
)  # fmt: skip


class Birth(NamedTuple):
    """What mother and child share of a birth."""

    day: int
    weeks: float
    caesarean: bool
    preterm: bool
    diabetes: bool
    preeclampsia: bool
    anaemia: bool

    @property
    def conception(self) -> int:
        """The first day of the last period, from which weeks are counted."""
        return self.day - int(self.weeks * 7)


def birth_of(seed: int, child: Member) -> Birth:
    """The facts of a child's birth."""
    key = member_key(seed, child.number)
    facts = load("demography")
    preeclampsia = one(key, "preeclampsia") < _PREECLAMPSIA
    preterm = one(key, "preterm") < (0.35 if preeclampsia else facts["preterm_share"] - 0.35 * _PREECLAMPSIA)
    spread = one(key, "weeks")
    weeks = 30 + 6.9 * spread**0.5 if preterm else 37.2 + 4.3 * (1 - (1 - spread) ** 0.6)
    caesarean = one(key, "caesarean") < (0.85 if preeclampsia or preterm else facts["caesarean_share"] - 0.04)
    return Birth(
        child.birth,
        weeks,
        caesarean,
        preterm,
        one(key, "diabetes") < _GDM,
        preeclampsia,
        one(key, "anaemia") < _ANAEMIA,
    )


def plan_pregnancies(life: Life) -> None:
    """Put the pregnancies of a woman's planned children on her agenda; the story file says what happens at each time."""
    story = life.engine.stories.get("pregnancy")
    if story is None or life.who.member.slot != WOMAN:
        return
    mine = [who.member for who in life.family.people if who.member.mother == life.who.member.number]
    for child in (*mine, *life.family.expected):
        _plan_pregnancy(life, story, child)


def _plan_pregnancy(life: Life, story: Story, child: Member) -> None:
    birth = birth_of(life.engine.spec.seed, child)
    run = Run(life, story, draws([], member_key(life.engine.spec.seed, child.number), _STREAM))
    run.text = f"{run.text}{child.slot}x"
    run.prefix = run.text.encode()
    run.adherence = 1.0
    states = {state.name: state for state in story.states}
    life.push(birth.conception + 14, run, _conceive)
    for week, name in _visits(birth):
        day = birth.conception + 7 * week + int(run.u() * 6)
        if life.window <= day < birth.day - 3:
            life.push(OPEN_DAY[day], run, states[name].enter)
    life.push(birth.day, run, _deliver(birth, states["caesarean_birth" if birth.caesarean else "normal_birth"].enter))
    after = [(10, "after_birth"), (42, "back")]
    after += [(42, "back_from_diabetes")] if birth.diabetes and birth.weeks > 27 else []
    after += [(42, "back_from_raised_pressure")] if birth.preeclampsia and birth.weeks > 30 else []
    for days, name in after:
        if birth.day + days >= life.window + 300:
            life.push(OPEN_DAY[birth.day + days], run, states[name].enter)


def _visits(birth: Birth) -> list[tuple[int, str]]:
    found = list(_WEEKS)
    if birth.diabetes:
        found.append((27, "diabetes"))
    if birth.anaemia:
        found.append((18, "anaemia"))
    if birth.preeclampsia:
        found.append((29, "raised_pressure"))
    return found


def _conceive(run: Run, day: int) -> None:
    run.life.flags.add("pregnant")
    for other in run.life.runs.values():  # what is forbidden in pregnancy is stopped when it is planned or noticed
        for key in tuple(other.drugs):
            if "pregnant" in drugs()[key].avoid:
                care.stop_effects(other, key)


def _deliver(birth: Birth, enter: Callable[[Run, int], None]) -> Callable[[Run, int], None]:
    def deliver(run: Run, day: int) -> None:
        flags = run.life.flags
        flags.discard("pregnant")
        if birth.preterm:
            flags.add("preterm")
        enter(run, day)
        flags.discard("preterm")

    return deliver


_APGAR = (
    o.vital("9272-6", "1 minute Apgar Score", "آپگار دقیقهٔ اول", o.SURVEY),
    o.vital("9274-2", "5 minute Apgar Score", "آپگار دقیقهٔ پنجم", o.SURVEY),
)
_GESTATION = o.vital("11885-1", "Gestational age Estimated from last menstrual period", "سن بارداری", o.EXAM)


def plan_birth(life: Life) -> None:
    """Put a child's own birth on its agenda, when it lies within the written history."""
    member = life.who.member
    if member.mother < 0 or member.birth < life.window - 2 * YEAR:
        return
    birth = birth_of(life.engine.spec.seed, member)
    life.early = 38.5 - birth.weeks if birth.weeks < 38 else 0.0
    if member.birth >= life.window:
        run = module_run(life, "birth")
        run.memory["birth"] = birth
        life.push(member.birth, run, _be_born)


def _be_born(run: Run, day: int) -> None:
    life, birth = run.life, run.memory["birth"]
    visit = care.admit(run, day, "paediatrics", 5 if birth.weeks < 34 else 1)
    if visit is None:
        return
    care.reason(run, "Z38.0")
    height, kilograms = size(life.female, 0, life.size_z)
    girth = head_girth(life.female, 0, life.size_z)
    length, mass = catching_up(0, life.early)
    height, girth, kilograms = height * length, girth * length, kilograms * mass
    vitals.write(run, visit, o.WEIGHT, TENTHS[max(9, round(kilograms * 10))], o.KG)
    vitals.write(run, visit, o.HEIGHT, TENTHS[round(height * 10)], o.CM)
    vitals.write(run, visit, o.HEAD_GIRTH, TENTHS[round(girth * 10)], o.CM)
    vitals.write(run, visit, _GESTATION, INTEGERS[int(birth.weeks)], o.unit("wk"))
    first = 6 if birth.weeks < 33 else 8 + (run.u() < 0.6)
    vitals.write(run, visit, _APGAR[0], INTEGERS[first], o.SCORE)
    vitals.write(run, visit, _APGAR[1], INTEGERS[min(10, first + 1)], o.SCORE)
    if birth.preterm:
        care.diagnose(run, day, "P07.3", 90)
    birth_doses(run, day, visit)
