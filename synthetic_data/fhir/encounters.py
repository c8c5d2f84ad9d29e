"""Encounter, and what is settled when one ends. http://hl7.org/fhir/R4/encounter.html"""

from functools import cache

from ..calendars import CLOCK, ISO
from ..life.record import Life, Visit
from ..world.providers import Practitioner
from . import concepts, systems
from .fragments import META, encode, reference, v3

_CLASS = {
    "AMB": encode(v3("v3-ActCode", "AMB", "ambulatory")),
    "EMER": encode(v3("v3-ActCode", "EMER", "emergency")),
    "IMP": encode(v3("v3-ActCode", "IMP", "inpatient encounter")),
    "VR": encode(v3("v3-ActCode", "VR", "virtual")),
    "HH": encode(v3("v3-ActCode", "HH", "home health")),
}
CLASS_OF = {
    "clinic": "AMB", "hospital_clinic": "AMB", "health_centre": "AMB", "emergency": "EMER", "admission": "IMP",
    "teleconsultation": "VR", "home": "HH", "dental": "AMB", "pharmacy": "AMB",
}  # fmt: skip
TYPES = {
    "clinic": ("outpatient-visit", "Outpatient visit", "ویزیت سرپایی"),
    "hospital_clinic": ("hospital-clinic", "Hospital outpatient visit", "ویزیت درمانگاه بیمارستان"),
    "health_centre": ("health-centre", "Health centre visit", "مراجعه به مرکز سلامت"),
    "emergency": ("emergency", "Emergency visit", "مراجعهٔ اورژانس"),
    "admission": ("admission", "Hospital admission", "بستری"),
    "teleconsultation": ("teleconsultation", "Teleconsultation", "مشاورهٔ از راه دور"),
    "home": ("home-visit", "Home visit", "ویزیت در منزل"),
    "dental": ("dental-visit", "Dental visit", "ویزیت دندان‌پزشکی"),
    "pharmacy": ("pharmacy", "Pharmacy", "داروخانه"),
}
_DISCHARGE = {
    "home": concepts.hl7("discharge-disposition", "home", "Home", "ترخیص به منزل"),
    "exp": concepts.hl7("discharge-disposition", "exp", "Expired", "فوت"),
}
_PRIMARY = concepts.hl7("v3-ParticipationType", "ATND", "attender", "پزشک معالج")


@cache
def _setting(code: str, status: bytes = b"finished") -> bytes:
    kind = TYPES[code]
    return b"".join((
        b'",', META, b',"status":"', status, b'","class":', _CLASS[CLASS_OF[code]],
        b',"type":[', concepts.own(systems.SERVICE, *kind), b"],",
    ))  # fmt: skip


@cache
def attending(person: Practitioner) -> bytes:
    """The reference to a practitioner."""
    return encode(reference("Practitioner", person.id))


@cache
def _place(person: Practitioner, virtual: bool) -> bytes:
    facility = person.facility
    parts = [
        b'"serviceType":', concepts.specialty(person.specialty.code),
        b',"participant":[{"type":[', _PRIMARY, b'],"individual":', attending(person), b"}],",
        b'"serviceProvider":', encode(reference("Organization", facility.id)),
    ]  # fmt: skip
    if not virtual:
        parts += (b',"location":[{"location":', encode(reference("Location", facility.location)), b"}]")
    return b"".join(parts)


def write_encounter(life: Life, visit: Visit, end_minute: int, died: bool, booked: bool) -> None:
    """Write a visit that ended at a minute of its last day; a booked one names its Appointment."""
    code = visit.setting.code
    parts = [
        b'{"resourceType":"Encounter","id":"', visit.id, _setting(code), life.subject,
        _place(visit.physician, code == "teleconsultation"),
        b',"period":{"start":"', visit.start, b'","end":"', ISO[visit.end], CLOCK[visit.end][end_minute], b'"}',
    ]  # fmt: skip
    if booked:
        parts += (b',"appointment":[{"reference":"Appointment/', visit.id, b'-a"}]')
    _add_reasons(parts, visit)
    if visit.setting.inpatient or died:
        parts += (b',"hospitalization":{"dischargeDisposition":', _DISCHARGE["exp" if died else "home"], b"}")
    parts.append(b"}")
    life.out.append(("Encounter", visit.text, b"".join(parts)))


def _add_reasons(parts: list[bytes], visit: Visit) -> None:
    if visit.reasons:
        parts += (b',"reasonCode":[', b",".join([concepts.diagnosis(code) for code in visit.reasons]), b"]")
    if visit.follows:
        parts += (b',"reasonReference":[{"reference":"Condition/', visit.follows, b'"}]')
    if visit.diagnoses:
        listed = b'"}},{"condition":{"reference":"Condition/'.join(visit.diagnoses)
        parts += (b',"diagnosis":[{"condition":{"reference":"Condition/', listed, b'"}}]')


def write_open_encounter(life: Life, visit: Visit) -> None:
    """Write a stay that has not ended when the population is seen."""
    parts = [
        b'{"resourceType":"Encounter","id":"', visit.id, _setting(visit.setting.code, b"in-progress"), life.subject,
        _place(visit.physician, False), b',"period":{"start":"', visit.start, b'"}',
    ]  # fmt: skip
    _add_reasons(parts, visit)
    parts.append(b"}")
    life.out.append(("Encounter", visit.text, b"".join(parts)))
