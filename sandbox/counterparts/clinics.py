"""The clinic confirms appointments, the doctor answers teleconsultations, the specialist answers referrals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.counterparts.scripts import Mode, Part
from sandbox.workflows import booking, referral, teleconsultation
from sandbox.workflows.codes import Resource
from sandbox.workflows.operations.tasks import room_link
from sandbox.workflows.records import Records, id_of, parse_instant
from sandbox.workflows.tx_records import ExchangeRecords

DAY: Final = 86_400
_SORRY: Final = "درمانگاه در این زمان پذیرش ندارد. / The clinic cannot take this appointment."
_BROKEN: Final = "خطای سامانهٔ طرف مقابل / the counterpart's own system failed"


async def _clinic(records: Records, appointment: Resource, mode: Mode, _options: Mapping[str, Any]) -> None:
    """Partial: confirms, but moves the patient to the next free Slot of the same Schedule."""
    if appointment["status"] != "pending":
        return
    if mode in {Mode.DECLINE, Mode.ERROR}:
        await booking.end(records, appointment, "decline", reason=_SORRY if mode is Mode.DECLINE else _BROKEN)
        return
    if mode is Mode.PARTIAL and (other := await _next_free(records, appointment)):
        appointment = await booking.reschedule(records, appointment, slot=other)
    await booking.confirm(records, appointment)


async def _next_free(records: Records, appointment: Resource) -> str:
    """A free Slot after the asked one, on the same Schedule; empty when there is none."""
    for reference in booking.slots_of(appointment):
        asked = await records.find_one("Slot", id_of(reference, "Slot"))
        if asked is None:
            continue
        free = await records.search("Slot", schedule=asked["schedule"]["reference"], status="free")
        later = [s for s in free if parse_instant(s["start"]) > parse_instant(asked["start"])]
        if later:
            return f"Slot/{min(later, key=lambda s: parse_instant(s['start']))['id']}"
    return ""


async def _doctor(records: Records, task: Resource, mode: Mode, _options: Mapping[str, Any]) -> None:
    if task["status"] != "requested":
        return
    if mode in {Mode.DECLINE, Mode.ERROR}:
        reason = "پزشک در دسترس نیست / the doctor is not available" if mode is Mode.DECLINE else _BROKEN
        await teleconsultation.step(records, task, "decline", reason=reason)
        return
    base = records.base_url if isinstance(records, ExchangeRecords) else ""
    await teleconsultation.step(records, task, "accept", room=room_link(base))


async def _doctor_speaks(records: Records, task: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    """A greeting once the talk runs; with `partial` the doctor accepts and then says nothing."""
    if task["status"] == "in-progress" and mode in {Mode.ACCEPT, Mode.DELAY}:
        text = str(options.get("greeting", "سلام، صدای شما را می‌شنوم. بفرمایید. / Hello, I can hear you."))
        await teleconsultation.say(records, task, text=text, sender=task["owner"]["reference"])


async def _specialist(records: Records, task: Resource, mode: Mode, _options: Mapping[str, Any]) -> None:
    if task["status"] != "requested":
        return
    if mode in {Mode.DECLINE, Mode.ERROR}:
        reason = "خارج از حوزهٔ تخصص / outside this specialty" if mode is Mode.DECLINE else _BROKEN
        await referral.step(records, task, "reject", reason=reason)
        return
    await referral.step(records, task, "accept")


async def _specialist_answers(records: Records, task: Resource, mode: Mode, options: Mapping[str, Any]) -> None:
    """The note a day after accepting; with `partial` it never comes."""
    if task["status"] == "accepted" and mode in {Mode.ACCEPT, Mode.DELAY}:
        text = str(
            options.get(
                "answer", "بیمار معاینه شد؛ ادامهٔ درمان نزد پزشک خانواده. / Seen; continue with the family doctor."
            )
        )
        await referral.step(records, task, "answer", answer=text)


PARTS: Final = (
    Part("clinic", "appointment-requested", _clinic),
    Part("doctor", "teleconsultation-requested", _doctor),
    Part("doctor", "teleconsultation-started", _doctor_speaks),
    Part("specialist", "referral-requested", _specialist),
    Part("specialist", "referral-accepted", _specialist_answers, lag=DAY),
)
