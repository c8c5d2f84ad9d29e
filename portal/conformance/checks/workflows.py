"""What each service's own workflow asks of an App: prescriptions, appointments, laboratory, referral, teleconsultation."""

from __future__ import annotations

from typing import Any

from portal.conformance.calls import Call, Recording
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen


def _created(recording: Recording, kind: str) -> list[Call]:
    return [call for call in recording.of("create", kind=kind) if isinstance(call.body, dict)]


def _complete(recording: Recording, kind: str, needed: tuple[str, ...], *, fa: str, en: str) -> Verdict:
    """Every created `kind` has all of `needed`."""
    created = _created(recording, kind)
    if not created:
        return unseen(fa=f"ایجاد {kind} دیده نشد.", en=f"No {kind} was created.")
    wrong = [call for call in created if any(not call.body.get(name) for name in needed)]
    return failed(wrong, fa=fa, en=en) if wrong else passed(created)


@check("prescription-complete")
def prescription_complete(recording: Recording) -> Verdict:
    """An order names patient, prescriber, medicine, dose and time (FHIR R4 medicationrequest.html)."""
    needed = ("subject", "requester", "dosageInstruction", "authoredOn", "status")
    return _complete(
        recording,
        "MedicationRequest",
        needed,
        fa="نسخه بیمار، پزشک، دستور مصرف یا زمان ندارد.",
        en="A prescription lacks patient, prescriber, dosage or time.",
    )


@check("prescription-intent")
def prescription_intent(recording: Recording) -> Verdict:
    """A prescription that a pharmacy may dispense has `intent = order`."""
    created = _created(recording, "MedicationRequest")
    if not created:
        return unseen(fa="ایجاد نسخه دیده نشد.", en="No prescription was created.")
    wrong = [call for call in created if call.body.get("intent") != "order"]
    return (
        failed(wrong, fa="‏intent نسخه order نیست.", en="The prescription's intent is not order.")
        if wrong
        else passed(created)
    )


@check("allergies-before-prescribing")
def allergies_before_prescribing(recording: Recording) -> Verdict:
    """Before a prescription is written the patient's allergies are read."""
    created = _created(recording, "MedicationRequest")
    if not created:
        return unseen(fa="ایجاد نسخه دیده نشد.", en="No prescription was created.")
    looked = [call for call in recording.of("search", "read", kind="AllergyIntolerance") if call.ok]
    looked += [
        call for call in recording.calls if call.ok and "AllergyIntolerance" in call.target and call not in looked
    ]
    wrong = [call for call in created if not any(read.at <= call.at for read in looked)]
    if wrong:
        return failed(
            wrong,
            fa="نسخه بدون خواندن حساسیت‌ها نوشته شده است.",
            en="A prescription was written without reading allergies.",
        )
    return passed([*looked[:1], *created])


@check("partial-dispense")
def partial_dispense(recording: Recording) -> Verdict:
    """After a partial dispense the prescription is not closed by the App: the rest is still due."""
    event = recording.event("partly-dispensed")
    if event is None:
        return unseen(fa="تحویل ناقص تمرین نشده است.", en="A partial dispense was not rehearsed.")
    order = event.data["resource"].partition("/")[2]
    later = recording.since(event.at)
    read = [
        call
        for call in later
        if call.ok
        and call.kind in ("MedicationDispense", "MedicationRequest")
        and call.interaction in ("read", "search")
    ]
    if not read:
        return failed(
            [],
            fa="پس از تحویل ناقص، وضعیت نسخه خوانده نشده است.",
            en="After the partial dispense the prescription's state was not read.",
        )
    closed = [
        call
        for call in later
        if call.interaction in ("update", "patch")
        and call.where.id == order
        and isinstance(call.body, dict)
        and call.body.get("status") in ("completed", "stopped", "cancelled")
    ]
    again = [
        call
        for call in later
        if call.interaction == "create" and call.status == 201 and _same_order(recording, order, call)
    ]
    if again:
        return failed(
            again,
            fa="پس از تحویل ناقص، همان نسخه از نو و کامل نوشته شده است.",
            en="After the partial dispense the whole prescription was written once more: a second dose.",
        )
    if closed:
        return failed(
            closed, fa="نسخهٔ ناتمام بسته شده است.", en="A prescription was closed though part of it is still due."
        )
    return passed(read)


def _same_order(recording: Recording, order: str, call: Call) -> bool:
    """Whether `call` writes for the same patient what order `order` already asks for."""
    known = next(
        (
            found
            for earlier in recording.calls
            for found in earlier.resources()
            if (found.get("resourceType"), found.get("id")) == ("MedicationRequest", order)
        ),
        None,
    )
    if known is None or call.kind != "MedicationRequest" or not isinstance(call.body, dict):
        return False
    medicine = next((name for name in known if name.startswith("medication")), "")
    return all(call.body.get(name) == known.get(name) for name in ("subject", medicine) if name)


@check("slot-before-booking")
def slot_before_booking(recording: Recording) -> Verdict:
    """A free Slot is found before an Appointment is made (FHIR R4 appointment.html)."""
    created = _created(recording, "Appointment")
    if not created:
        return unseen(fa="ایجاد نوبت دیده نشد.", en="No appointment was created.")
    free = [call for call in recording.of("search", "read", kind="Slot") if call.ok]
    wrong = [call for call in created if not any(read.at <= call.at for read in free) or not call.body.get("slot")]
    if wrong:
        return failed(
            wrong, fa="نوبت بدون یافتن Slot آزاد ثبت شده است.", en="An appointment was made without a free slot."
        )
    return passed([*free[:1], *created])


@check("slot-taken")
def slot_taken(recording: Recording) -> Verdict:
    """When a slot was taken meanwhile, another one is offered: the same is not tried again."""
    taken = [call for call in _created(recording, "Appointment") if call.status in (409, 412, 422)]
    if not taken:
        return unseen(fa="برخورد با Slot گرفته‌شده دیده نشد.", en="No booking of a taken slot was seen.")
    for first in taken:
        again = [
            call
            for call in _created(recording, "Appointment")
            if call.at > first.at and call.body.get("slot") == first.body.get("slot")
        ]
        if again:
            return failed(
                [first, *again],
                fa="همان Slot گرفته‌شده دوباره خواسته شده است.",
                en="The taken slot was asked for again.",
            )
    return passed(taken)


@check("appointment-participants")
def appointment_participants(recording: Recording) -> Verdict:
    """An appointment names its patient and who sees them, with start and end."""
    created = _created(recording, "Appointment")
    if not created:
        return unseen(fa="ایجاد نوبت دیده نشد.", en="No appointment was created.")

    def whole(body: dict[str, Any]) -> bool:
        actors = [
            str(item.get("actor", {}).get("reference", ""))
            for item in body.get("participant") or ()
            if isinstance(item, dict)
        ]
        return any(actor.startswith("Patient/") for actor in actors) and len(actors) > 1

    wrong = [call for call in created if not whole(call.body)]
    return (
        failed(wrong, fa="نوبت بیمار یا پزشک ندارد.", en="An appointment lacks its patient or practitioner.")
        if wrong
        else passed(created)
    )


@check("cancel-by-status")
def cancel_by_status(recording: Recording) -> Verdict:
    """An appointment is cancelled by `status = cancelled` with a reason."""
    updates = [
        call
        for call in recording.of("update", kind="Appointment")
        if isinstance(call.body, dict) and call.body.get("status") == "cancelled"
    ]
    if not updates:
        return unseen(fa="لغو نوبت دیده نشد.", en="No cancelled appointment was seen.")
    wrong = [call for call in updates if not call.body.get("cancelationReason")]
    return failed(wrong, fa="لغو نوبت دلیل ندارد.", en="A cancellation has no reason.") if wrong else passed(updates)


@check("report-with-results")
def report_with_results(recording: Recording) -> Verdict:
    """A laboratory report is read with its Observations, not alone."""
    reports = [call for call in recording.of("read", "search", kind="DiagnosticReport") if call.ok]
    if not reports:
        return unseen(fa="خواندن DiagnosticReport دیده نشد.", en="No DiagnosticReport was read.")
    results = [
        call
        for call in recording.calls
        if call.ok and any(found.get("resourceType") == "Observation" for found in call.resources())
    ]
    if not results:
        return failed(reports, fa="نتیجه‌های گزارش خوانده نشده است.", en="The report's results were not read.")
    return passed([*reports[:1], *results[:1]])


@check("result-filter")
def result_filter(recording: Recording) -> Verdict:
    """Results are asked for by category, code or date: not a patient's whole life for one value."""
    searches = [call for call in recording.of("search", kind="Observation") if call.ok and call.method == "GET"]
    if not searches:
        return unseen(fa="جست‌وجوی Observation دیده نشد.", en="No search for Observations was seen.")
    narrow = [
        call
        for call in searches
        if any(call.where.values(name) for name in ("category", "code", "date", "_lastUpdated", "_id", "based-on"))
    ]
    if not narrow:
        return failed(
            searches,
            fa="نتیجه‌ها بدون دسته، کد یا تاریخ خواسته شده‌اند.",
            en="Results were asked for without category, code or date.",
        )
    return passed(narrow)


@check("referral-complete")
def referral_complete(recording: Recording) -> Verdict:
    """A referral names patient, referrer, what is asked and why (FHIR R4 servicerequest.html)."""
    return _complete(
        recording,
        "ServiceRequest",
        ("subject", "requester", "code", "status", "intent"),
        fa="ارجاع بیمار، ارجاع‌دهنده یا موضوع ندارد.",
        en="A referral lacks patient, referrer or what is asked.",
    )


@check("referral-followed")
def referral_followed(recording: Recording) -> Verdict:
    """What became of a referral is asked for: by Task or by the ServiceRequest itself."""
    created = [call for call in _created(recording, "ServiceRequest") if call.ok]
    if not created:
        return unseen(fa="ایجاد ارجاع دیده نشد.", en="No referral was created.")
    later = [
        call
        for call in recording.calls
        if call.ok
        and call.at > created[0].at
        and call.kind in ("Task", "ServiceRequest")
        and call.interaction in ("read", "search")
    ]
    if not later:
        return failed(created, fa="سرنوشت ارجاع پرسیده نشده است.", en="What became of the referral was never asked.")
    return passed(later)


@check("encounter-for-teleconsultation")
def encounter_for_teleconsultation(recording: Recording) -> Verdict:
    """A remote visit is recorded as an Encounter of class VR."""
    created = _created(recording, "Encounter")
    if not created:
        return unseen(fa="ثبت Encounter دیده نشد.", en="No Encounter was created.")
    wrong = [call for call in created if (call.body.get("class") or {}).get("code") != "VR"]
    return (
        failed(wrong, fa="‏class ملاقات VR نیست.", en="The encounter's class is not VR.") if wrong else passed(created)
    )


@check("encounter-closed")
def encounter_closed(recording: Recording) -> Verdict:
    """A visit that began is finished: `status = finished` with an end."""
    created = [call for call in _created(recording, "Encounter") if call.ok]
    if not created:
        return unseen(fa="ثبت Encounter دیده نشد.", en="No Encounter was created.")
    ended = [
        call
        for call in [*recording.of("update", kind="Encounter"), *created]
        if isinstance(call.body, dict)
        and call.body.get("status") == "finished"
        and (call.body.get("period") or {}).get("end")
    ]
    if not ended:
        return failed(created, fa="ملاقات پایان داده نشده است.", en="The encounter was never finished.")
    return passed(ended)
