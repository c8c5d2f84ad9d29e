"""MedicationRequest and MedicationDispense. http://hl7.org/fhir/R4/medicationrequest.html"""

from functools import cache

from ..calendars import CLOCK, ISO
from ..catalogue.tables import Drug, drugs
from ..life.record import Run, Visit
from . import concepts, systems
from .encounters import attending
from .fragments import INTEGERS, META, encode, reference

_REPEAT = {1: "روزی یک بار", 2: "روزی دو بار", 3: "روزی سه بار", 4: "روزی چهار بار"}
_UNIT_FA = {
    "{tablet}": "قرص", "{capsule}": "کپسول", "{ampoule}": "آمپول", "{vial}": "ویال", "mL": "میلی‌لیتر", "{pen}": "واحد قلم",
    "{puff}": "پاف", "{sachet}": "بسته", "[iU]": "واحد",
}  # fmt: skip
_SUBSTITUTED = (
    b',"substitution":{"wasSubstituted":true,"type":'
    + concepts.hl7("v3-substanceAdminSubstitution", "G", "generic composition", "هم‌نام ژنریک")
    + b',"reason":['
    + concepts.hl7("v3-ActReason", "OS", "out of stock", "ناموجود بودن")
    + b"]}"
)
_NOT_SUBSTITUTED = b',"substitution":{"wasSubstituted":false}'
REQUEST = b'{"resourceType":"MedicationRequest","id":"'
_COMPLETED, _ACTIVE = (b'",' + META + b',"status":"' + status for status in (b"completed", b"active"))
_GROUPED = b',"groupIdentifier":{"system":"' + systems.PRESCRIPTION.encode() + b'","value":"RX-'
_VALID = b'"},"dispenseRequest":{"validityPeriod":{"start":"'
_VALID_FOR_REASON = b'"}],"dispenseRequest":{"validityPeriod":{"start":"'
DISPENSE = b'{"resourceType":"MedicationDispense","id":"'


def dose_words(drug: Drug, dose: float) -> str:
    """How a drug is taken, in Persian."""
    amount = f"{dose:g}".replace(".", "٫").translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    if drug.per_day >= 1:
        times = _REPEAT.get(round(drug.per_day), f"روزی {round(drug.per_day)} بار")
    else:
        times = f"هر {round(1 / drug.per_day)} روز یک بار".translate(str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹"))
    return f"{amount} {_UNIT_FA.get(drug.dose_unit or drug.unit, drug.unit)} {times}"


@cache
def _dosage(key: str, dose: float) -> bytes:
    """The dosageInstruction of a drug at a dose."""
    drug = drugs()[key]
    repeat: dict[str, object] = {"frequency": 1, "period": round(1 / drug.per_day), "periodUnit": "d"}
    if drug.per_day >= 1:
        repeat = {"frequency": round(drug.per_day), "period": 1, "periodUnit": "d"}
    unit = drug.dose_unit or drug.unit
    quantity = {"value": dose, "unit": unit, "system": systems.UCUM, "code": unit}
    return encode(
        [{"text": dose_words(drug, dose), "timing": {"repeat": repeat}, "doseAndRate": [{"doseQuantity": quantity}]}]
    )


@cache
def request_middle(key: str, dose: float) -> bytes:
    """From the end of the id to the subject: status excluded."""
    return (
        b'","intent":"order","medicationCodeableConcept":'
        + concepts.medication(key)
        + b',"dosageInstruction":'
        + (_dosage(key, dose) + b",")
    )


@cache
def quantity(unit_code: str, count: int) -> bytes:
    """A SimpleQuantity of a drug's unit."""
    return encode({"value": count, "unit": unit_code, "system": systems.UCUM, "code": unit_code})


@cache
def _supply(unit_code: str, count: int, days: int) -> bytes:
    duration = {"value": days, "unit": "d", "system": systems.UCUM, "code": "d"}
    return b'"quantity":' + quantity(unit_code, count) + b',"expectedSupplyDuration":' + encode(duration) + b"}}"


@cache
def _dispense_middle(key: str, substituted: bool) -> bytes:
    words = _SUBSTITUTED if substituted else _NOT_SUBSTITUTED
    return b"".join(
        (b'",', META, b',"status":"completed","medicationCodeableConcept":', concepts.medication(key), words, b",")
    )


@cache
def _pharmacy(identifier: str) -> bytes:
    return (
        b'"performer":[{"actor":'
        + encode(reference("Organization", identifier))
        + b'}],"context":{"reference":"Encounter/'
    )


@cache
def _handed_over(unit_code: str, count: int, days: int) -> bytes:
    return b"".join((
        quantity(unit_code, count), b',"daysSupply":{"value":', INTEGERS[days], b',"unit":"d","system":"', systems.UCUM.encode(),
        b'","code":"d"},"whenHandedOver":"',
    ))  # fmt: skip


def write_request(
    run: Run, visit: Visit, drug: Drug, dose: float, count: int, days: int, reason: bytes, moment: bytes
) -> bytes:
    """Write a prescription item; returns its id. `reason` is the id of a Condition or empty."""
    life = run.life
    text, id_ = run.new_id()
    end = visit.day + days
    status = b"stopped" if life.died and end > life.death else b"completed" if end < life.until else b"active"
    parts = (
        REQUEST, id_, b'",', META, b',"status":"', status,
        request_middle(drug.key, dose), visit.context,
        b'"authoredOn":"', moment, b'","requester":', attending(visit.physician),
        b',"groupIdentifier":{"system":"', systems.PRESCRIPTION.encode(), b'","value":"RX-', visit.id, b'"}',
        b',"reasonReference":[{"reference":"Condition/' + reason + b'"}]' if reason else b"",
        b',"dispenseRequest":{"validityPeriod":{"start":"', ISO[visit.day], b'","end":"', ISO[visit.day + max(days, 30)], b'"},',
        _supply(drug.unit, count, days),
    )  # fmt: skip
    life.out.append(("MedicationRequest", text, b"".join(parts)))
    return id_


def write_dispense(
    run: Run, visit: Visit, drug: Drug, request: bytes, day: int, minute: int, count: int, days: int, substituted: bool
) -> None:
    """Write what the pharmacy handed over."""
    life = run.life
    text, id_ = run.new_id()
    pharmacy = life.home.network.facilities["pharmacy"]
    parts = (
        DISPENSE, id_, _dispense_middle(drug.key, substituted), life.subject, _pharmacy(pharmacy.id), visit.id,
        b'"},"authorizingPrescription":[{"reference":"MedicationRequest/', request,
        b'"}],"quantity":', _handed_over(drug.unit, count, days), ISO[day], CLOCK[day][minute], b'"}',
    )  # fmt: skip
    life.out.append(("MedicationDispense", text, b"".join(parts)))
