"""Consent: what is withdrawn is not asked for again, and what belongs to others is not tried."""

from __future__ import annotations

from datetime import timedelta

from portal.conformance.calls import Call, Recording
from portal.conformance.verdicts import Verdict, check, failed, omitted, passed, unseen

IN_FLIGHT = timedelta(milliseconds=25)


def about(call: Call, patient: str) -> bool:
    """Whether a call concerns one patient: in its path, its query, its form or its body."""
    where = call.where
    if where.id == patient and where.kind == "Patient":
        return True
    named = {f"Patient/{patient}", patient}
    values = [value for name in ("patient", "subject", "_id") for value in where.values(name)]
    values += [value for name, found in call.form.items() if name in ("patient", "subject", "_id") for value in found]
    # Whole addresses name the same patient.
    if any(value in named or value.endswith(f"/Patient/{patient}") for value in values):
        return True
    if isinstance(call.body, dict):
        for name in ("subject", "patient", "for"):
            reference = call.body.get(name)
            if isinstance(reference, dict) and reference.get("reference") == f"Patient/{patient}":
                return True
    return False


@check("stops-after-revocation")
def stops_after_revocation(recording: Recording) -> Verdict:
    """After consent is withdrawn one call meets the refusal, beside those already on their way; then the patient is left alone."""
    event = recording.event("consent-revoked")
    if event is None:
        return unseen(fa="بازپس‌گیری رضایت تمرین نشده است.", en="A withdrawal of consent was not rehearsed.")
    later = [call for call in recording.since(event.at) if about(call, event.data["patient"])]
    if any(call.knew(later[0], slack=IN_FLIGHT) for call in later[1:]):
        return failed(
            later,
            fa="پس از بازپس‌گیری رضایت، دادهٔ این بیمار باز هم خواسته شده است.",
            en="After consent was withdrawn the patient's data was asked for again.",
        )
    before = [call for call in recording.calls if call.at < event.at and about(call, event.data["patient"])]
    if not before and not later:
        return unseen(
            fa="پیش از بازپس‌گیری رضایت، دادهٔ این بیمار خوانده نشد.",
            en="This patient's data was not read before consent was withdrawn.",
        )
    return passed([*before[-1:], *later])


@check("serves-others-after-revocation")
def serves_others_after_revocation(recording: Recording) -> Verdict:
    """One patient's withdrawal does not stop the App for the others."""
    event = recording.event("consent-revoked")
    if event is None:
        return unseen(fa="بازپس‌گیری رضایت تمرین نشده است.", en="A withdrawal of consent was not rehearsed.")
    others = [call for call in recording.since(event.at) if call.ok and not about(call, event.data["patient"])]
    if not others:
        return unseen(
            fa="پس از بازپس‌گیری رضایت فراخوان دیگری دیده نشد.", en="No other call was seen after the withdrawal."
        )
    return passed(others)


LEAST_REASON = 10


@check("emergency-with-reason")
def emergency_with_reason(recording: Recording) -> Verdict:
    """Emergency access (`$break-glass`) says why, in words that somebody can check afterwards."""
    if not recording.calls:
        return unseen(fa="هیچ فراخوانی دیده نشد.", en="No call was seen.")
    opened = [call for call in recording.of("operation") if call.where.operation == "$break-glass"]
    if not opened:
        return omitted(fa="دسترسی اضطراری به کار نرفته است.", en="Emergency access was not used.")
    wrong = [call for call in opened if len(_reason(call)) < LEAST_REASON]
    if wrong:
        return failed(
            wrong,
            fa="دسترسی اضطراری بدون دلیل خواسته شده است.",
            en="Emergency access was asked for without a reason.",
        )
    return passed(opened)


def _reason(call: Call) -> str:
    """The operation's `reason`, from its Parameters or its query."""
    given = call.body.get("parameter") if isinstance(call.body, dict) else None
    texts = [
        str(value)
        for item in given or ()
        if isinstance(item, dict) and item.get("name") == "reason"
        for name, value in item.items()
        if name.startswith("value")
    ]
    return " ".join([*texts, *call.where.values("reason")]).strip()
