"""Observation: vital signs, laboratory results, questionnaires. http://hl7.org/fhir/R4/observation.html"""

from functools import cache
from typing import Any

from ..catalogue.tables import Test, tests
from . import concepts, systems
from .fragments import DECIMALS, META, coding, concept, encode, v3

HEAD = b'{"resourceType":"Observation","id":"'


def category(code: str, en: str, fa: str) -> bytes:
    """An observation category."""
    return encode([concept([v3("observation-category", code, en)], fa)])


LABORATORY = category("laboratory", "Laboratory", "آزمایشگاه")
VITAL = category("vital-signs", "Vital Signs", "علائم حیاتی")
SURVEY = category("survey", "Survey", "پرسش‌نامه")
SOCIAL = category("social-history", "Social History", "سابقهٔ اجتماعی")
EXAM = category("exam", "Exam", "معاینه")


def unit(code: str) -> bytes:
    """What follows the number of a quantity: unit, system and code, and the closing brace."""
    return b',"unit":' + encode(code) + b',"system":"' + systems.UCUM.encode() + b'","code":' + encode(code) + b"}"


def head(kind: bytes, code: bytes) -> bytes:
    """From the end of the id to before the subject."""
    return b"".join((b'",', META, b',"status":"final","category":', kind, b',"code":', code, b","))


_FLAGS = {
    "H": ("H", "High", "بالاتر از حد مرجع"),
    "L": ("L", "Low", "پایین‌تر از حد مرجع"),
    "N": ("N", "Normal", "در حد مرجع"),
}


class LabTest:
    """A numeric test for one sex, or for children: its fragments, and where its reference range ends, in printed steps."""

    __slots__ = ("decimals", "head", "high", "low", "scale", "table", "tails")

    def __init__(self, row: Test, female: bool, child: bool) -> None:
        low = row.low_f if female and row.low_f is not None else row.low
        high = row.high_f if female and row.high_f is not None else row.high
        if child and (row.low_c is not None or row.high_c is not None):
            low, high = row.low_c, row.high_c
        self.scale = 10**row.decimals
        self.table = DECIMALS[row.decimals]
        self.head = head(LABORATORY, concepts.test(row.key))
        self.low = -1 if low is None else round(low * self.scale)
        self.high = 10**9 if high is None else round(high * self.scale)
        quantity = {"unit": row.unit, "system": systems.UCUM, "code": row.unit}
        limits: dict[str, Any] = {}
        if low is not None:
            limits["low"] = {"value": low, **quantity}
        if high is not None:
            limits["high"] = {"value": high, **quantity}
        ending = b',"referenceRange":' + encode([limits]) + b"}" if limits else b"}"
        self.tails = tuple(
            unit(row.unit) + b',"interpretation":[' + concepts.hl7("v3-ObservationInterpretation", *_FLAGS[flag]) + b"]" + ending
            for flag in "LNH"
        )  # fmt: skip

    def tail(self, value: int) -> bytes:
        """Everything after the number, by where the value lies."""
        return self.tails[0 if value < self.low else 2 if value > self.high else 1]


@cache
def lab_test(key: str, female: bool, child: bool) -> LabTest:
    """The fragments of a numeric test; `child`: with the reference range of under 12 years, where it differs."""
    return LabTest(tests()[key], female, child)


@cache
def coded_result(key: str, positive: bool) -> tuple[bytes, bytes]:
    """(head, value) of a present-or-absent test."""
    flag = ("POS", "Positive", "مثبت") if positive else ("NEG", "Negative", "منفی")
    value = b'"valueCodeableConcept":' + concepts.hl7("v3-ObservationInterpretation", *flag) + b"}"
    return head(LABORATORY, concepts.test(key)), value


def vital(code: str, display: str, fa: str, kind: bytes = VITAL) -> bytes:
    """The head of a vital sign's Observation."""
    return head(kind, encode(concept([coding(systems.LOINC, code, display)], fa)))


def concept_value(code: str, display: str, fa: str) -> bytes:
    """A valueCodeableConcept of a LOINC answer."""
    return b'"valueCodeableConcept":' + encode(concept([coding(systems.LOINC, code, display)], fa))


def component(code: str, display: str, fa: str) -> bytes:
    """A component up to its number."""
    return b'{"code":' + encode(concept([coding(systems.LOINC, code, display)], fa)) + b',"valueQuantity":{"value":'


BLOOD_PRESSURE = vital("85354-9", "Blood pressure panel with all children optional", "فشار خون")
SYSTOLIC = component("8480-6", "Systolic blood pressure", "فشار سیستولی")
DIASTOLIC = component("8462-4", "Diastolic blood pressure", "فشار دیاستولی")
PULSE = vital("8867-4", "Heart rate", "ضربان قلب")
BREATHS = vital("9279-1", "Respiratory rate", "تعداد تنفس")
TEMPERATURE = vital("8310-5", "Body temperature", "دمای بدن")
WEIGHT = vital("29463-7", "Body weight", "وزن")
HEIGHT = vital("8302-2", "Body height", "قد")
BMI = vital("39156-5", "Body mass index (BMI) [Ratio]", "نمایهٔ تودهٔ بدنی")
OXYGEN = vital("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry", "اشباع اکسیژن")
HEAD_GIRTH = vital("9843-4", "Head Occipital-frontal circumference", "دور سر")
PHQ9 = vital(
    "44261-6", "Patient Health Questionnaire 9 item (PHQ-9) total score [Reported]", "نمرهٔ پرسش‌نامهٔ افسردگی", SURVEY
)
GAD7 = vital(
    "70274-6", "Generalized anxiety disorder 7 item (GAD-7) total score [Reported.PHQ]", "نمرهٔ اضطراب فراگیر", SURVEY
)
PAIN = vital("72514-3", "Pain severity - 0-10 verbal numeric rating [Score] - Reported", "شدت درد", SURVEY)
FEV1 = vital("20150-9", "FEV1", "حجم بازدمی ثانیهٔ اول", EXAM)
TOBACCO = vital("72166-2", "Tobacco smoking status", "وضعیت مصرف دخانیات", SOCIAL)

MM_HG, PER_MINUTE, CELSIUS, KG, CM = unit("mm[Hg]"), unit("/min"), unit("Cel"), unit("kg"), unit("cm")
KG_M2, PERCENT, SCORE = unit("kg/m2"), unit("%"), unit("{score}")
