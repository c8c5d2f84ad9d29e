"""What happens between a person and the care network: visits, diagnoses, orders, results, prescriptions, dispensing."""

from collections.abc import Callable
from functools import cache

from ..calendars import CLOCK, ISO, OPEN_DAY, YEAR
from ..catalogue.tables import Drug, Service, companions, drugs, panels, tests
from ..fhir import concepts
from ..fhir import observations as o
from ..fhir.billing import line, write_claim
from ..fhir.conditions import problem_of, write_allergy
from ..fhir.documents import write_document
from ..fhir.encounters import attending, write_encounter, write_open_encounter
from ..fhir.medications import write_dispense, write_request
from ..fhir.orders import (
    performer,
    write_imaging_report,
    write_order,
    write_procedure,
    write_report,
    write_specimen,
)
from ..fhir.people import write_provenance
from ..fhir.scheduling import write_booking
from ..fhir.systems import SERVICE
from ..world.providers import Practitioner
from . import vitals
from .background import first_contact
from .growth import size
from .laboratory import samplers
from .latent import variables
from .record import Life, Problem, Run, Setting, Visit

SETTINGS = {
    setting.code: setting
    for setting in (
        Setting("clinic", "clinic", "درمانگاه", 1_600_000, (10, 25), True),
        Setting("hospital_clinic", "hospital", "درمانگاه بیمارستان", 1_900_000, (10, 30), True),
        Setting("health_centre", "health_centre", "مرکز سلامت", 400_000, (10, 30), True),
        Setting("emergency", "hospital", "اورژانس", 3_900_000, (60, 300), True),
        Setting("admission", "hospital", "بستری", 24_000_000, (0, 120), True),
        Setting("teleconsultation", "clinic", "مشاورهٔ از راه دور", 1_200_000, (8, 20), False),
        Setting("home", "clinic", "ویزیت در منزل", 3_500_000, (20, 60), True),
        Setting("dental", "clinic", "دندان‌پزشکی", 2_400_000, (20, 60), True),
    )
}
_SPOILT = 0.008  # samples that a laboratory cannot use (general knowledge)
_VISIT_LINES = {
    code: line(
        concepts.own(SERVICE, code.replace("_", "-"), code.replace("_", " ").capitalize(), setting.fa), setting.price
    )
    for code, setting in SETTINGS.items()
}
_SAMPLERS = samplers()
_COMPANIED = frozenset(("clinic", "hospital_clinic", "emergency"))
_BOOKED = frozenset(("clinic", "hospital_clinic", "teleconsultation"))
# Fields that also see people by video, and how often (general knowledge; nothing was found for Iran).
_AT_A_DISTANCE = frozenset(
    ("general_practice", "internal", "psychiatry", "endocrinology", "cardiology", "dermatology", "neurology")
)
_VIRTUAL = 0.05
_ALWAYS_OPEN = frozenset(("emergency", "admission"))
_BOUND = {v.name: (v.index, v.treat_to, v.low, v.high) for v in variables().values()}


def physician_for(life: Life, specialty: str, draw: float) -> Practitioner:
    """A practitioner of the household's city, or of the provincial capital for the rarer specialties."""
    found = life.home.network.practitioners[specialty]
    if len(found) == 1:
        return found[0]
    return found[int((life.home.doctor if specialty == "general_practice" else draw) * len(found))]


def open_visit(run: Run, day: int, code: str, specialty: str) -> Visit | None:
    """The visit of this day: one that is open already, or a new one. None before the written history."""
    life = run.life
    if day < life.window:
        return None
    visit = life.visit
    if visit is not None:
        return visit
    draw = run.u()
    if code == "clinic" and specialty in _AT_A_DISTANCE and draw * 997 % 1 < _VIRTUAL:
        code = "teleconsultation"
    setting = SETTINGS[code]
    minute = int(draw * 1380) if code in _ALWAYS_OPEN else 480 + 10 * int(draw * 66)
    life.visit = visit = Visit(run, setting, physician_for(life, specialty, draw), day, minute)
    visit.lines.append((_VISIT_LINES[code], setting.price))
    if not life.known:
        first_contact(life, visit)
    if setting.physical:
        vitals.routine(run, visit)
    return visit


def admit(run: Run, day: int, specialty: str, nights: int) -> Visit | None:
    """A stay in hospital; what happens until it ends is part of it."""
    life = run.life
    if day < life.window:
        return None
    if life.visit is not None and life.visit.setting.inpatient:
        return life.visit
    close_visit(life)
    visit = open_visit(run, day, "admission", specialty)
    if visit is not None:
        visit.end = min(day + nights, life.death)
        life.admitted = visit.end
        visit.lines += [(_VISIT_LINES["admission"], SETTINGS["admission"].price)] * max(0, visit.end - day - 1)
    return visit


def close_visit(life: Life) -> None:
    """End the open visit: write the encounter and settle it."""
    visit = life.visit
    if visit is None:
        return
    if visit.drugs and visit.setting.code in _COMPANIED and not vitals.is_child(life, visit.day):
        _add_companions(visit)
    life.visit = None
    low, high = visit.setting.minutes
    died = life.death == visit.end and visit.setting.code in _ALWAYS_OPEN
    if visit.end >= life.until:
        write_open_encounter(life, visit)  # still in hospital; settled and summed up on discharge
        return
    write_encounter(life, visit, low + (visit.minute * 7 + visit.day) % (high - low), died)
    if visit.setting.code in _BOOKED and visit.run.u() < 0.4:
        write_booking(life, visit.text, visit.physician, visit.day, visit.minute, b"fulfilled")
    if visit.words and (visit.setting.inpatient or visit.run.u() < 0.6):
        write_document(life, visit, " ".join(visit.words))
        write_provenance(life, visit, b"DocumentReference/" + visit.id + b"-d")
    period = life.coverage_on(visit.day)
    if period is not None:
        write_claim(life, visit, period)


def _add_companions(visit: Visit) -> None:
    """The habits of prescribing: a stomach drug, a vitamin, an injection beside what the diagnosis asks for."""
    run = visit.run
    life, u = run.life, run.u
    for drug, share in companions():
        if u() < share and group_of(drug) not in life.groups and drug.allergy not in life.allergies:
            avoid = _avoid(drug.key)
            if avoid is None or not avoid(run, visit.day):
                prescribe(run, visit.day, drug, min(drug.days, 10))


@cache
def _avoid(key: str) -> Callable[[Run, int], bool] | None:
    from ..conditions.expressions import compile_guard

    rule = drugs()[key].avoid
    return compile_guard(rule, f"drugs.toml: {key}") if rule else None


def diagnose(run: Run, day: int, code: str, lasts: int = 0) -> None:
    """Add a diagnosis, for `lasts` days or, when 0, until it is resolved. A known one is not made twice."""
    life = run.life
    if code[0] == "Z":
        reason(run, code)
        return
    problem = problem_of(life, code)
    visit = life.visit
    if problem is None or lasts:
        text, id_ = run.new_id()
        problem = Problem(code, text, id_, max(life.birth, day - (2 if lasts else 0)), day)
        if visit is not None:
            problem.encounter, problem.recorder = visit.id, attending(visit.physician)
        problem.abated = day + lasts if lasts else 0
        life.open_conditions.append(problem)
    if visit is not None and problem.id not in visit.diagnoses:
        visit.diagnoses.append(problem.id)
    run.memory["reason"] = problem


def reason(run: Run, code: str) -> None:
    """Why a visit takes place when nobody is ill: a reason of the encounter, not a diagnosis."""
    visit = run.life.visit
    if visit is not None and code not in visit.reasons:
        visit.reasons.append(code)


def resolve(run: Run, day: int, code: str) -> None:
    """A diagnosis has gone."""
    problem = problem_of(run.life, code)
    if problem is not None:
        problem.abated = max(day, problem.recorded)


def reason_of(run: Run) -> bytes:
    """The id of the diagnosis this story last made, when it is known at this visit."""
    problem: Problem | None = run.memory.get("reason")
    return b"" if problem is None else problem.id


def order(run: Run, day: int, key: str) -> None:
    """Order a panel, take the sample, report the results."""
    visit = run.life.visit
    if visit is None:
        return
    panel = panels()[key]
    code = concepts.panel(key)
    spoilt = run.u() < _SPOILT
    request = write_order(run, visit, code, False, b"revoked" if spoilt else b"completed")
    facility = run.life.home.network.facilities["hospital" if visit.setting.code in _ALWAYS_OPEN else "laboratory"]
    urgent = visit.setting.code in _ALWAYS_OPEN
    draw = run.u()
    taken, minute = (
        (day, min(1380, visit.minute + 10 + int(draw * 40))) if urgent else (OPEN_DAY[day + 1], 420 + int(draw * 180))
    )
    made = len(run.life.out)
    moment = ISO[taken] + CLOCK[taken][minute]
    issued = ISO[taken] + CLOCK[taken][min(1439, minute + (45 if urgent else 240) + int(draw * 60))]
    received = ISO[taken] + CLOCK[taken][minute + 15]
    specimen = write_specimen(run, tests()[panel.tests[0]].specimen, request, moment, received, spoilt)
    middle = b"".join((
        visit.context, b'"effectiveDateTime":"', moment, b'","issued":"', issued, b'",', performer(facility.id),
        b',"specimen":{"reference":"Specimen/', specimen, b'"},',
    ))  # fmt: skip
    if not spoilt:
        results = [result(run, day, test, middle) for test in panel.tests]
        write_report(run, visit, code, request, specimen, [r for r in results if r], moment, issued, facility.id)
    if taken >= min(run.life.until, run.life.death):
        del run.life.out[made:]  # the sample has not been taken yet; ids and draws are spent all the same
    visit.lines.append((line(code, panel.price), panel.price))
    run.memory.pop("creatinine", None)


def result(run: Run, day: int, key: str, middle: bytes) -> bytes:
    """One laboratory Observation; returns its id, empty when the test could not be done."""
    life = run.life
    read = _SAMPLERS.get(key)
    text, id_ = run.new_id()
    if read is None:
        head, value = o.coded_result(key, _positive(key)(run, day))
        life.out.append(("Observation", text, b"".join((o.HEAD, id_, head, middle, value))))
        return id_
    lab = o.lab_test(key, life.female)
    printed = round(read(run, day) * lab.scale)
    if key == "ldl" and run.memory.get("triglycerides", 0) > 400:
        return b""  # Friedewald's formula does not hold, and no laboratory prints it
    printed = 0 if printed < 0 else 9999 if printed > 9999 else printed
    run.memory[key] = printed / lab.scale
    life.out.append(("Observation", text, b"".join((
        o.HEAD, id_, lab.head, middle, b'"valueQuantity":{"value":', lab.table[printed], lab.tail(printed),
    ))))  # fmt: skip
    return id_


@cache
def _positive(key: str) -> Callable[[Run, int], bool]:
    from ..conditions.expressions import compile_guard

    return compile_guard(tests()[key].positive, f"tests.toml: {key}")


def image(run: Run, day: int, study: Service, conclusion: str) -> None:
    """Order an imaging study and report it."""
    visit = run.life.visit
    if visit is None:
        return
    code = concepts.service(study.key)
    request = write_order(run, visit, code, True)
    urgent = visit.setting.code in _ALWAYS_OPEN
    draw = run.u()
    done = day if urgent else OPEN_DAY[day + 1 + int(draw * 5)]
    minute = min(1400, visit.minute + 60) if urgent else 540 + int(draw * 3571) % 500
    made = len(run.life.out)
    write_imaging_report(run, visit, code, request, conclusion, done, minute)
    if done >= min(run.life.until, run.life.death):
        del run.life.out[made:]
    visit.lines.append((line(code, study.price), study.price))


def perform(run: Run, day: int, procedure: Service) -> None:
    """Do something to the patient. Surgery and births are written for the whole life."""
    visit = run.life.visit
    if visit is None and procedure.kind not in ("surgery", "birth"):
        return
    if visit is not None and not visit.setting.physical and procedure.kind not in ("therapy", "administrative"):
        return  # nothing can be done to somebody at a distance
    minute = min(1430, visit.minute + 15) if visit else 600
    write_procedure(run, visit, procedure.key, procedure.kind, day, minute, reason_of(run))
    if visit:
        visit.lines.append((line(concepts.service(procedure.key), procedure.price), procedure.price))


def dose_for(life: Life, drug: Drug, day: int) -> float:
    """The single dose: by weight for children where the drug says so, the usual one otherwise."""
    if not drug.mg_per_kg:
        return drug.dose
    months = (day - life.birth) / YEAR * 12
    kilograms = size(life.female, months, life.size_z)[1]
    amount = kilograms * drug.mg_per_kg / drug.mg_per_unit / drug.per_day
    return min(15.0, max(1.0, round(amount * 2) / 2))


def prescribe(run: Run, day: int, drug: Drug, days: int) -> None:
    """Prescribe a drug for some days, and dispense it: fully, in two parts, substituted, or not at all."""
    life = run.life
    visit = life.visit
    if visit is None:
        return
    if drug.child and vitals.is_child(life, day):
        drug = drugs()[drug.child]
    if drug.key in visit.drugs:
        return  # another story has prescribed it at this visit
    visit.drugs.add(drug.key)
    dose = dose_for(life, drug, day)
    count = max(1, -int(-dose * drug.per_day * days // 1))
    request = write_request(run, visit, drug, dose, count, days, reason_of(run))
    _dispense(run, visit, drug, request, count, days)
    cost = int(count * drug.price)
    visit.lines.append((line(concepts.medication(drug.key), cost), cost))


def _dispense(run: Run, visit: Visit, drug: Drug, request: bytes, count: int, days: int) -> None:
    draw = run.u()
    if draw < 0.06:
        return  # never collected
    last = min(run.life.until, run.life.death)
    day = visit.day if draw < 0.8 or visit.setting.inpatient else visit.day + 1
    minute = min(1430, visit.minute + 30 + int(draw * 90))
    made = len(run.life.out)
    substituted = 0.1 < draw < 0.16
    if 0.16 < draw < 0.22 and count >= 4 and days >= 4:
        half = count // 2
        write_dispense(run, visit, drug, request, day, minute, half, days // 2, substituted)
        kept = len(run.life.out)
        write_dispense(run, visit, drug, request, visit.day + 5, 660, count - half, days - days // 2, substituted)
        if visit.day + 5 >= last:
            del run.life.out[kept:]
    else:
        write_dispense(run, visit, drug, request, day, minute, count, days, substituted)
    if day >= last:
        del run.life.out[made:]


def allergic(run: Run, day: int, substance: str, severe: bool) -> None:
    """Record an allergy once."""
    life = run.life
    if substance not in life.allergies:
        identifier = run.new_id()
        life.allergies[substance] = identifier[0]
        life.flags.add(f"{substance}_allergy")
        write_allergy(life, identifier, substance, day, severe)


def group_of(drug: Drug) -> str:
    """What nobody takes two of: the chemical group of the ATC code; ACE inhibitors and angiotensin blockers are one."""
    return "C09" if drug.atc.startswith("C09") else drug.atc[:5]


def start_effects(run: Run, drug: Drug) -> None:
    """Let a drug act on the latent state: bounded, scaled by adherence, and a little different in everybody."""
    shifts = {}
    state = run.life.state
    if not run.adherence:
        run.adherence = 0.35 + 0.65 * (1 - (1 - run.u()) ** 2)
    response = 0.1 if run.u() < 0.1 else 0.7 + 0.5 * run.u()  # one in ten hardly responds
    for name, change in drug.effects.items():
        index, goal, low, high = _BOUND[name]
        room = goal - state[index]
        wanted = change * run.adherence * response
        shift = max(wanted, min(room, 0.0)) if wanted < 0 else min(wanted, max(room, 0.0))
        shifts[index] = shift
        state[index] = min(high, max(low, state[index] + shift))
    run.drugs[drug.key] = shifts
    run.life.groups[group_of(drug)] = drug.key


def stop_effects(run: Run, key: str) -> None:
    """A drug's effect goes when it is stopped."""
    for index, shift in run.drugs.pop(key, {}).items():
        run.life.state[index] -= shift
    group = group_of(drugs()[key])
    if run.life.groups.get(group) == key:
        del run.life.groups[group]
