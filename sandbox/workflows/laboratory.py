"""Laboratory and imaging: order, specimen, preliminary, final and corrected DiagnosticReports, critical values.

The order is a ServiceRequest, its results Observations of one DiagnosticReport. http://hl7.org/fhir/R4/diagnosticreport.html
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sandbox.fhir.outcomes import ConflictError, Text, UnprocessableError
from sandbox.workflows.codes import (
    ALERT,
    CATEGORY,
    INTERPRETATION,
    LOINC,
    Resource,
    code_of,
    concept,
    has_code,
    set_state_tag,
    state_tag,
)
from sandbox.workflows.lab_tests import interpret, tests
from sandbox.workflows.records import Records, copy, id_of, need, pointer, ref, stamp
from sandbox.workflows.task_machine import Machine, arrow, states

LAB, IMAGING = "laboratory", "imaging"
ORDER: Final = Machine(
    name="laboratory-order",
    subject="ServiceRequest",
    initial=frozenset({"ordered"}),
    states=states(
        ("ordered", "ثبت‌شده"),
        ("collected", "نمونه‌گیری‌شده"),
        ("preliminary", "پاسخ اولیه"),
        ("resulted", "پاسخ نهایی"),
        final=(("cancelled", "لغوشده"),),
    ),
    transitions=(
        arrow("collect", "ordered", "collected", effect="Specimen; DiagnosticReport registered"),
        arrow("report-preliminary", "ordered collected preliminary", "preliminary", effect="Observations preliminary"),
        arrow("report-final", "ordered collected preliminary", "resulted", effect="Observations final"),
        arrow("correct", "resulted", "resulted", effect="Observations corrected; earlier values stay in the history"),
        arrow("cancel", "ordered collected", "cancelled", effect="DiagnosticReport cancelled"),
    ),
)
_OPEN = "registered partial preliminary"
MACHINE: Final = Machine(
    name="laboratory",
    subject="DiagnosticReport",
    initial=frozenset({"registered", "partial", "preliminary", "final", "unknown"}),
    states=states(
        ("registered", "ثبت‌شده"),
        ("partial", "بخشی آماده"),
        ("preliminary", "اولیه"),
        ("final", "نهایی"),
        ("amended", "تکمیل‌شده"),
        ("corrected", "اصلاح‌شده"),
        ("appended", "ضمیمه‌شده"),
        ("unknown", "نامعلوم"),
        final=(("cancelled", "لغوشده"), ("entered-in-error", "ثبت نادرست")),
    ),
    transitions=(
        arrow("report-part", "registered preliminary unknown", "partial"),
        arrow("report-preliminary", "registered partial unknown", "preliminary"),
        arrow("finalise", f"{_OPEN} unknown", "final"),
        arrow("amend", "final appended corrected", "amended"),
        arrow("correct", "final amended appended", "corrected"),
        arrow("append", "final amended corrected", "appended"),
        arrow("cancel", f"{_OPEN} unknown", "cancelled"),
        arrow("retract", f"{_OPEN} final amended corrected appended unknown", "entered-in-error"),
    ),
)
_ORDER_STATUS: Final = {"cancelled": "revoked", "resulted": "completed"}


@dataclass(frozen=True, slots=True)
class Result:
    """One measured value, in the test's own unit."""

    loinc: str
    value: float


def is_one(order: Resource) -> bool:
    """Whether a ServiceRequest belongs to this Workflow."""
    return ORDER.knows(state_tag(order))


async def order(
    records: Records, *, patient: str, requester: str, codes: Sequence[str], kind: str = LAB, text: str = ""
) -> Resource:
    """Order laboratory tests by LOINC code, or one imaging study by text."""
    await need(records, patient, "Patient", where="patient")
    await need(records, requester, "Practitioner", where="requester")
    known = tests()
    unknown = [code for code in codes if code not in known]
    if (kind == LAB and (unknown or not codes)) or (kind == IMAGING and not text):
        raise UnprocessableError(
            Text(
                f"Unknown tests: {', '.join(unknown) or 'none given'}. This laboratory does: {', '.join(sorted(known))}.",
                f"آزمایش ناشناخته: {'، '.join(unknown) or 'هیچ آزمایشی داده نشده'}. آزمایش‌های موجود: {'، '.join(sorted(known))}.",
            ),
            expression=("test",),
        )
    body: Resource = {
        "resourceType": "ServiceRequest",
        "intent": "order",
        "category": [concept(CATEGORY, kind)],
        "code": {"text": text} if kind == IMAGING else known[codes[0]].concept(),
        "subject": pointer(patient),
        "requester": pointer(requester),
        "authoredOn": stamp(records.now),
    }
    if kind == LAB:
        body["orderDetail"] = [known[code].concept() for code in codes]
    return await _enter(records, body, "ordered")


async def _enter(records: Records, body: Resource, state: str) -> Resource:
    set_state_tag(body, state)
    saved = await records.save(body | {"status": _ORDER_STATUS.get(state, "active")})
    records.tell(f"laboratory-{state}", saved, {"tests": codes_of(saved)})
    return saved


def codes_of(order_: Resource) -> list[str]:
    """LOINC codes of an order's tests."""
    return [code_of(detail, LOINC) for detail in order_.get("orderDetail", ())]


def _fire(records: Records, order_: Resource, verb: str) -> str:
    if not is_one(order_):
        raise UnprocessableError(
            Text(f"{ref(order_)} is no order of this service.", f"«{ref(order_)}» سفارش این سامانه نیست.")
        )
    return ORDER.fire(verb, state_tag(order_), who=records.actor, now=records.now, subject=ref(order_))


async def collect(records: Records, order_: Resource) -> Resource:
    """Specimen taken (laboratory orders), report registered."""
    order_ = copy(order_)
    state = _fire(records, order_, "collect")
    report = _report(records, order_)
    if not has_code(order_["category"], CATEGORY, IMAGING):
        specimen = await records.save(
            {
                "resourceType": "Specimen",
                "status": "available",
                "subject": order_["subject"],
                "request": [pointer(ref(order_))],
                "receivedTime": stamp(records.now),
                "collection": {"collectedDateTime": stamp(records.now)},
            }
        )
        order_["specimen"] = report["specimen"] = [pointer(ref(specimen))]
    await records.save(report | {"status": "registered"})
    return await _enter(records, order_, state)


def _report(records: Records, order_: Resource) -> Resource:
    kind = IMAGING if has_code(order_["category"], CATEGORY, IMAGING) else LAB
    section = "RAD" if kind == IMAGING else "LAB"
    return {
        "resourceType": "DiagnosticReport",
        "basedOn": [pointer(ref(order_))],
        "category": [concept("http://terminology.hl7.org/CodeSystem/v2-0074", section)],
        "code": order_["code"],
        "subject": order_["subject"],
        "effectiveDateTime": stamp(records.now),
    }


async def report_of(records: Records, order_: Resource) -> Resource | None:
    """The DiagnosticReport of an order; None before the specimen or the first result."""
    found = await records.search("DiagnosticReport", based_on=ref(order_))
    return copy(found[0]) if found else None


async def report(
    records: Records,
    order_: Resource,
    *,
    stage: str,
    results: Sequence[Result] = (),
    text: str = "",
) -> Resource:
    """Results at a stage (`preliminary`, `final`, `corrected`); imaging gives `text`. Returns the DiagnosticReport."""
    verb = {"preliminary": "report-preliminary", "final": "report-final", "corrected": "correct"}.get(stage, "")
    if not verb:
        raise UnprocessableError(
            Text("The stage is preliminary, final or corrected.", "مرحله یکی از preliminary، final یا corrected است."),
            expression=("stage",),
        )
    order_ = copy(order_)
    state = _fire(records, order_, verb)
    if not results and not text:
        raise UnprocessableError(
            Text("A report needs results or a text.", "گزارش باید نتیجه یا متن داشته باشد."), expression=("result",)
        )
    body = await report_of(records, order_) or _report(records, order_)
    observed = [await _observe(records, order_, result, stage, body) for result in results]
    kept = [r for r in body.get("result", ()) if r not in [pointer(ref(o)) for o in observed]]
    if all_results := [*kept, *(pointer(ref(o)) for o in observed)]:
        body["result"] = all_results
    if text:
        body["conclusion"] = text
        data = base64.b64encode(text.encode()).decode()
        body["presentedForm"] = [{"contentType": "text/plain; charset=utf-8", "data": data, "title": "Report"}]
    saved = await records.save(body | {"status": stage, "issued": stamp(records.now)})
    await _enter(records, order_, state)
    await _alert(records, order_, saved, observed)
    return saved


async def _observe(records: Records, order_: Resource, result: Result, stage: str, report_: Resource) -> Resource:
    test = tests().get(result.loinc)
    if test is None or result.loinc not in codes_of(order_):
        raise UnprocessableError(
            Text(
                f"Test {result.loinc} was not ordered by {ref(order_)}.",
                f"آزمایش {result.loinc} در «{ref(order_)}» درخواست نشده است.",
            ),
            expression=("result.code",),
        )
    flag = interpret(test, result.value)
    body = await _earlier_value(records, report_, result.loinc) or {"resourceType": "Observation"}
    body |= {
        "status": stage,
        "category": [concept("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory")],
        "code": test.concept(),
        "subject": order_["subject"],
        "basedOn": [pointer(ref(order_))],
        "effectiveDateTime": stamp(records.now),
        "issued": stamp(records.now),
        "valueQuantity": test.quantity(result.value),
        "interpretation": [concept(INTERPRETATION, flag)],
        "referenceRange": [test.reference_range()],
    }
    return await records.save(body)


async def _earlier_value(records: Records, report_: Resource, loinc: str) -> Resource | None:
    for item in report_.get("result", ()):
        found = await records.find_one("Observation", id_of(item["reference"], "Observation"))
        if found is not None and has_code(found["code"], LOINC, loinc):
            return copy(found)
    return None


async def _alert(records: Records, order_: Resource, report_: Resource, observed: Sequence[Resource]) -> None:
    """Call the requester about critical values: a Communication of urgent priority, and an event of its own."""
    critical = [o for o in observed if has_code(o["interpretation"], INTERPRETATION) and _is_critical(o)]
    if not critical:
        return
    names = ", ".join(_value_text(o) for o in critical)
    message = await records.save(
        {
            "resourceType": "Communication",
            "status": "completed",
            "category": [concept(ALERT, "critical-value")],
            "priority": "stat",
            "subject": order_["subject"],
            "about": [pointer(ref(report_)), *(pointer(ref(o)) for o in critical)],
            "recipient": [order_["requester"]],
            "sent": stamp(records.now),
            "payload": [{"contentString": f"مقدار بحرانی / critical value: {names}"}],
        }
    )
    found = [ref(o) for o in critical]
    records.tell("laboratory-critical", report_, {"communication": ref(message), "observations": found})


def _is_critical(observation: Resource) -> bool:
    return code_of(observation["interpretation"], INTERPRETATION) in {"HH", "LL"}


def _value_text(observation: Resource) -> str:
    value = observation["valueQuantity"]
    return f"{observation['code']['text']} {value['value']:g} {value['unit']}"


async def cancel(records: Records, order_: Resource, *, reason: str) -> Resource:
    """Cancel an order nobody has resulted yet."""
    order_ = copy(order_)
    state = _fire(records, order_, "cancel")
    body = await report_of(records, order_)
    if body is not None:
        await records.save(body | {"status": "cancelled"})
    order_["note"] = [*order_.get("note", ()), {"text": reason}]
    return await _enter(records, order_, state)


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of a DiagnosticReport by the report's own state machine."""
    if before is None:
        MACHINE.start(str(new.get("status", "")))
        return
    MACHINE.follow(before["status"], new["status"], who=records.actor, now=records.now, subject=ref(before))


async def guard_order(_records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of an order of this service: its state moves by verbs only."""
    if before is None or not is_one(before):
        raise UnprocessableError(
            Text(
                "Orders of this service are made with ServiceRequest/$order or $order-imaging; leave the state tag out.",
                "سفارش این سامانه با ServiceRequest/$order یا $order-imaging ساخته می‌شود؛ برچسب وضعیت را حذف کنید.",
            ),
            code="business-rule",
            expression=("ServiceRequest.meta.tag",),
        )
    set_state_tag(new, state_tag(before))
    changed = [n for n in ("status", "subject", "orderDetail", "category") if before.get(n) != new.get(n)]
    if changed:
        raise ConflictError(
            Text(
                f"{ref(before)} is an order in state '{state_tag(before)}': {', '.join(changed)} change only through "
                "ServiceRequest/$collect, $report and $cancel.",
                f"«{ref(before)}» سفارشی در وضعیت «{state_tag(before)}» است و {'، '.join(changed)} تنها با "
                "ServiceRequest/$collect، $report و $cancel تغییر می‌کند.",
            ),
            code="business-rule",
            expression=tuple(f"ServiceRequest.{name}" for name in changed),
        )


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of a DiagnosticReport: its event, and the alert when results are critical."""
    if before is not None and before["status"] == saved["status"]:
        return
    records.tell(f"report-{saved['status']}", saved, {})
    observed = []
    for item in saved.get("result", ()):
        found = await records.find_one("Observation", id_of(str(item.get("reference", "")), "Observation"))
        if found is not None and "interpretation" in found:
            observed.append(found)
    order_ = await _ordered_by(records, saved)
    if order_ is not None and saved["status"] in {"preliminary", "final", "corrected", "amended"}:
        await _alert(records, order_, saved, observed)


async def _ordered_by(records: Records, report_: Resource) -> Resource | None:
    for item in report_.get("basedOn", ()):
        found = await records.find_one("ServiceRequest", id_of(str(item.get("reference", "")), "ServiceRequest"))
        if found is not None and "requester" in found:
            return found
    return None
