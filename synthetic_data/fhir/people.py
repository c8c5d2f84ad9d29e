"""Consent and FamilyMemberHistory, and the Provenance of what was written."""

from functools import cache

from ..calendars import ISO
from ..life.record import Life, Run, Visit
from . import concepts, systems
from .encounters import attending
from .fragments import INTEGERS, META, concept, encode, reference

_CONSENT = b"".join((
    b',"scope":', concepts.hl7("consentscope", "patient-privacy", "Privacy Consent", "رضایت حریم خصوصی"),
    b',"category":[', encode(concept([{"system": systems.LOINC, "code": "59284-0", "display": "Consent Document"}], "رضایت‌نامه")), b"],",
))  # fmt: skip
_RULE = b'"policyRule":' + concepts.hl7("v3-ActCode", "OPTIN", "opt-in", "موافقت با دسترسی")
_RULE_OUT = b'"policyRule":' + concepts.hl7("v3-ActCode", "OPTOUT", "opt-out", "مخالفت با دسترسی")


@cache
def _organization(identifier: str) -> bytes:
    return b'"organization":[' + encode(reference("Organization", identifier)) + b"],"


def write_consent(run: Run, visit: Visit, refused: bool) -> None:
    """Whether the person lets other centres see the record."""
    name, id_ = run.new_id()
    run.life.out.append(("Consent", name, b"".join((
        b'{"resourceType":"Consent","id":"', id_, b'",', META,
        b',"status":"', b"inactive" if run.life.died else b"active", b'"', _CONSENT, run.life.patient,
        b'"dateTime":"', visit.start, b'",', _organization(visit.physician.facility.id), _RULE_OUT if refused else _RULE,
        b',"provision":{"type":"', b"deny" if refused else b"permit", b'","period":{"start":"', ISO[visit.day], b'"}}}',
    ))))  # fmt: skip


_RELATION = {
    True: concepts.hl7("v3-RoleCode", "MTH", "mother", "مادر"),
    False: concepts.hl7("v3-RoleCode", "FTH", "father", "پدر"),
}


def write_family_history(run: Run, visit: Visit, mother: bool, disease: str, age: int, died: bool) -> None:
    """One disease of a parent."""
    name, id_ = run.new_id()
    run.life.out.append(("FamilyMemberHistory", name, b"".join((
        b'{"resourceType":"FamilyMemberHistory","id":"', id_, b'",', META, b',"status":"completed",', run.life.patient,
        b'"date":"', visit.start, b'","relationship":', _RELATION[mother], b',"deceasedBoolean":', b"true" if died else b"false",
        b',"condition":[{"code":', concepts.diagnosis(disease), b',"onsetAge":{"value":', INTEGERS[age],
        b',"unit":"a","system":"http://unitsofmeasure.org","code":"a"}}]}',
    ))))  # fmt: skip


_AUTHOR = concepts.hl7("provenance-participant-type", "author", "Author", "نویسنده")
_ACTIVITY = concepts.hl7("v3-DataOperation", "CREATE", "create", "ایجاد")


def write_provenance(life: Life, visit: Visit, target: bytes) -> None:
    """Who wrote a document, where and when; `target` is a relative reference."""
    facility = encode(reference("Organization", visit.physician.facility.id))
    life.out.append(("Provenance", f"{visit.text}-p", b"".join((
        b'{"resourceType":"Provenance","id":"', visit.id, b'-p",', META, b',"target":[{"reference":"', target, b'"}],"recorded":"',
        visit.start, b'","activity":', _ACTIVITY, b',"agent":[{"type":', _AUTHOR, b',"who":', attending(visit.physician),
        b',"onBehalfOf":', facility, b"}]}",
    ))))  # fmt: skip
