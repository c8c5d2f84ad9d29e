"""ServiceRequest, Specimen, DiagnosticReport, Procedure. http://hl7.org/fhir/R4/diagnosticreport.html"""

from functools import cache

from ..calendars import CLOCK, ISO
from ..life.record import Run, Visit
from . import concepts, systems
from .encounters import attending
from .fragments import META, concept, encode, reference, text, v3

_SPECIMENS = {
    "blood": ("blood", "Blood", "خون"), "urine": ("urine", "Urine", "ادرار"), "stool": ("stool", "Stool", "مدفوع"),
    "swab": ("swab", "Nasopharyngeal swab", "سواب حلق و بینی"), "sputum": ("sputum", "Sputum", "خلط"),
    "tissue": ("tissue", "Tissue", "بافت"),
}  # fmt: skip
_LAB_REPORT = encode([concept([v3("v2-0074", "LAB", "Laboratory")], "آزمایشگاه")])
_IMAGING_REPORT = encode([concept([v3("v2-0074", "RAD", "Radiology")], "تصویربرداری")])
_LAB_ORDER = encode([concept([{"system": systems.SERVICE, "code": "laboratory", "display": "Laboratory"}], "آزمایش")])
_IMAGING_ORDER = encode(
    [concept([{"system": systems.SERVICE, "code": "imaging", "display": "Imaging"}], "تصویربرداری")]
)


@cache
def _order_middle(code: bytes, imaging: bool, status: bytes) -> bytes:
    category = _IMAGING_ORDER if imaging else _LAB_ORDER
    return b"".join(
        (b'",', META, b',"status":"', status, b'","intent":"order","category":', category, b',"code":', code, b",")
    )


def write_order(run: Run, visit: Visit, code: bytes, imaging: bool, status: bytes = b"completed") -> bytes:
    """Write a ServiceRequest; returns its id."""
    name, id_ = run.new_id()
    parts = (
        b'{"resourceType":"ServiceRequest","id":"', id_, _order_middle(code, imaging, status), visit.context,
        b'"authoredOn":"', visit.start, b'","requester":', attending(visit.physician), b"}",
    )  # fmt: skip
    run.life.out.append(("ServiceRequest", name, b"".join(parts)))
    return id_


@cache
def _specimen_middle(kind: str, status: bytes) -> bytes:
    return b"".join(
        (b'",', META, b',"status":"', status, b'","type":', concepts.own(systems.SPECIMEN, *_SPECIMENS[kind]), b",")
    )


def write_specimen(run: Run, kind: str, order: bytes, moment: bytes, received: bytes, spoilt: bool) -> bytes:
    """Write the sample of an order; returns its id. A spoilt one is refused by the laboratory."""
    name, id_ = run.new_id()
    parts = (
        b'{"resourceType":"Specimen","id":"', id_, _specimen_middle(kind, b"unsatisfactory" if spoilt else b"available"), run.life.subject,
        b'"receivedTime":"', received, b'","request":[{"reference":"ServiceRequest/', order,
        b'"}],"collection":{"collectedDateTime":"', moment, b'"}}',
    )  # fmt: skip
    run.life.out.append(("Specimen", name, b"".join(parts)))
    return id_


@cache
def performer(identifier: str) -> bytes:
    """The organization that made a result."""
    return b'"performer":[' + encode(reference("Organization", identifier)) + b"]"


@cache
def _report_middle(code: bytes, imaging: bool) -> bytes:
    category = _IMAGING_REPORT if imaging else _LAB_REPORT
    return b"".join((b'",', META, b',"status":"final","category":', category, b',"code":', code, b","))


def write_report(
    run: Run, visit: Visit, code: bytes, order: bytes, specimen: bytes, results: list[bytes], moment: bytes, issued: bytes,
    facility: str,
) -> None:  # fmt: skip
    """Write a laboratory report over its results."""
    name, id_ = run.new_id()
    listed = b'"},{"reference":"Observation/'.join(results)
    parts = (
        b'{"resourceType":"DiagnosticReport","id":"', id_, _report_middle(code, False), visit.context,
        b'"basedOn":[{"reference":"ServiceRequest/', order, b'"}],"effectiveDateTime":"', moment, b'","issued":"', issued,
        b'",', performer(facility), b',"specimen":[{"reference":"Specimen/', specimen,
        b'"}],"result":[{"reference":"Observation/', listed, b'"}]}',
    )  # fmt: skip
    run.life.out.append(("DiagnosticReport", name, b"".join(parts)))


def write_imaging_report(
    run: Run, visit: Visit, code: bytes, order: bytes, conclusion: str, day: int, minute: int
) -> None:
    """Write a radiologist's report with its conclusion in Persian."""
    name, id_ = run.new_id()
    moment = ISO[day] + CLOCK[day][minute]
    facility = run.life.home.network.facilities["imaging"]
    parts = (
        b'{"resourceType":"DiagnosticReport","id":"', id_, _report_middle(code, True), visit.context,
        b'"basedOn":[{"reference":"ServiceRequest/', order, b'"}],"effectiveDateTime":"', moment, b'","issued":"', moment,
        b'",', performer(facility.id), b',"conclusion":', text(conclusion), b"}",
    )  # fmt: skip
    run.life.out.append(("DiagnosticReport", name, b"".join(parts)))


_PROCEDURE_KIND = {
    "surgery": ("surgery", "Surgical procedure", "جراحی"), "birth": ("birth", "Obstetric procedure", "زایمان"),
    "intervention": ("intervention", "Intervention", "اقدام درمانی"), "dental": ("dental", "Dental procedure", "دندان‌پزشکی"),
    "therapy": ("therapy", "Therapy", "درمان غیردارویی"), "diagnostic": ("diagnostic", "Diagnostic procedure", "اقدام تشخیصی"),
    "administrative": ("administrative", "Administrative procedure", "اداری"),
}  # fmt: skip


@cache
def _procedure_middle(key: str, kind: str) -> bytes:
    category = concepts.own(systems.SERVICE, *_PROCEDURE_KIND[kind])
    return b"".join(
        (b'",', META, b',"status":"completed","category":', category, b',"code":', concepts.service(key), b",")
    )


def write_procedure(run: Run, visit: Visit | None, key: str, kind: str, day: int, minute: int, reason: bytes) -> None:
    """Write something that was done; `visit` is missing when it lies before the written history."""
    name, id_ = run.new_id()
    moment = ISO[day] + CLOCK[day][minute] if visit else ISO[day]
    parts = [
        b'{"resourceType":"Procedure","id":"', id_, _procedure_middle(key, kind), visit.context if visit else run.life.subject,
        b'"performedDateTime":"', moment, b'"',
    ]  # fmt: skip
    if visit:
        parts += (b',"performer":[{"actor":', attending(visit.physician), b"}]")
    if reason:
        parts += (b',"reasonReference":[{"reference":"Condition/', reason, b'"}]')
    parts.append(b"}")
    run.life.out.append(("Procedure", name, b"".join(parts)))
