"""CarePlan, Goal, referral, DocumentReference: what is written down around care."""

from base64 import b64encode
from collections.abc import Iterator
from functools import cache

from ..calendars import ISO, jalali_text, persian_digits
from ..catalogue.tables import diagnoses, tests
from ..life.record import Life, Run, Visit
from . import concepts, systems
from .encounters import TYPES, attending
from .fragments import META, coding, concept, encode, text
from .medications import dose_words

GOALS: dict[str, tuple[str, str, str, str, str, float]] = {
    # key: (LOINC code, its name, Persian, comparator side, unit, value)
    "blood_pressure": ("8480-6", "Systolic blood pressure", "فشار سیستولی کمتر از ۱۴۰", "high", "mm[Hg]", 140),
    "hba1c": ("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "هموگلوبین گلیکوزیله کمتر از ۷", "high", "%", 7),
    "ldl": (
        "13457-7", "Cholesterol in LDL [Mass/volume] in Serum or Plasma by calculation", "کلسترول ال‌دی‌ال کمتر از ۱۰۰", "high", "mg/dL", 100,
    ),
    "weight": ("39156-5", "Body mass index (BMI) [Ratio]", "نمایهٔ تودهٔ بدنی کمتر از ۳۰", "high", "kg/m2", 30),
    "haemoglobin": ("718-7", "Hemoglobin [Mass/volume] in Blood", "هموگلوبین بیش از ۱۱", "low", "g/dL", 11),
}  # fmt: skip


@cache
def _goal_middle(key: str) -> tuple[bytes, bytes]:
    code, name, words, side, unit_code, value = GOALS[key]
    quantity = {"value": value, "unit": unit_code, "system": systems.UCUM, "code": unit_code}
    measure = concept([coding(systems.LOINC, code, name)], words)
    target = encode([{"measure": measure, "detailRange": {side: quantity}}])
    head = b"".join((b'","description":', encode({"text": words}), b","))
    return head, b'","target":' + target + b"}"


def write_goal(run: Run, key: str, day: bytes) -> None:
    """A goal that was agreed on."""
    name, id_ = run.new_id()
    head, tail = _goal_middle(key)
    status = b"cancelled" if run.life.died else b"active"
    content = (
        b'{"resourceType":"Goal","id":"', id_, b'",', META, b',"lifecycleStatus":"', status, head, run.life.subject,
        b'"startDate":"', day, tail,
    )  # fmt: skip
    run.memory.setdefault("goals", []).append(id_)
    run.life.out.append(("Goal", name, b"".join(content)))


def write_plan(run: Run, visit: Visit, title: str, day: bytes) -> None:
    """A care plan, with the goals agreed so far and the story's last diagnosis."""
    name, id_ = run.new_id()
    problem = run.memory.get("reason")
    life = run.life
    status, end = (b"revoked", b'","end":"' + ISO[life.death]) if life.died else (b"active", b"")
    content = [
        b'{"resourceType":"CarePlan","id":"', id_, b'",', META, b',"status":"', status, b'","intent":"plan","title":', text(title),
        b",", visit.context, b'"period":{"start":"', day, end, b'"},"author":', attending(visit.physician),
    ]  # fmt: skip
    if problem is not None:
        content += (b',"addresses":[{"reference":"Condition/', problem.id, b'"}]')
    if goals := run.memory.get("goals"):
        content += (b',"goal":[{"reference":"Goal/', b'"},{"reference":"Goal/'.join(goals), b'"}]')
    content.append(b"}")
    run.life.out.append(("CarePlan", name, b"".join(content)))


_REFERRAL_DAYS = 60  # a referral is open for so long (general knowledge)
_REFERRAL = encode([concept([coding(systems.SERVICE, "referral", "Referral")], "ارجاع")])


@cache
def _referral_middle(specialty: str) -> bytes:
    words = concepts.specialty(specialty)
    return b"".join((
        b'","intent":"order","category":', _REFERRAL, b',"code":', words,
        b',"performerType":', words, b",",
    ))  # fmt: skip


def _referral_status(life: Life, day: int) -> bytes:
    done = day + _REFERRAL_DAYS
    if life.died and done > life.death:
        return b"revoked"
    return b"completed" if done < life.until else b"active"


def write_referral(run: Run, visit: Visit, specialty: str) -> None:
    """A referral to another field of practice."""
    name, id_ = run.new_id()
    problem = run.memory.get("reason")
    content = [
        b'{"resourceType":"ServiceRequest","id":"', id_, b'",', META, b',"status":"', _referral_status(run.life, visit.day),
        _referral_middle(specialty), visit.context,
        b'"authoredOn":"', visit.start, b'","requester":', attending(visit.physician),
    ]  # fmt: skip
    if problem is not None:
        content += (b',"reasonReference":[{"reference":"Condition/', problem.id, b'"}]')
    content.append(b"}")
    run.life.out.append(("ServiceRequest", name, b"".join(content)))


_KINDS: dict[bool, bytes] = {
    False: encode(concept([coding(systems.LOINC, "11506-3", "Progress note")], "یادداشت ویزیت")),
    True: encode(concept([coding(systems.LOINC, "18842-5", "Discharge summary")], "خلاصهٔ ترخیص")),
}


def _told(life: Life, visit: Visit) -> Iterator[str]:
    """The diagnoses, results and drugs of the visit, word for word as they are coded."""
    if visit.diagnoses:
        made = [problem.code for problem in life.open_conditions if problem.id in visit.diagnoses]
        yield "تشخیص: " + "؛ ".join(f"{diagnoses()[code].fa} ({code})" for code in made)
    if visit.setting.inpatient and visit.results:
        yield "آزمایش: " + "؛ ".join(
            f"{tests()[key].fa} {persian_digits(value.decode()).replace('.', '٫')} {tests()[key].unit}" for key, value in visit.results
        )  # fmt: skip
    if visit.items:
        yield "دارو: " + "؛ ".join(
            f"{drug.fa} {drug.strength}، {dose_words(drug, dose)}، برای {persian_digits(str(days))} روز" for drug, dose, days in visit.items
        )  # fmt: skip


def write_document(life: Life, visit: Visit, words: str) -> None:
    """A short Persian note of a visit, or a discharge letter, as plain text."""
    inpatient = visit.setting.inpatient
    title = f"{'خلاصهٔ ترخیص' if inpatient else 'یادداشت ویزیت'}، {jalali_text(visit.end)}"
    lines = [
        title,
        f"مرکز: {visit.physician.facility.name_fa}",
        f"{TYPES[visit.setting.code][2]} ({visit.physician.specialty.name_fa})",
        words,
        *_told(life, visit),
        "این سند ساختگی است.",
    ]
    content = (
        b'{"resourceType":"DocumentReference","id":"', visit.id, b'-d",', META, b',"status":"current","type":',
        _KINDS[inpatient], b",", life.subject, b'"date":"', visit.start, b'","author":[', attending(visit.physician),
        b'],"description":', text(title), b',"content":[{"attachment":{"contentType":"text/plain; charset=utf-8","language":"fa","data":"',
        b64encode("\n".join(lines).encode()), b'","title":', text(title), b',"creation":"', ISO[visit.end],
        b'"}}],"context":{"encounter":[{"reference":"Encounter/', visit.id, b'"}]}}',
    )  # fmt: skip
    life.out.append(("DocumentReference", f"{visit.text}-d", b"".join(content)))
