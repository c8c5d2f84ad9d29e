"""Data changes under an App: results are corrected, patients merged, codes and extensions are new. Nothing of it may be lost."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from portal.conformance.calls import Call, Recording
from portal.conformance.checks.consent import about
from portal.conformance.verdicts import Verdict, check, failed, omitted, passed, unseen

ARABIC = re.compile("[يكى٠-٩]")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?")
FUTURE = timedelta(minutes=5)


@check("sees-corrected-result")
def sees_corrected_result(recording: Recording) -> Verdict:
    """A result that was corrected is read again, so that the user sees the new value."""
    event = recording.event("result-corrected")
    if event is None:
        return unseen(fa="اصلاح نتیجه تمرین نشده است.", en="A corrected result was not rehearsed.")
    wanted = event.data["resource"].partition("/")[2]
    later = [
        call for call in recording.since(event.at) if call.ok and call.interaction in ("read", "search", "history")
    ]
    seen = [call for call in later if any(found.get("id") == wanted for found in call.resources())]
    if seen:
        return passed(seen)
    return failed(
        later[:1], fa="نتیجهٔ اصلاح‌شده دوباره خوانده نشده است.", en="The corrected result was never read again."
    )


@check("follows-merged-patient")
def follows_merged_patient(recording: Recording) -> Verdict:
    """A Patient replaced by another (`link.type = replaced-by`, FHIR R4 patient.html#links) is followed, and the old id left."""
    event = recording.event("patient-merged")
    if event is None:
        return unseen(fa="ادغام بیمار تمرین نشده است.", en="A merged patient was not rehearsed.")
    old, new = event.data["old"], event.data["new"]
    later = recording.since(event.at)
    told = next((place for place, call in enumerate(later) if _shows_link(call, old)), None)
    if told is None:
        return unseen(
            fa="بیمار ادغام‌شده پس از ادغام خوانده نشد.", en="The merged patient was not read after the merge."
        )
    after = later[told + 1 :]
    stale = [call for call in after if about(call, old) and call.interaction != "read"]
    if stale:
        return failed(
            stale,
            fa="پس از ادغام، شناسهٔ قدیمی بیمار به کار رفته است.",
            en="After the merge the old patient id was still used.",
        )
    followed = [call for call in after if about(call, new) and call.ok]
    if not followed:
        return failed(
            [later[told]], fa="پیوند replaced-by دنبال نشده است.", en="The link replaced-by was not followed."
        )
    return passed(followed)


def _shows_link(call: Call, old: str) -> bool:
    return any(
        found.get("id") == old and any(link.get("type") == "replaced-by" for link in found.get("link") or ())
        for found in call.resources()
    )


def _last_seen(recording: Recording, place: int, call: Call) -> dict[str, Any] | None:
    for earlier in reversed(recording.calls[:place]):
        for found in earlier.resources():
            if earlier.ok and found.get("resourceType") == call.kind and found.get("id") == call.where.id:
                return dict(found)
    return None


@check("keeps-what-it-does-not-know")
def keeps_what_it_does_not_know(recording: Recording) -> Verdict:
    """An update sends back every element and extension that the read before it had; a patch leaves them alone by its nature."""
    updates = [
        (place, call)
        for place, call in enumerate(recording.calls)
        if call.interaction == "update" and isinstance(call.body, dict)
    ]
    judged, wrong = [call for call in recording.of("patch") if call.ok], []
    for place, call in updates:
        before = _last_seen(recording, place, call)
        if before is None:
            continue
        judged.append(call)
        if any(name not in call.body for name in before if name not in ("meta", "text")) or _urls(before) - _urls(
            call.body
        ):
            wrong.append(call)
    if wrong:
        return failed(
            wrong,
            fa="به‌روزرسانی، بخش یا افزونه‌ای را که برنامه نمی‌شناسد پاک کرده است.",
            en="An update dropped an element or extension that the app does not know.",
        )
    if not judged:
        return unseen(fa="به‌روزرسانی پس از خواندن دیده نشد.", en="No update after a read was seen.")
    return passed(judged)


def _urls(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {str(value["url"])} if isinstance(value.get("url"), str) else set()
        return own.union(*(_urls(item) for item in value.values())) if value else own
    if isinstance(value, list):
        return set().union(*(_urls(item) for item in value))
    return set()


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for key, item in value.items() if key not in ("div", "data") for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _written(recording: Recording) -> list[Call]:
    return [call for call in recording.calls if call.writes and isinstance(call.body, dict)]


@check("persian-letters")
def persian_letters(recording: Recording) -> Verdict:
    """What is written uses Persian ی and ک and no Arabic digits: else the same name is two names."""
    written = _written(recording)
    if not written:
        return unseen(fa="نوشتنی دیده نشد.", en="No write was seen.")
    # What the server gave and the App sends back unchanged is not the App's writing.
    given: set[str] = set()
    wrong = []
    for call in recording.calls:
        if not call.writes:
            given.update(_texts(call.reply))
        elif isinstance(call.body, dict) and any(
            ARABIC.search(text) and text not in given for text in _texts(call.body)
        ):
            wrong.append(call)
    if wrong:
        return failed(
            wrong,
            fa="متن نوشته‌شده حرف ي یا ك یا رقم عربی دارد.",
            en="A written text has Arabic ي or ك or Arabic digits.",
        )
    return passed(written)


@check("instants-have-offset")
def instants_have_offset(recording: Recording) -> Verdict:
    """A time without an offset is another time elsewhere (FHIR R4 datatypes.html#dateTime)."""
    written = [call for call in _written(recording) if any(INSTANT.fullmatch(text) for text in _texts(call.body))]
    if not written:
        return unseen(fa="نوشته‌ای با ساعت دیده نشد.", en="No write with a time was seen.")
    wrong = [
        call
        for call in written
        if any((found := INSTANT.fullmatch(text)) and found.group(3) is None for text in _texts(call.body))
    ]
    if wrong:
        return failed(
            wrong, fa="ساعت بدون اختلاف با گرینویچ نوشته شده است.", en="A time was written without its offset."
        )
    return passed(written)


@check("no-future-authoring")
def no_future_authoring(recording: Recording) -> Verdict:
    """`authoredOn`, `created` and the like are not later than the server's clock by more than five minutes."""
    from datetime import datetime

    judged, wrong = [], []
    for call in _written(recording):
        for name in ("authoredOn", "created", "whenHandedOver", "issued"):
            text = call.body.get(name)
            if not isinstance(text, str) or not INSTANT.fullmatch(text):
                continue
            judged.append(call)
            moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
            clock = recording.event("clock-set")
            now = call.at + timedelta(seconds=float(clock.data.get("offset", "0"))) if clock else call.at
            if moment.tzinfo is not None and moment > now + FUTURE:
                wrong.append(call)
    if wrong:
        return failed(
            wrong,
            fa="زمان نگارش در آینده است؛ ساعت برنامه را با سرور هماهنگ کنید.",
            en="The time of writing lies in the future: mind the clock.",
        )
    if not judged:
        return unseen(fa="نوشته‌ای با زمان نگارش دیده نشد.", en="No write with a time of writing was seen.")
    return passed(judged)


@check("codes-have-system")
def codes_have_system(recording: Recording) -> Verdict:
    """Every coding names its code system: a code alone means nothing (FHIR R4 datatypes.html#Coding)."""
    if not _written(recording):
        return unseen(fa="نوشتنی دیده نشد.", en="No write was seen.")
    written = [(call, codings) for call in _written(recording) if (codings := _codings(call.body))]
    if not written:
        return omitted(fa="برنامه کدی ننوشته است.", en="The app has written no code.")
    wrong = [
        call for call, codings in written if any(coding.get("code") and not coding.get("system") for coding in codings)
    ]
    if wrong:
        return failed(wrong, fa="کدی بدون system نوشته شده است.", en="A code was written without its system.")
    return passed(call for call, _ in written)


def _codings(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = (
            [item for item in value.get("coding") or () if isinstance(item, dict)]
            if isinstance(value.get("coding"), list)
            else []
        )
        return own + [found for key, item in value.items() if key != "coding" for found in _codings(item)]
    if isinstance(value, list):
        return [found for item in value for found in _codings(item)]
    return []
