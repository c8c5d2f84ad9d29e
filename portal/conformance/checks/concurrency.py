"""Two people edit one record: nobody's change is lost (FHIR R4 http.html#concurrency), and nothing is written twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import orjson

from portal.conformance.calls import Call, Recording
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen

NONE = timedelta()
ONCE_ONLY = ("MedicationRequest", "Appointment", "ServiceRequest", "MedicationDispense")
# What may differ between two attempts to write the same thing.
INCIDENTAL = ("id", "meta", "identifier", "authoredOn", "created", "whenHandedOver", "text")


@check("update-with-if-match")
def update_with_if_match(recording: Recording) -> Verdict:
    """Every update names the version it was made on."""
    updates = [call for call in recording.of("update", "patch") if call.where.id]
    if not updates:
        return unseen(fa="به‌روزرسانی دیده نشد.", en="No update was seen.")
    # `*` says only that the record exists (RFC 9110 §13.1.1): it saves nobody's change.
    wrong = [call for call in updates if call.sent.get("if-match", "*").strip() == "*"]
    if wrong:
        return failed(wrong, fa="به‌روزرسانی بدون If-Match فرستاده شده است.", en="An update was sent without If-Match.")
    return passed(updates)


@check("reread-after-conflict")
def reread_after_conflict(recording: Recording) -> Verdict:
    """After 409 or 412 the record is read again before it is written again."""
    conflicts = [
        (place, call)
        for place, call in enumerate(recording.calls)
        if call.interaction in ("update", "patch") and call.status in (409, 412)
    ]
    if not conflicts:
        return unseen(fa="برخورد نسخه (412) دیده نشد.", en="No version conflict (412) was seen.")
    wrong = []
    for place, call in conflicts:
        for later in recording.calls[place + 1 :]:
            if later.ok and _brings(later, call):
                break
            if _concerns(later, call) and later.interaction in ("update", "patch") and later.knew(call, slack=NONE):
                wrong.append(later)
                break
    if wrong:
        return failed(
            wrong,
            fa="پس از برخورد نسخه، رکورد دوباره خوانده نشده و تغییر دیگری از میان می‌رود.",
            en="After a version conflict the record was written again without being read: another change would be lost.",
        )
    return passed(call for _, call in conflicts)


def _concerns(later: Call, call: Call) -> bool:
    return (later.kind, later.where.id) == (call.kind, call.where.id)


def _brings(later: Call, call: Call) -> bool:
    """Whether the answer of a read, search or operation shows the record that `call` wrote; 304 says it is as it was."""
    if later.interaction == "read" and _concerns(later, call):
        return True
    return later.interaction in ("search", "history", "operation") and any(
        (found.get("resourceType"), found.get("id")) == (call.kind, call.where.id) for found in later.resources()
    )


@check("conditional-create")
def conditional_create(recording: Recording) -> Verdict:
    """What must exist once is created with If-None-Exist (FHIR R4 http.html#ccreate), or by a conditional update.

    How a create is repeated after a lost answer is judged apart: `no-duplicate-after-timeout`.
    """
    creates = [call for call in recording.of("create") if call.kind in ONCE_ONLY and not _repeated(recording, call)]
    creates += [call for call in recording.of("update") if call.kind in ONCE_ONLY and not call.where.id]
    if not creates:
        return unseen(
            fa="ایجاد نسخه، نوبت یا ارجاع دیده نشد.",
            en="No creation of a prescription, appointment or referral was seen.",
        )
    wrong = [call for call in creates if call.interaction == "create" and "if-none-exist" not in call.sent]
    if wrong:
        return failed(
            wrong, fa="ایجاد بدون If-None-Exist فرستاده شده است.", en="A creation was sent without If-None-Exist."
        )
    return passed(creates)


def _repeated(recording: Recording, call: Call) -> bool:
    """Whether `call` tries again what lost its answer before, under the same identifier."""
    return any(
        earlier.status in (502, 504)
        and earlier.at < call.at
        and essence(earlier.body) == essence(call.body)
        and earlier.body.get("identifier") == call.body.get("identifier")
        for earlier in recording.of("create", kind=call.kind)
        if isinstance(earlier.body, dict) and isinstance(call.body, dict)
    )


def essence(body: Any) -> bytes:
    """What a resource says, without what differs between two attempts."""
    if not isinstance(body, dict):
        return b""
    return orjson.dumps(
        {key: value for key, value in body.items() if key not in INCIDENTAL}, option=orjson.OPT_SORT_KEYS
    )


@check("no-duplicate-after-timeout")
def no_duplicate_after_timeout(recording: Recording) -> Verdict:
    """A write whose answer was lost had happened: the retry must find it, not make another."""
    lost = [call for call in recording.of("create") if call.kind in ONCE_ONLY and call.status in (502, 504)]
    if not lost:
        return unseen(
            fa="نوشتنی که پاسخش گم شود دیده نشد؛ این سناریو را اجرا کنید.",
            en="No write whose answer was lost was seen; run this scenario.",
        )
    for first in lost:
        # The first repeat that is answered tells: 200 found what was written, 201 wrote it a second time.
        answered = [
            call
            for call in recording.of("create", kind=first.kind)
            if call.at >= first.at and call.id != first.id and call.ok and essence(call.body) == essence(first.body)
        ][:1]
        if answered and answered[0].status == 201:
            return failed(
                [first, *answered],
                fa="پس از گم شدن پاسخ، همان نوشته بار دیگر ثبت شده است.",
                en="After the answer was lost the same thing was written a second time.",
            )
    return passed(lost)


@check("retry-finishes")
def retry_finishes(recording: Recording) -> Verdict:
    """After a lost answer the App finds out what became of the write: it repeats it safely or searches for it."""
    lost = [call for call in recording.of("create") if call.status in (502, 504)]
    if not lost:
        return unseen(fa="نوشتنی که پاسخش گم شود دیده نشد.", en="No write whose answer was lost was seen.")
    for first in lost:
        after: list[Call] = [
            call for call in recording.calls if call.at >= first.at and call.id != first.id and call.kind == first.kind
        ]
        if not any(call.ok for call in after):
            return failed(
                [first],
                fa="پس از گم شدن پاسخ، برنامه سرانجام نوشته را نپرسیده است.",
                en="After the answer was lost the app never asked what became of the write.",
            )
    return passed(lost)


@check("business-identifier")
def business_identifier(recording: Recording) -> Verdict:
    """What the App creates carries an identifier of the App's own, so that it can be found again."""
    creates = [call for call in recording.of("create") if call.kind in ONCE_ONLY and isinstance(call.body, dict)]
    if not creates:
        return unseen(
            fa="ایجاد نسخه، نوبت یا ارجاع دیده نشد.",
            en="No creation of a prescription, appointment or referral was seen.",
        )
    wrong = [
        call
        for call in creates
        if not any(
            item.get("system") and item.get("value")
            for item in call.body.get("identifier") or ()
            if isinstance(item, dict)
        )
    ]
    if wrong:
        return failed(
            wrong,
            fa="نوشته شناسه‌ای از خود برنامه ندارد.",
            en="What was created carries no identifier of the app's own.",
        )
    return passed(creates)
