"""Measuring at a visit: blood pressure, pulse, temperature, weight, height, questionnaires."""

from collections.abc import Callable

from ..calendars import YEAR
from ..fhir import observations as o
from ..fhir.fragments import INTEGERS, TENTHS
from ..randomness import NORMAL
from .growth import catching_up, head_girth, size
from .latent import variables
from .record import Life, Run, Visit

_V = {name: variable.index for name, variable in variables().items()}
_SBP, _DBP, _PULSE, _TEMP, _BMI, _HEIGHT = (_V[n] for n in ("sbp", "dbp", "pulse", "temp", "bmi", "height"))
_OWN_BUILD = 8  # years


def write(run: Run, visit: Visit, head: bytes, number: bytes, tail: bytes) -> None:
    """One Observation with a quantity, made at the visit."""
    text, id_ = run.new_id()
    moment = visit.start
    run.life.out.append(("Observation", text, b"".join((
        o.HEAD, id_, head, visit.context, b'"effectiveDateTime":"', moment, b'","issued":"', moment,
        b'","valueQuantity":{"value":', number, tail, b"}",
    ))))  # fmt: skip


def blood_pressure(run: Run, visit: Visit) -> None:
    """Both pressures in one Observation, never closer than 15 mmHg to each other."""
    life, u = run.life, run.u
    high = round(life.level(_SBP, visit.day) + 5 * NORMAL[int(u() * 4096)])
    low = round(life.level(_DBP, visit.day) + 3.5 * NORMAL[int(u() * 4096)])
    high = 60 if high < 60 else 250 if high > 250 else high
    low = 35 if low < 35 else high - 15 if low > high - 15 else low
    text, id_ = run.new_id()
    life.out.append(("Observation", text, b"".join((
        o.HEAD, id_, o.BLOOD_PRESSURE, visit.context, b'"effectiveDateTime":"', visit.start, b'","issued":"', visit.start,
        b'","component":[', o.SYSTOLIC, INTEGERS[high], o.MM_HG, b"},", o.DIASTOLIC, INTEGERS[low], o.MM_HG, b"}]}",
    ))))  # fmt: skip


def weight(run: Run, visit: Visit) -> None:
    """Weight and, with it, height: from the growth chart under 18, from height and body mass index after that."""
    life = run.life
    age = (visit.day - life.birth) / YEAR
    if age < 18:
        height, kilograms = size(life.female, age * 12, life.size_z)
        length, mass = catching_up(age * 12, life.early)
        height, kilograms = height * length, kilograms * mass
        if age > _OWN_BUILD:  # the build of the adult shows little by little
            grown = max(13.0, life.level(_BMI, visit.day)) * height * height / 10_000
            kilograms *= (grown / kilograms) ** ((age - _OWN_BUILD) / (18 - _OWN_BUILD))
    else:
        height = life.level(_HEIGHT, visit.day)
        if age < 25:  # nobody shrinks on growing up
            height = max(height, size(life.female, 216, life.size_z)[0])
        height = round(height, 1)
        kilograms = max(13.0, life.level(_BMI, visit.day)) * height * height / 10_000
    noise = NORMAL[int(run.u() * 4096)]
    tenths = max(9, round(kilograms * (1 + 0.004 * noise) * 10))
    write(run, visit, o.WEIGHT, TENTHS[tenths], o.KG)
    if age < 18:
        write(run, visit, o.HEIGHT, TENTHS[round(height * 10)], o.CM)
        if age < 2:
            write(
                run,
                visit,
                o.HEAD_GIRTH,
                TENTHS[round(head_girth(life.female, age * 12, life.size_z) * length * 10)],
                o.CM,
            )
    else:
        if "measured" not in life.flags:  # an adult's height is taken once
            life.flags.add("measured")
            write(run, visit, o.HEIGHT, TENTHS[round(height * 10)], o.CM)
        write(run, visit, o.BMI, TENTHS[round(tenths * 10_000 / (height * height))], o.KG_M2)


def pulse(run: Run, visit: Visit) -> None:
    """Heart rate; faster in children and with fever."""
    life = run.life
    age = (visit.day - life.birth) / YEAR
    base = life.level(_PULSE, visit.day) + 9 * max(0.0, life.level(_TEMP, visit.day) - 37)
    if age < 12:
        base += 3.2 * (12 - age)
    write(run, visit, o.PULSE, INTEGERS[max(32, round(base + 5 * NORMAL[int(run.u() * 4096)]))], o.PER_MINUTE)


def temperature(run: Run, visit: Visit) -> None:
    """Body temperature."""
    value = run.life.level(_TEMP, visit.day) + 0.12 * NORMAL[int(run.u() * 4096)]
    write(run, visit, o.TEMPERATURE, TENTHS[round(value * 10)], o.CELSIUS)


def breaths(run: Run, visit: Visit) -> None:
    """Respiratory rate; faster in children and when short of oxygen."""
    life = run.life
    age = (visit.day - life.birth) / YEAR
    base = 15 + max(0.0, 16 - 2 * age) + max(0.0, 94 - life.level(_V["spo2"], visit.day)) * 1.2
    write(run, visit, o.BREATHS, INTEGERS[max(8, round(base + 1.5 * NORMAL[int(run.u() * 4096)]))], o.PER_MINUTE)


def _score(name: str, head: bytes, tail: bytes, top: int, noise: float) -> Callable[[Run, Visit], None]:
    index = _V[name]

    def measure(run: Run, visit: Visit) -> None:
        value = round(run.life.level(index, visit.day) + noise * NORMAL[int(run.u() * 4096)])
        write(run, visit, head, INTEGERS[0 if value < 0 else top if value > top else value], tail)

    return measure


MEASURES: dict[str, Callable[[Run, Visit], None]] = {
    "blood_pressure": blood_pressure,
    "weight": weight,
    "pulse": pulse,
    "temperature": temperature,
    "breaths": breaths,
    "oxygen": _score("spo2", o.OXYGEN, o.PERCENT, 100, 0.7),
    "fev1": _score("fev1", o.FEV1, o.PERCENT, 140, 3.0),
    "phq9": _score("phq", o.PHQ9, o.SCORE, 27, 1.2),
    "gad7": _score("gad", o.GAD7, o.SCORE, 21, 1.1),
    "pain": _score("pain", o.PAIN, o.SCORE, 10, 0.8),
}
"""What the verb `measure` can measure."""


def routine(run: Run, visit: Visit) -> None:
    """What is measured without being asked for; less in a clinic, more in an emergency department or on a ward."""
    life = run.life
    code = visit.setting.code
    adult = visit.day - life.birth > 15 * YEAR
    if code in ("emergency", "admission"):
        blood_pressure(run, visit)
        pulse(run, visit)
        temperature(run, visit)
        MEASURES["oxygen"](run, visit)
        return
    draw = run.u()
    if adult and draw < 0.7:
        blood_pressure(run, visit)
    if draw < (0.25 if adult else 0.8):
        weight(run, visit)
    if life.level(_TEMP, visit.day) > 37.4:
        temperature(run, visit)


def is_child(life: Life, day: int) -> bool:
    """Under 12 years: children's drugs and doses."""
    return day - life.birth < 12 * YEAR
