"""What happens between a person and the care network: visits, diagnoses, orders, results, prescriptions, dispensing."""

from collections.abc import Callable
from functools import cache

from ..calendars import CLOCK, ISO, OPEN_DAY, YEAR
from ..catalogue.tables import Drug, Service, companions, drugs, panels, tests
from ..fhir import concepts
from ..fhir import observations as o
from ..fhir.billing import line, write_claim
from ..fhir.conditions import latest_problem, problem_of, write_allergy
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
        Setting("emergency", "hospital", "اورژانس", 3_900_000, (45, 150), True),
        Setting("admission", "hospital", "بستری", 24_000_000, (60, 180), True),
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
    minute = int(draw * 1260) if code in _ALWAYS_OPEN else 480 + 10 * int(draw * 66)
    if day == life.busy_day:  # what follows on the same day begins after what came before
        minute = max(minute, life.busy_until + 5)
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
    died = life.death == visit.end and visit.setting.code in _ALWAYS_OPEN
    if not visit.diagnoses and not visit.reasons:
        _explain(visit)
    if visit.end >= life.until:
        write_open_encounter(life, visit)  # still in hospital; settled and summed up on discharge
        return
    end = _end_minute(visit)
    life.busy_day, life.busy_until = visit.end, end
    booked = visit.setting.code in _BOOKED and visit.run.u() < 0.4
    write_encounter(life, visit, end, died, booked)
    if booked:
        write_booking(life, visit.text, visit.physician, visit.day, visit.minute, b"fulfilled")
    if visit.words and (visit.setting.inpatient or visit.run.u() < 0.6):
        write_document(life, visit, " ".join(visit.words))
        write_provenance(life, visit, b"DocumentReference/" + visit.id + b"-d")
    period = life.coverage_on(visit.day)
    if period is not None:
        write_claim(life, visit, period)


def _end_minute(visit: Visit) -> int:
    """The minute of the last day at which a visit ends; who stays for days goes home between 9 and 15 o'clock."""
    low, high = visit.setting.minutes
    spread = (visit.minute * 7 + visit.day) % (high - low)
    return 540 + 3 * spread if visit.end > visit.day else min(1439, visit.minute + low + spread)


# Why somebody came, when nothing was found and no known disease is followed up.
_OCCASIONS = {"ophthalmology": "Z01.0", "gynaecology": "Z01.4", "dentistry": "Z01.2", "general_practice": "Z00.0"}


def _explain(visit: Visit) -> None:
    """Give a visit without a diagnosis its reason: the disease it follows up, or an examination."""
    life = visit.run.life
    problem: Problem | None = visit.run.memory.get("reason")
    if problem is not None and problem.recorded <= visit.day:
        visit.follows = problem.id
    elif visit.setting.code == "health_centre" or visit.physician.specialty.code == "paediatrics":
        visit.reasons.append("Z00.1" if vitals.is_child(life, visit.day) else "Z00.0")
    else:
        visit.reasons.append(_OCCASIONS.get(visit.physician.specialty.code, "Z03.9"))


def _add_companions(visit: Visit) -> None:
    """The habits of prescribing: a stomach drug, a vitamin, an injection beside what the diagnosis asks for."""
    run = visit.run
    life, u = run.life, run.u
    for drug, share in companions():
        if u() < share and not life.groups.keys() & groups_of(drug.key) and drug.allergy not in life.allergies:
            if visit.antibiotic is not None and "antibiotic" in drug.class_:
                continue
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
    problem = latest_problem(life, code)
    visit = life.visit
    if problem is None or 0 < problem.abated < day:
        onset = max(life.birth, problem.abated + 1 if problem else 0, day - 2) if lasts else max(life.birth, day)
        text, id_ = run.new_id()
        problem = Problem(code, text, id_, onset, day)
        if visit is not None:
            problem.encounter, problem.recorder = visit.id, attending(visit.physician)
        problem.abated = day + lasts if lasts else 0
        life.open_conditions.append(problem)
    elif problem.abated:  # the same illness, seen again: it lasts longer, or stays
        problem.abated = max(problem.abated, day + lasts) if lasts else 0
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


def _minute(visit: Visit, day: int, after: int) -> int:
    """When something takes place `after` minutes into a visit, or on the morning round of a later day of a stay."""
    return min(1425, (480 if day > visit.day else visit.minute) + after)


def order(run: Run, day: int, key: str) -> None:
    """Order a panel, take the sample, report the results."""
    visit = run.life.visit
    if visit is None:
        return
    panel = panels()[key]
    code = concepts.panel(key)
    spoilt = run.u() < _SPOILT
    facility = run.life.home.network.facilities["hospital" if visit.setting.code in _ALWAYS_OPEN else "laboratory"]
    urgent = visit.setting.code in _ALWAYS_OPEN
    draw = run.u()
    taken, minute = (
        (day, _minute(visit, day, 10 + int(draw * 40))) if urgent else (OPEN_DAY[day + 1], 420 + int(draw * 180))
    )
    pending = _pending(run.life, taken)
    request = write_order(run, visit, code, False, pending or (b"revoked" if spoilt else b"completed"))
    made = len(run.life.out)
    moment = ISO[taken] + CLOCK[taken][minute]
    issued = ISO[taken] + CLOCK[taken][min(1439, minute + (45 if urgent else 240) + int(draw * 60))]
    received = ISO[taken] + CLOCK[taken][min(1439, minute + 15)]
    specimen = write_specimen(run, tests()[panel.tests[0]].specimen, request, moment, received, spoilt)
    middle = b"".join((
        visit.context, b'"effectiveDateTime":"', moment, b'","issued":"', issued, b'",', performer(facility.id),
        b',"specimen":{"reference":"Specimen/', specimen, b'"},',
    ))  # fmt: skip
    if not spoilt:
        results = [result(run, day, test, middle) for test in panel.tests]
        write_report(run, visit, code, request, specimen, [r for r in results if r], moment, issued, facility.id)
    if pending:
        del run.life.out[made:]  # the sample has not been taken yet; ids and draws are spent all the same
    visit.lines.append((line(code, panel.price), panel.price))
    for key in _PRINTED:
        run.memory.pop(key, None)


_PRINTED = ("creatinine", "triglycerides", "hdl", "total_cholesterol", "haemoglobin", "mcv", "haematocrit")


def _pending(life: Life, day: int) -> bytes:
    """The status of an order that is to be carried out on a day that has not come, or never came; empty otherwise."""
    if day >= life.death and day > life.admitted:
        return b"revoked"
    return b"active" if day >= life.until else b""


def result(run: Run, day: int, key: str, middle: bytes) -> bytes:
    """One laboratory Observation; returns its id, empty when the test could not be done."""
    life = run.life
    read = _SAMPLERS.get(key)
    text, id_ = run.new_id()
    if read is None:
        head, value = o.coded_result(key, _positive(key)(run, day))
        life.out.append(("Observation", text, b"".join((o.HEAD, id_, head, middle, value))))
        return id_
    if key == "egfr" and day - life.birth < 18 * YEAR:
        return b""  # CKD-EPI is for adults
    lab = o.lab_test(key, life.female, vitals.is_child(life, day))
    printed = round(read(run, day) * lab.scale)
    if key == "ldl" and run.memory.get("triglycerides", 0) > 400:
        return b""  # Friedewald's formula does not hold, and no laboratory prints it
    printed = 0 if printed < 0 else 9999 if printed > 9999 else printed
    run.memory[key] = printed / lab.scale
    if life.visit is not None and life.visit.setting.inpatient:
        life.visit.results.append((key, lab.table[printed]))
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
    urgent = visit.setting.code in _ALWAYS_OPEN
    draw = run.u()
    done = day if urgent else OPEN_DAY[day + 1 + int(draw * 5)]
    minute = _minute(visit, day, 40) if urgent else 540 + int(draw * 3571) % 500
    pending = _pending(run.life, done)
    request = write_order(run, visit, code, True, pending or b"completed")
    made = len(run.life.out)
    write_imaging_report(run, visit, code, request, conclusion, done, minute)
    if pending:
        del run.life.out[made:]
    visit.lines.append((line(code, study.price), study.price))


def perform(run: Run, day: int, procedure: Service) -> None:
    """Do something to the patient. Surgery and births are written for the whole life."""
    visit = run.life.visit
    if visit is None and procedure.kind not in ("surgery", "birth"):
        return
    if visit is not None and not visit.setting.physical and procedure.kind not in ("therapy", "administrative"):
        return  # nothing can be done to somebody at a distance
    minute = _minute(visit, day, 15 if visit.setting.code in _ALWAYS_OPEN else 5) if visit else 600
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
    return float(round(max(1.0, amount))) if drug.dose_unit else min(15.0, max(1.0, round(amount * 2) / 2))


def prescribe(run: Run, day: int, drug: Drug, days: int) -> None:
    """Prescribe a drug for some days, and dispense it: fully, in two parts, substituted, or not at all."""
    life = run.life
    visit = life.visit
    if visit is None:
        return
    if drug.child and vitals.is_child(life, day):
        drug = drugs()[drug.child]
    if drug.key in visit.drugs or visit.therapies & groups_of(drug.key):
        return  # another story, or another line of this one, has prescribed it or its like at this visit
    if "antibiotic" in drug.class_:
        if visit.antibiotic is not None and not _goes_along(run, visit, drug):
            return
        visit.antibiotic = run
    visit.drugs.add(drug.key)
    visit.therapies |= groups_of(drug.key)
    dose = dose_for(life, drug, day)
    count = max(1, -int(-dose * drug.per_day * days / drug.dose_units // 1))
    visit.items.append((drug, dose, days))
    moment = visit.start if day == visit.day else ISO[day] + CLOCK[day][_minute(visit, day, 0)]
    request = write_request(run, visit, drug, dose, count, days, reason_of(run), moment)
    _dispense(run, visit, drug, request, count, days, day)
    cost = int(count * drug.price)
    visit.lines.append((line(concepts.medication(drug.key), cost), cost))


def _goes_along(run: Run, visit: Visit, drug: Drug) -> bool:
    """Whether a second antibiotic is meant: a combination, or an injection before the tablets, of one and the same story."""
    if visit.antibiotic is not run:
        return False
    others = [other.class_.split() for other, _, _ in visit.items if "antibiotic" in other.class_]
    words = {*drug.class_.split(), *(word for other in others for word in other)}
    return "combined" in words or ("injection" in words and len(others) < 2)


def _dispense(run: Run, visit: Visit, drug: Drug, request: bytes, count: int, days: int, when: int) -> None:
    draw = run.u()
    if draw < 0.06:
        return  # never collected
    last = min(run.life.until, run.life.death)
    day = when if draw < 0.8 or visit.setting.inpatient else when + 1
    minute = min(1430, (visit.minute if when == visit.day else 480) + 30 + int(draw * 90))
    made = len(run.life.out)
    substituted = 0.1 < draw < 0.16
    if 0.16 < draw < 0.22 and count >= 4 and days >= 4:
        half = count // 2
        write_dispense(run, visit, drug, request, day, minute, half, days // 2, substituted)
        kept = len(run.life.out)
        write_dispense(run, visit, drug, request, when + 5, 660, count - half, days - days // 2, substituted)
        if when + 5 >= last:
            del run.life.out[kept:]
    else:
        write_dispense(run, visit, drug, request, day, minute, count, days, substituted)
    if day >= last:
        del run.life.out[made:]


def allergic(run: Run, day: int, substance: str, severe: bool) -> None:
    """Record an allergy once."""
    life = run.life
    if life.visit is not None and any(drugs()[key].allergy == substance for key in life.visit.drugs):
        life.push(day + 1, run, lambda same, later: allergic(same, later, substance, severe))
    elif substance not in life.allergies:
        identifier = run.new_id()
        life.allergies[substance] = identifier[0]
        life.flags.add(f"{substance}_allergy")
        write_allergy(life, identifier, substance, day, severe)


# ATC codes by whose beginning drugs are alike, where it is not the first five letters: blockers of angiotensin of either kind, acid
# blockers, anti-inflammatory drugs, antihistamines, iron; and drugs of five equal letters that are taken together.
_ALIKE = ("C09", "A02BA", "A02BC", "M01A", "R06A", "B03A")
_TOGETHER = ("J04", "B01AC")
_ALSO = {"compound_analgesic": "M01A", "paracetamol_codeine": "N02BE"}  # what is in them besides
_SAME = {"A02BA": "A02B", "A02BC": "A02B"}


@cache
def groups_of(key: str) -> frozenset[str]:
    """What nobody takes two of at a time."""
    atc = drugs()[key].atc
    own = next((start for start in _ALIKE if atc.startswith(start)), atc if atc.startswith(_TOGETHER) else atc[:5])
    return frozenset((_SAME.get(own, own), _ALSO.get(key, own)))


def group_of(drug: Drug) -> str:
    """The group under which a long-term drug is known."""
    return min(groups_of(drug.key))


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
