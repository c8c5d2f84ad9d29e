"""Speaking FHIR over HTTP properly: media types, names, ids, no broken messages."""

from __future__ import annotations

from typing import Any

from portal.conformance.calls import Recording
from portal.conformance.checks.paging import PAGE_WORDS
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen

JSON_TYPES = ("application/fhir+json", "application/json")
WRITE_SEEN = {"fa": "نوشتنی دیده نشد.", "en": "No write was seen."}
CALL_SEEN = {"fa": "هیچ فراخوانی دیده نشد.", "en": "No call was seen."}
LIBRARIES = ("python-httpx/", "python-requests/", "curl/", "go-http-client/", "okhttp/", "axios/", "java/", "node")
CLINICAL = frozenset(
    {
        "Patient", "Observation", "Condition", "MedicationRequest", "MedicationDispense", "AllergyIntolerance", "Encounter",
        "DiagnosticReport", "Immunization", "Procedure", "Appointment", "ServiceRequest", "Consent",
    }
)  # fmt: skip


@check("fhir-media-type")
def fhir_media_type(recording: Recording) -> Verdict:
    """Bodies are sent as application/fhir+json (FHIR R4 http.html#mime-type)."""
    written = recording.of("create", "update", "batch")
    if not written:
        return unseen(**WRITE_SEEN)
    wrong = [call for call in written if not call.sent.get("content-type", "").startswith("application/fhir+json")]
    if wrong:
        return failed(
            wrong, fa="نوع بدنه application/fhir+json نیست.", en="The body's type is not application/fhir+json."
        )
    return passed(written)


@check("accepts-fhir-json")
def accepts_fhir_json(recording: Recording) -> Verdict:
    """The App says which representation it wants."""
    calls = [call for call in recording.calls if call.kind]
    if not calls:
        return unseen(**CALL_SEEN)
    wrong = [call for call in calls if not any(kind in call.sent.get("accept", "") for kind in JSON_TYPES)]
    if wrong:
        return failed(
            wrong, fa="میدان Accept نوع FHIR JSON را نمی‌خواهد.", en="The Accept field does not ask for FHIR JSON."
        )
    return passed(calls)


@check("names-itself")
def names_itself(recording: Recording) -> Verdict:
    """User-Agent names the App and its version, so that support can tell releases apart (RFC 9110 §10.1.5)."""
    if not recording.calls:
        return unseen(**CALL_SEEN)
    wrong = [
        call
        for call in recording.calls
        if "/" not in call.sent.get("user-agent", "") or call.sent["user-agent"].lower().startswith(LIBRARIES)
    ]
    if wrong:
        return failed(
            wrong, fa="‏User-Agent نام و نسخهٔ برنامه را ندارد.", en="User-Agent lacks the app's name and version."
        )
    return passed(recording.calls)


@check("sends-request-id")
def sends_request_id(recording: Recording) -> Verdict:
    """Each call carries an X-Request-Id of its own: support finds it in both logs."""
    if not recording.calls:
        return unseen(**CALL_SEEN)
    sent = [call.sent.get("x-request-id", "") for call in recording.calls]
    if not all(sent) or len(set(sent)) < len(sent):
        wrong = [call for call, own in zip(recording.calls, sent, strict=True) if not own or sent.count(own) > 1]
        return failed(
            wrong, fa="‏X-Request-Id فرستاده نشده یا تکراری است.", en="X-Request-Id was not sent, or was sent twice."
        )
    return passed(recording.calls)


@check("valid-bodies")
def valid_bodies(recording: Recording) -> Verdict:
    """Fewer than one write in ten is refused as invalid (400, 422)."""
    written = [call for call in recording.calls if call.writes]
    if not written:
        return unseen(**WRITE_SEEN)
    wrong = [call for call in written if call.status in (400, 422)]
    if len(wrong) * 10 > len(written):
        return failed(
            wrong, fa="بدنهٔ نامعتبر بیش از یک‌دهم نوشتن‌هاست.", en="More than one write in ten had an invalid body."
        )
    return passed(written)


@check("reads-existing-paths")
def reads_existing_paths(recording: Recording) -> Verdict:
    """Fewer than one call in ten asks for what is not there (404, 405): addresses come from the contract and from answers."""
    calls = [call for call in recording.calls if call.kind and call.status not in (401, 429, 502, 503, 504)]
    if not calls:
        return unseen(**CALL_SEEN)
    event = recording.event("consent-revoked")
    wrong = [call for call in calls if call.status in (404, 405) and not (event and call.at >= event.at)]
    if len(wrong) * 10 > len(calls):
        return failed(
            wrong,
            fa="بیش از یک‌دهم فراخوان‌ها نشانی ناموجود داشت.",
            en="More than one call in ten asked for what is not there.",
        )
    return passed(calls)


@check("known-search-parameters")
def known_search_parameters(recording: Recording) -> Verdict:
    """A search by a parameter that does not exist would read everything elsewhere; here it is refused (FHIR R4 search.html#errors)."""
    searches = recording.of("search")
    if not searches:
        return unseen(fa="جست‌وجویی دیده نشد.", en="No search was seen.")
    # Page addresses of one's own have a Requirement of their own.
    wrong = [
        call
        for call in searches
        if call.status == 400
        and "search-parameter" in _rules(call.reply)
        and not any(call.where.values(word) for word in PAGE_WORDS)
    ]
    if wrong:
        return failed(
            wrong,
            fa="با پارامتری جست‌وجو شده است که وجود ندارد.",
            en="A search used a parameter that does not exist.",
        )
    return passed(call for call in searches if call.ok)


def _rules(outcome: Any) -> set[str]:
    """Codes of the rules that an OperationOutcome names."""
    if not isinstance(outcome, dict):
        return set()
    return {
        str(coding.get("code"))
        for issue in outcome.get("issue") or ()
        for coding in (issue.get("details") or {}).get("coding") or ()
    }


@check("no-clinical-delete")
def no_clinical_delete(recording: Recording) -> Verdict:
    """Clinical records are cancelled or marked entered-in-error, never deleted."""
    if not recording.calls:
        return unseen(**CALL_SEEN)
    wrong = [call for call in recording.of("delete") if call.kind in CLINICAL]
    if wrong:
        return failed(
            wrong,
            fa="رکورد بالینی حذف شده است؛ وضعیت آن را تغییر دهید.",
            en="A clinical record was deleted; change its status instead.",
        )
    return passed(recording.calls)


@check("caches-with-etag")
def caches_with_etag(recording: Recording) -> Verdict:
    """A resource read again is asked for with If-None-Match (FHIR R4 http.html#cread)."""
    seen: set[str] = set()
    again = []
    for call in recording.of("read"):
        if call.target in seen:
            again.append(call)
        if call.status == 200 and call.answered.get("etag"):
            seen.add(call.target)
    if not again:
        return unseen(fa="خواندن دوبارهٔ یک منبع دیده نشد.", en="No resource was read twice.")
    conditional = [call for call in again if "if-none-match" in call.sent]
    if not conditional:
        return failed(
            again,
            fa="منبع بدون If-None-Match دوباره خوانده شده است.",
            en="A resource was read again without If-None-Match.",
        )
    return passed(conditional)


@check("compares-incoming-versions")
def compares_incoming_versions(recording: Recording) -> Verdict:
    """Changes are asked for by `_lastUpdated`, `_since` or history instead of reading everything again."""
    asked = [
        call
        for call in recording.of("search", "history")
        if call.where.values("_lastUpdated")
        or call.where.values("_since")
        or call.interaction == "history"
        or "_lastUpdated" in call.form
    ]
    if not asked:
        return unseen(fa="پرسیدن تغییرها با _lastUpdated دیده نشد.", en="Changes were not asked for by _lastUpdated.")
    return passed(asked)
