"""Claim and ExplanationOfBenefit: what a visit cost and who paid. http://hl7.org/fhir/R4/claim.html"""

from functools import cache
from operator import add
from typing import TYPE_CHECKING

from ..calendars import ISO
from ..life.record import Life, Visit
from . import concepts
from .fragments import INTEGERS, META, concept, encode, reference, v3
from .infrastructure import payer_id

if TYPE_CHECKING:
    from ..life.coverage import Period

_PRICE = b',"currency":"IRR"}'
_TYPE = {
    False: encode(concept([v3("claim-type", "professional", "Professional")], "خدمات سرپایی")),
    True: encode(concept([v3("claim-type", "institutional", "Institutional")], "خدمات بستری")),
}
_PRIORITY = concepts.hl7("processpriority", "normal", "Normal", "عادی")
_SUBMITTED = encode(concept([v3("adjudication", "submitted", "Submitted Amount")], "مبلغ درخواستی"))
_BENEFIT = encode(concept([v3("adjudication", "benefit", "Benefit Amount")], "سهم بیمه"))
_COPAY = encode(concept([v3("adjudication", "copay", "CoPay")], "سهم بیمار"))

_INSURED = b'"priority":' + _PRIORITY + b',"insurance":[{"sequence":1,"focal":true,"coverage":{"reference":"Coverage/'
_SETTLED = b'-c"},"outcome":"complete","insurance":[{"focal":true,"coverage":{"reference":"Coverage/'
_ASKED = b'"}}],"total":[{"category":' + _SUBMITTED + b',"amount":{"value":'
_PAID = _PRICE + b'},{"category":' + _BENEFIT + b',"amount":{"value":'
_OWED = _PRICE + b'},{"category":' + _COPAY + b',"amount":{"value":'
_SEQUENCE = [b'{"sequence":%d' % number for number in range(1, 10_000)]


@cache
def line(code: bytes, price: int) -> bytes:
    """A claim item after its sequence number."""
    amount = INTEGERS[price] if price < 10_000 else str(price).encode()
    return b"".join((
        b',"productOrService":', code, b',"unitPrice":{"value":', amount, _PRICE, b',"net":{"value":', amount, _PRICE,
    ))  # fmt: skip


def drug_line(key: str) -> bytes:
    """The concept under which a drug is billed."""
    return concepts.medication(key)


@cache
def _between(payer: str, facility: str, inpatient: bool) -> bytes:
    return b"".join((
        b'",', META, b',"status":"active","type":', _TYPE[inpatient], b',"use":"claim","insurer":',
        encode(reference("Organization", payer_id(payer))), b',"provider":', encode(reference("Organization", facility)),
        b",",
    ))  # fmt: skip


def write_claim(life: Life, visit: Visit, period: "Period") -> None:
    """Write the claim of a visit that has ended, and the insurer's settlement of it."""
    payer = period.payer
    inpatient = visit.setting.inpatient
    total = sum([price for _, price in visit.lines])
    paid = int(total * (max(payer.pays, 0.9) if inpatient else payer.pays))
    id_ = visit.id
    common = b"".join((
        _between(payer.code, visit.physician.facility.id, inpatient), life.patient, b'"created":"', ISO[visit.end], b'",',
    ))  # fmt: skip
    amount = b"%d" % total
    encounter = b',"encounter":[{"reference":"Encounter/' + id_ + b'"}]}'
    items = (encounter + b",").join(map(add, _SEQUENCE, [piece for piece, _ in visit.lines]))
    claim = (
        b'{"resourceType":"Claim","id":"', id_, b"-c", common, _INSURED, period.id, b'"}}],"item":[', items, encounter,
        b'],"total":{"value":', amount, _PRICE, b"}",
    )  # fmt: skip
    life.out.append(("Claim", visit.text + "-c", b"".join(claim)))
    settled = (
        b'{"resourceType":"ExplanationOfBenefit","id":"', id_, b"-e", common, b'"claim":{"reference":"Claim/', id_, _SETTLED, period.id,
        _ASKED, amount, _PAID, b"%d" % paid, _OWED, b"%d" % (total - paid), _PRICE, b"}]}",
    )  # fmt: skip
    life.out.append(("ExplanationOfBenefit", visit.text + "-e", b"".join(settled)))
