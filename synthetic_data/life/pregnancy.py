"""Pregnancy, birth and the first days, told in the mother's record and in the child's.

What both records share (how long the pregnancy lasted, how the child was born) is drawn from the child's own streams, so the
two agree although they are written apart.
"""

from typing import NamedTuple

from ..calendars import OPEN_DAY
from ..catalogue.tables import drugs, imaging, procedures
from ..fhir import observations as o
from ..fhir.fragments import INTEGERS, TENTHS
from ..households import Member
from ..randomness import member_key
from ..world.tables import load
from . import care, vitals
from .childhood import birth_doses
from .growth import size
from .latent import variables
from .modules import module_run, one
from .record import Life, Run

_BMI, _HB, _A1C, _SBP, _DBP = (variables()[name].index for name in ("bmi", "hb", "a1c", "sbp", "dbp"))
_GDM, _PREECLAMPSIA, _ANAEMIA = (
    0.04,
    0.035,
    0.12,
)  # GDM: https://www.jpmh.org/index.php/jpmh/article/view/1788; rest: general knowledge
_WEEKS = (8, 12, 16, 20, 26, 30, 34, 37, 39)


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
    """Put the pregnancies of a woman's planned children on her agenda."""
    mine = [who.member for who in life.family.people if who.member.mother == life.who.member.number]
    if life.who.member.slot != 0 or not (mine or life.family.expected):
        return
    for child in (*mine, *life.family.expected):
        birth = birth_of(life.engine.spec.seed, child)
        run = module_run(life, "pregnancy")
        run.text = f"{run.text}{child.slot}x"
        run.prefix = run.text.encode()
        run.memory["birth"] = birth
        life.push(birth.conception + 14, run, _conceive)
        for number, week in enumerate(_WEEKS):
            day = birth.conception + 7 * week + int(run.u() * 6)
            if life.window <= day < birth.day - 3:
                run.memory[f"visit:{OPEN_DAY[day]}"] = number
                life.push(OPEN_DAY[day], run, _prenatal)
        life.push(birth.day, run, _deliver)
        for after in (10, 42):
            if birth.day + after >= life.window:
                life.push(OPEN_DAY[birth.day + after], run, _postnatal)


def _conceive(run: Run, day: int) -> None:
    run.life.flags.add("pregnant")
    for other in run.life.runs.values():  # what is forbidden in pregnancy is stopped when it is planned or noticed
        for key in tuple(other.drugs):
            if "pregnant" in drugs()[key].avoid:
                care.stop_effects(other, key)


def _prenatal(run: Run, day: int) -> None:
    """One visit of prenatal care, by its place in the schedule."""
    life, birth = run.life, run.memory["birth"]
    number: int = run.memory.get(f"visit:{day}", 2)
    specialist = number in (0, 3, 6) or birth.preeclampsia or birth.diabetes
    visit = care.open_visit(
        run, day, "clinic" if specialist else "health_centre", "gynaecology" if specialist else "midwifery"
    )
    if visit is None:
        return
    life.state[_BMI] += 0.45
    care.reason(run, "Z34.9")
    vitals.weight(run, visit)
    if number == 0:
        for panel in ("hcg", "cbc", "fasting_glucose", "hbsag", "tsh"):
            care.order(run, day, panel)
        care.prescribe(run, day, drugs()["folic_acid"], 90)
        life.state[_HB] -= 2.6 if birth.anaemia else 1.0
    if number in (1, 3, 6):
        week = round((day - birth.conception) / 7)
        care.image(run, day, imaging()["obstetric_ultrasound"], f"جنین زنده، حدود {week} هفته، ضربان قلب طبیعی.")
    if number in (2, 5):
        care.prescribe(run, day, drugs()["ferrous_sulfate"], 90)
    if number == 4:
        _screen(run, day, birth)
    if birth.preeclampsia and number >= 5:
        care.diagnose(run, day, "O14.9", birth.day + 42 - day)
        care.prescribe(run, day, drugs()["methyldopa"], 30)


def _screen(run: Run, day: int, birth: Birth) -> None:
    """The screening of the 26th week: glucose and blood count."""
    life = run.life
    if birth.diabetes:
        life.state[_A1C] += 0.9
    if birth.preeclampsia:
        life.state[_SBP] += 26
        life.state[_DBP] += 15
    care.order(run, day, "fasting_glucose")
    care.order(run, day, "cbc")
    if birth.diabetes:
        care.diagnose(run, day, "O24.4", birth.day + 42 - day)
        care.prescribe(run, day, drugs()["insulin_nph"], 60)
        care.perform(run, day, procedures()["nutrition_counselling"])
    if birth.anaemia:
        care.diagnose(run, day, "O99.0", birth.day + 42 - day)


def _deliver(run: Run, day: int) -> None:
    life, birth = run.life, run.memory["birth"]
    life.flags.discard("pregnant")
    visit = care.admit(run, day, "gynaecology", 2 if birth.caesarean else 1)
    if visit is not None:
        care.diagnose(run, day, "O82" if birth.caesarean else "O80", 42)
        if birth.preterm:
            care.diagnose(run, day, "O60.1", 42)
        if birth.preeclampsia:
            care.diagnose(run, day, "O14.9", 42)
            care.prescribe(run, day, drugs()["magnesium_sulfate"], 1)
        care.order(run, day, "cbc")
        care.prescribe(run, day, drugs()["oxytocin"], 1)
        how = "سزارین" if birth.caesarean else "زایمان طبیعی"
        visit.words.append(f"{how} در هفتهٔ {int(birth.weeks)}، نوزاد زنده. مادر و نوزاد با حال عمومی خوب ترخیص شدند.")
    care.perform(run, day, procedures()["caesarean" if birth.caesarean else "vaginal_birth"])
    state = life.state
    state[_BMI] -= 2.9
    state[_HB] += 2.6 if birth.anaemia else 1.0
    if birth.diabetes:
        state[_A1C] -= 0.8
    if birth.preeclampsia:
        state[_SBP] -= 25
        state[_DBP] -= 14


def _postnatal(run: Run, day: int) -> None:
    visit = care.open_visit(run, day, "health_centre", "midwifery")
    if visit is not None:
        vitals.blood_pressure(run, visit)
        care.prescribe(run, day, drugs()["ferrous_sulfate"], 60)
        visit.words.append("مراقبت پس از زایمان انجام شد. تغذیه با شیر مادر برقرار است.")


_APGAR = (
    o.vital("9272-6", "1 minute Apgar Score", "آپگار دقیقهٔ اول", o.SURVEY),
    o.vital("9274-2", "5 minute Apgar Score", "آپگار دقیقهٔ پنجم", o.SURVEY),
)
_GESTATION = o.vital("11885-1", "Gestational age Estimated from last menstrual period", "سن بارداری", o.EXAM)


def plan_birth(life: Life) -> None:
    """Put a child's own birth on its agenda, when it lies within the written history."""
    member = life.who.member
    if member.mother >= 0 and member.birth >= life.window:
        run = module_run(life, "birth")
        run.memory["birth"] = birth_of(life.engine.spec.seed, member)
        life.push(member.birth, run, _be_born)


def _be_born(run: Run, day: int) -> None:
    life, birth = run.life, run.memory["birth"]
    visit = care.admit(run, day, "paediatrics", 5 if birth.weeks < 34 else 1)
    if visit is None:
        return
    care.reason(run, "Z38.0")
    height, kilograms = size(life.female, 0, life.size_z)
    if birth.weeks < 38:
        kilograms *= 1 - 0.075 * (38.5 - birth.weeks)
        height *= 1 - 0.022 * (38.5 - birth.weeks)
    vitals.write(run, visit, o.WEIGHT, TENTHS[max(9, round(kilograms * 10))], o.KG)
    vitals.write(run, visit, o.HEIGHT, TENTHS[round(height * 10)], o.CM)
    vitals.write(run, visit, o.HEAD_GIRTH, TENTHS[round(height * 6.9)], o.CM)
    vitals.write(run, visit, _GESTATION, INTEGERS[int(birth.weeks)], o.unit("wk"))
    first = 6 if birth.weeks < 33 else 8 + (run.u() < 0.6)
    vitals.write(run, visit, _APGAR[0], INTEGERS[first], o.SCORE)
    vitals.write(run, visit, _APGAR[1], INTEGERS[min(10, first + 1)], o.SCORE)
    if birth.preterm:
        care.diagnose(run, day, "P07.3", 90)
    birth_doses(run, day, visit)
    if run.u() < 0.12:
        life.push(day + 3 + int(run.u() * 3), run, _jaundice)


def _jaundice(run: Run, day: int) -> None:
    if run.life.admitted >= day:
        return
    care.open_visit(run, day, "clinic", "paediatrics")
    care.diagnose(run, day, "P59.9", 10)
    care.order(run, day, "bilirubin")
    if run.u() < 0.35:
        care.perform(run, day, procedures()["phototherapy"])
