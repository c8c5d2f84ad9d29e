"""Condition and AllergyIntolerance. http://hl7.org/fhir/R4/condition.html"""

from ..calendars import ISO
from ..life.record import Life, Problem
from . import concepts, systems
from .fragments import META, coding, concept, encode, text, v3

_STATUS = {
    code: b',"clinicalStatus":' + concepts.hl7("condition-clinical", code, display, fa)
    for code, display, fa in (("active", "Active", "فعال"), ("resolved", "Resolved", "برطرف‌شده"))
}
_CONFIRMED = b',"verificationStatus":' + concepts.hl7("condition-ver-status", "confirmed", "Confirmed", "قطعی")
_CATEGORY = {
    False: encode([concept([v3("condition-category", "encounter-diagnosis", "Encounter Diagnosis")], "تشخیص ویزیت")]),
    True: encode([concept([v3("condition-category", "problem-list-item", "Problem List Item")], "فهرست مشکلات")]),
}
_HEAD = b'{"resourceType":"Condition","id":"'


def write_conditions(life: Life) -> None:
    """Write every diagnosis of a life, now that it is known which have gone."""
    out = life.out
    for problem in life.open_conditions:
        abated = problem.abated if 0 < problem.abated < life.until and problem.abated <= life.death else 0
        chronic = problem.abated == 0
        parts = [
            _HEAD, problem.id, b'",', META, _STATUS["resolved" if abated else "active"], _CONFIRMED,
            b',"category":', _CATEGORY[chronic], b',"code":', concepts.diagnosis(problem.code), b",", life.subject,
        ]  # fmt: skip
        if problem.encounter:
            parts += (
                b'"encounter":{"reference":"Encounter/',
                problem.encounter,
                b'"},"recorder":',
                problem.recorder,
                b",",
            )
        parts += (b'"onsetDateTime":"', ISO[problem.onset])
        if abated:
            parts += (b'","abatementDateTime":"', ISO[abated])
        parts += (b'","recordedDate":"', ISO[problem.recorded], b'"}')
        out.append(("Condition", problem.text, b"".join(parts)))


SUBSTANCES = {
    "penicillin": ("Penicillin", "پنی‌سیلین", "medication"),
    "cephalosporin": ("Cephalosporin", "سفالوسپورین", "medication"),
    "nsaid": ("Non-steroidal anti-inflammatory drugs", "ضدالتهاب‌های غیراستروئیدی", "medication"),
    "peanut": ("Peanut", "بادام‌زمینی", "food"),
    "egg": ("Egg", "تخم‌مرغ", "food"),
    "cow_milk": ("Cow's milk", "شیر گاو", "food"),
    "fava_bean": ("Fava bean", "باقلا", "food"),
    "bee_venom": ("Bee venom", "زهر زنبور", "environment"),
    "pollen": ("Pollen", "گردهٔ گیاهان", "environment"),
    "contrast": ("Iodinated contrast medium", "مادهٔ حاجب یددار", "medication"),
}


def write_allergy(life: Life, identifier: tuple[str, bytes], substance: str, day: int, severe: bool) -> None:
    """An allergy that stands for life."""
    en, fa, category = SUBSTANCES[substance]
    name, id_ = identifier
    manifestation = ("anaphylaxis", "Anaphylaxis", "آنافیلاکسی") if severe else ("urticaria", "Urticaria", "کهیر")
    parts = (
        b'{"resourceType":"AllergyIntolerance","id":"', id_, b'",', META,
        b',"clinicalStatus":', concepts.hl7("allergyintolerance-clinical", "active", "Active", "فعال"),
        b',"verificationStatus":', concepts.hl7("allergyintolerance-verification", "confirmed", "Confirmed", "قطعی"),
        b',"type":"allergy","category":["', category.encode(), b'"],"criticality":"', b"high" if severe else b"low",
        b'","code":', encode(concept([coding(systems.SUBSTANCE, substance.replace("_", "-"), en)], fa)), b",",
        life.patient, b'"recordedDate":"', ISO[day], b'","reaction":[{"manifestation":[',
        concepts.own(systems.SUBSTANCE, *manifestation), b'],"description":', text(manifestation[2]),
        b',"severity":"', b"severe" if severe else b"mild", b'"}]}',
    )  # fmt: skip
    life.out.append(("AllergyIntolerance", name, b"".join(parts)))


def latest_problem(life: Life, code: str) -> Problem | None:
    """The diagnosis of this code that was made last, open or gone."""
    for problem in reversed(life.open_conditions):
        if problem.code == code:
            return problem
    return None


def problem_of(life: Life, code: str) -> Problem | None:
    """The open diagnosis of this code, if there is one."""
    for problem in reversed(life.open_conditions):
        if problem.code == code and not problem.abated:
            return problem
    return None
