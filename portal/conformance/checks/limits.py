"""Behaviour under limits and outages: wait when told, wait longer when not, give up in time."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from portal.conformance.calls import Call, Recording
from portal.conformance.verdicts import Verdict, check, failed, passed, unseen

# A client's clock and the network may shave this much off a wait.
TOLERANCE = timedelta(milliseconds=300)
LEAST_PAUSE = timedelta(milliseconds=400)
MOST_TRIES = 6
PERMANENT = frozenset({400, 403, 404, 405, 410, 415, 422})


def _seconds(call: Call) -> float | None:
    text = call.answered.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() else None


@check("honours-retry-after")
def honours_retry_after(recording: Recording) -> Verdict:
    """After 429 nothing more about that type is sent until Retry-After has passed (RFC 9110 §10.2.3); other Products have other limits."""
    told = [
        (place, call, wait)
        for place, call in enumerate(recording.calls)
        if call.status == 429 and (wait := _seconds(call))
    ]
    if not told:
        return unseen(fa="پاسخ 429 با Retry-After دیده نشد.", en="No 429 with Retry-After was seen.")
    wrong = []
    for place, call, wait in told:
        until = call.at + timedelta(seconds=wait) - TOLERANCE
        wrong += [
            later
            for later in recording.calls[place + 1 :]
            if later.at < until and later.kind == call.kind and later.knew(call)
        ]
    if wrong:
        return failed(
            wrong,
            fa="پیش از پایان Retry-After دوباره درخواست فرستاده شده است.",
            en="A call was sent before Retry-After had passed.",
        )
    return passed(call for _, call, _ in told)


@check("backs-off-on-outage")
def backs_off_on_outage(recording: Recording) -> Verdict:
    """After 502, 503 or 504 the same call waits at least 0.4 seconds before it is sent again."""
    runs = _outages(recording)
    if not runs:
        return unseen(fa="قطعی سرویس (503) دیده نشد.", en="No outage (503) was seen.")
    for run in runs:
        if any(later.at - earlier.at < LEAST_PAUSE for earlier, later in pairwise(run)):
            return failed(
                run, fa="در زمان قطعی بی‌درنگ تکرار شده است.", en="During an outage calls were repeated at once."
            )
    return passed(call for run in runs for call in run)


def _outages(recording: Recording) -> list[list[Call]]:
    """Per call: one that met an outage and its repeats up to the first that did not."""
    runs: dict[tuple[str, str, str], list[Call]] = {}
    done: list[list[Call]] = []
    for call in recording.calls:
        key = (call.method, call.target, f"{call.body}{call.form}")
        if call.status in (502, 503, 504):
            runs.setdefault(key, []).append(call)
        elif key in runs:
            done.append([*runs.pop(key), call])
    return done + list(runs.values())


@check("gives-up-in-time")
def gives_up_in_time(recording: Recording) -> Verdict:
    """At most six tries of one call during an outage: then the user is told."""
    runs = _outages(recording)
    if not runs:
        return unseen(fa="قطعی سرویس (503) دیده نشد.", en="No outage (503) was seen.")
    wrong = [call for run in runs if len([each for each in run if each.faulted]) > MOST_TRIES for call in run]
    if wrong:
        return failed(wrong, fa="یک فراخوان بیش از شش بار تکرار شده است.", en="One call was tried more than six times.")
    return passed(call for run in runs for call in run)


@check("recovers-after-outage")
def recovers_after_outage(recording: Recording) -> Verdict:
    """When the service is back, the work is done: some repeat succeeds."""
    runs = _outages(recording)
    if not runs:
        return unseen(fa="قطعی سرویس (503) دیده نشد.", en="No outage (503) was seen.")
    wrong = [run[-1] for run in runs if run[-1].status == 503 and run[-1].interaction in ("read", "search")]
    if wrong:
        return failed(
            wrong, fa="پس از پایان قطعی، کار از سر گرفته نشده است.", en="After the outage the work was not resumed."
        )
    return passed(call for run in runs for call in run)


@check("no-blind-retry")
def no_blind_retry(recording: Recording) -> Verdict:
    """A refusal that will not change (400, 403, 404, 422 ...) is not sent again unchanged."""
    seen: dict[tuple[str, str, str], Call] = {}
    wrong, refused = [], []
    for call in recording.calls:
        key = (call.method, call.target, str(call.body) + str(call.form))
        earlier = seen.get(key)
        # A withdrawn consent and a scope that is not held have Requirements of their own.
        if call.status in PERMANENT and call.code not in ("consent-required", "insufficient-scope"):
            refused.append(call)
            soon = earlier is not None and call.knew(earlier) and call.at - earlier.at < timedelta(minutes=2)
            if earlier is not None and soon and not _consent(recording, call):
                wrong += [earlier, call]
            seen[key] = call
    if wrong:
        return failed(
            wrong, fa="درخواست ردشده بی‌تغییر دوباره فرستاده شده است.", en="A refused request was sent again unchanged."
        )
    if not recording.calls:
        return unseen(fa="هیچ فراخوانی دیده نشد.", en="No call was seen.")
    return passed(refused)


def _consent(recording: Recording, call: Call) -> bool:
    event = recording.event("consent-revoked")
    return event is not None and call.status in (403, 404) and call.at >= event.at


@check("stays-under-limits")
def stays_under_limits(recording: Recording) -> Verdict:
    """Apart from rehearsed refusals, fewer than one call in twenty meets a limit."""
    own = [call for call in recording.calls if call.status != 429 or call.code not in ("fault", "rehearsed")]
    if len(own) < 20:
        return unseen(fa="برای داوری دست‌کم ۲۰ فراخوان لازم است.", en="At least 20 calls are needed to judge.")
    limited = [call for call in own if call.status == 429]
    armed = recording.event("limit-rehearsed")
    allowed = 1 if armed else 0
    if len(limited) - allowed > len(own) / 20:
        return failed(
            limited, fa="بیش از یک‌بیستم فراخوان‌ها به سقف خورده‌اند.", en="More than one call in twenty met a limit."
        )
    return passed(own)


@check("polite-polling")
def polite_polling(recording: Recording) -> Verdict:
    """The same read answered alike is not repeated more than five times in a second."""
    reads = [call for call in recording.of("read", "search") if call.ok]
    if not reads:
        return unseen(fa="خواندنی دیده نشد.", en="No read was seen.")
    times: dict[tuple[str, str], list[Call]] = {}
    for call in reads:
        times.setdefault((call.target, str(call.form)), []).append(call)
    for same in times.values():
        for place in range(len(same) - 5):
            if same[place + 5].at - same[place].at < timedelta(seconds=1):
                return failed(
                    same[place : place + 6],
                    fa="یک خواندن بیش از پنج بار در ثانیه تکرار شده است.",
                    en="One read was repeated more than five times in a second.",
                )
    return passed(reads)
