"""Appointments (نوبت‌دهی): hold, book, confirm, reschedule, cancel, no-show, waiting list, over Slot and Appointment.

http://hl7.org/fhir/R4/appointment.html. A Slot belongs to one Appointment at a time: claiming one that is not free is refused,
inside the transaction that writes, so of two Apps racing for a Slot exactly one has it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from sandbox.fhir.outcomes import ConflictError, Text, UnprocessableError
from sandbox.workflows.codes import HOLD_UNTIL, Resource, extension, set_extension
from sandbox.workflows.records import (
    Records,
    copy,
    id_of,
    need,
    parse_instant,
    patient_of,
    pointer,
    ref,
    stamp,
)
from sandbox.workflows.task_machine import CLOCK_ONLY, Actor, Facts, Machine, Reason, arrow, states

HOLD_TIME: Final = timedelta(minutes=10)
ANSWER_TIME: Final = timedelta(hours=24)
REMIND_BEFORE: Final = timedelta(hours=24)
CLAIMING: Final = frozenset({"proposed", "pending", "booked", "arrived", "checked-in"})

# Their time has passed: the Slot is not given to anybody else.
_SPENT: Final = frozenset({"fulfilled", "noshow"})


def _started(facts: Facts, now: datetime) -> Reason | None:
    start = facts.get("start")
    if isinstance(start, datetime) and now < start:
        return Reason("the appointment has not begun yet.", "زمان نوبت هنوز نرسیده است.")
    return None


MACHINE: Final = Machine(
    name="booking",
    subject="Appointment",
    initial=frozenset({"proposed", "pending", "booked", "waitlist"}),
    states=states(
        ("proposed", "نگه‌داشته"),
        ("waitlist", "فهرست انتظار"),
        ("pending", "در انتظار تأیید"),
        ("booked", "رزروشده"),
        ("arrived", "حاضر"),
        ("checked-in", "پذیرش‌شده"),
        final=(
            ("fulfilled", "انجام‌شده"),
            ("cancelled", "لغوشده"),
            ("noshow", "عدم مراجعه"),
            ("entered-in-error", "ثبت نادرست"),
        ),
    ),
    transitions=(
        arrow("book", "proposed", "pending", effect="Slot stays busy-tentative until the clinic confirms"),
        arrow("confirm", "pending proposed", "booked", effect="Slot becomes busy; a reminder is set"),
        arrow("decline", "pending", "cancelled", effect="Slot is free again; the waiting list is offered it"),
        arrow("offer", "waitlist", "proposed", effect="the freed Slot is held for the first who waits"),
        arrow("reschedule", "pending booked", "pending", effect="old Slot is free, the new one busy-tentative"),
        arrow("arrive", "booked", "arrived"),
        arrow("check-in", "booked arrived", "checked-in"),
        arrow("fulfil", "booked", "fulfilled", guard=_started),
        # Who is there already may be seen before the hour.
        arrow("fulfil", "arrived checked-in", "fulfilled"),
        arrow("no-show", "booked", "noshow", guard=_started, effect="Slot stays busy: its time has passed"),
        arrow(
            "cancel", "proposed waitlist pending booked arrived checked-in", "cancelled", effect="Slot is free again"
        ),
        arrow("expire", "proposed pending", "cancelled", who=CLOCK_ONLY, effect="Slot is free again"),
        arrow(
            "retract", "proposed waitlist pending booked arrived checked-in", "entered-in-error", effect="Slot is free"
        ),
    ),
)


def slots_of(appointment: Resource) -> list[str]:
    """References of the Slots an Appointment stands on."""
    return [str(item["reference"]) for item in appointment.get("slot", ()) if item.get("reference")]


async def claim(records: Records, slots: Iterable[str], status: str) -> list[Resource]:
    """Take free Slots; `ConflictError` (409) when one is not free, so that the second of two racers loses."""
    taken = []
    for reference in slots:
        slot = await need(records, reference, "Slot", where="slot")
        if slot.get("status") != "free":
            raise ConflictError(
                Text(
                    f"{ref(slot)} is not free (it is '{slot.get('status')}'). Search Slot?status=free for another one.",
                    f"بازهٔ «{ref(slot)}» آزاد نیست (وضعیت: {slot.get('status')}). با Slot?status=free بازهٔ دیگری بیابید.",
                ),
                code="conflict",
                expression=("Appointment.slot",),
            )
        taken.append(await records.save(slot | {"status": status}))
    return taken


async def release(records: Records, slots: Iterable[str]) -> None:
    """Free Slots, and offer each to whoever waits for it."""
    for reference in slots:
        slot = await records.find_one("Slot", id_of(reference, "Slot"))
        if slot is not None and slot.get("status") != "free":
            freed = await records.save(copy(slot) | {"status": "free"})
            await _offer(records, freed)


async def _mark(records: Records, slots: Iterable[str], status: str) -> None:
    for reference in slots:
        slot = await records.find_one("Slot", id_of(reference, "Slot"))
        if slot is not None and slot.get("status") != status:
            await records.save(copy(slot) | {"status": status})


async def hold(records: Records, *, slot: str, patient: str, reason: str = "") -> Resource:
    """Hold a free Slot for `HOLD_TIME`: an Appointment in `proposed`."""
    await need(records, patient, "Patient", where="patient")
    (taken,) = await claim(records, [slot], "busy-tentative")
    appointment = _on_slot({"resourceType": "Appointment", "participant": _people(patient)}, taken)
    if reason:
        appointment["description"] = reason
    return await _held(records, appointment)


async def _held(records: Records, appointment: Resource) -> Resource:
    until = records.now + HOLD_TIME
    set_extension(appointment, HOLD_UNTIL, "Instant", stamp(until))
    saved = await records.save(appointment | {"status": "proposed"})
    await records.later(until, "booking.expire", ref(saved), {"held": stamp(until)})
    records.tell("appointment-held", saved, {"slot": slots_of(saved), "until": stamp(until)})
    return saved


def _people(patient: str) -> list[Resource]:
    return [{"actor": pointer(patient), "status": "accepted"}]


def _on_slot(appointment: Resource, slot: Resource) -> Resource:
    return appointment | {"slot": [pointer(ref(slot))], "start": slot["start"], "end": slot["end"]}


async def take(records: Records, *, slot: str, patient: str, reason: str = "") -> Resource:
    """Hold and book in one step."""
    held = await hold(records, slot=slot, patient=patient, reason=reason)
    return await book(records, held)


async def book(records: Records, appointment: Resource) -> Resource:
    """Turn a hold into a request to the clinic; the clinic confirms or declines."""
    appointment = copy(appointment)
    state = MACHINE.fire("book", appointment["status"], who=records.actor, now=records.now, subject=ref(appointment))
    until = extension(appointment, HOLD_UNTIL)
    if until and parse_instant(until) <= records.now:
        raise ConflictError(
            Text(
                f"The hold of {ref(appointment)} ended at {until}: hold the Slot again.",
                f"مهلت نگه‌داشتن «{ref(appointment)}» در {until} پایان یافت؛ بازه را دوباره نگه دارید.",
            ),
            code="business-rule",
        )
    return await _request(records, appointment, state)


async def _request(records: Records, appointment: Resource, state: str) -> Resource:
    set_extension(appointment, HOLD_UNTIL, "Instant", None)
    saved = await records.save(appointment | {"status": state})
    due = records.now + ANSWER_TIME
    await records.later(due, "booking.expire", ref(saved), {"asked": stamp(due)})
    records.tell("appointment-requested", saved, {"slot": slots_of(saved)})
    return saved


async def confirm(records: Records, appointment: Resource) -> Resource:
    """The clinic says yes: booked, the Slot busy, a reminder set a day before."""
    appointment = copy(appointment)
    state = MACHINE.fire("confirm", appointment["status"], who=records.actor, now=records.now, subject=ref(appointment))
    set_extension(appointment, HOLD_UNTIL, "Instant", None)
    await _mark(records, slots_of(appointment), "busy")
    saved = await records.save(appointment | {"status": state})
    return await booked(records, saved)


async def booked(records: Records, appointment: Resource) -> Resource:
    """What follows every booking: reminder and event."""
    if "start" in appointment:
        remind = parse_instant(appointment["start"]) - REMIND_BEFORE
        if remind > records.now:
            await records.later(remind, "booking.remind", ref(appointment), {})
    records.tell("appointment-booked", appointment, {"slot": slots_of(appointment), "start": appointment.get("start")})
    return appointment


async def end(records: Records, appointment: Resource, verb: str, *, reason: str = "") -> Resource:
    """Cancel, decline, expire or retract: the Slots become free and the waiting list is served."""
    appointment = copy(appointment)
    state = MACHINE.fire(verb, appointment["status"], who=records.actor, now=records.now, subject=ref(appointment))
    freed = slots_of(appointment) if appointment["status"] in CLAIMING else []
    if reason:
        appointment["cancelationReason"] = {"text": reason}
    set_extension(appointment, HOLD_UNTIL, "Instant", None)
    saved = await records.save(appointment | {"status": state})
    records.tell("appointment-cancelled", saved, {"verb": verb, "reason": reason, "slot": freed})
    await release(records, freed)
    return saved


async def reschedule(records: Records, appointment: Resource, *, slot: str) -> Resource:
    """Move to another free Slot; the old one is freed only when the new one is taken."""
    appointment = copy(appointment)
    state = MACHINE.fire(
        "reschedule", appointment["status"], who=records.actor, now=records.now, subject=ref(appointment)
    )
    before = slots_of(appointment)
    (taken,) = await claim(records, [slot], "busy-tentative")
    saved = await _request(records, _on_slot(appointment, taken), state)
    await release(records, before)
    return saved


async def attend(records: Records, appointment: Resource, verb: str) -> Resource:
    """Arrive, check in, fulfil or mark a no-show."""
    appointment = copy(appointment)
    facts = {"start": parse_instant(appointment["start"])} if "start" in appointment else {}
    state = MACHINE.fire(
        verb, appointment["status"], who=records.actor, now=records.now, facts=facts, subject=ref(appointment)
    )
    saved = await records.save(appointment | {"status": state})
    records.tell(f"appointment-{state}", saved, {})
    return saved


async def wait(records: Records, *, schedule: str, patient: str, reason: str = "") -> Resource:
    """Join the waiting list of a Schedule: the first Slot freed on it is held for whoever waits longest."""
    await need(records, patient, "Patient", where="patient")
    calendar = await need(records, schedule, "Schedule", where="schedule")
    actor = next((item["reference"] for item in calendar.get("actor", ()) if item.get("reference")), None)
    people = [*_people(patient), *([{"actor": pointer(actor), "status": "needs-action"}] if actor else [])]
    appointment: Resource = {
        "resourceType": "Appointment",
        "status": "waitlist",
        "created": stamp(records.now),
        "participant": people,
        "supportingInformation": [pointer(ref(calendar))],
    }
    if reason:
        appointment["description"] = reason
    saved = await records.save(appointment)
    records.tell("appointment-waitlisted", saved, {"schedule": ref(calendar)})
    return saved


async def _offer(records: Records, slot: Resource) -> None:
    """Hold a freed Slot for the first Appointment waiting on its Schedule, if its time is still to come."""
    if parse_instant(slot["start"]) <= records.now:
        return
    schedule = slot.get("schedule", {}).get("reference", "")
    waiting = await records.search("Appointment", status="waitlist", supporting_info=schedule)
    waiting.sort(key=lambda item: (item.get("created", ""), item["id"]))
    if not waiting:
        return
    first = copy(waiting[0])
    first["status"] = MACHINE.fire("offer", "waitlist", who=Actor.COUNTERPART, now=records.now, subject=ref(first))
    held = await records.save(slot | {"status": "busy-tentative"})
    offered = await _held(records, _on_slot(first, held))
    records.tell("appointment-offered", offered, {"slot": [ref(held)]})


async def expire(records: Records, appointment: Resource, data: dict[str, str]) -> Resource | None:
    """Timer: end a hold or an unanswered request, unless it has moved on since the timer was set."""
    if data.get("held"):
        due = appointment["status"] == "proposed" and extension(appointment, HOLD_UNTIL) == data["held"]
    else:
        due = appointment["status"] == "pending"
    return await end(records, appointment, "expire", reason="The time to answer has passed.") if due else None


async def remind(records: Records, appointment: Resource, _data: dict[str, str]) -> Resource | None:
    """Timer: remind the citizen of an appointment that still stands, by a Communication."""
    if appointment["status"] != "booked":
        return None
    message: Resource = {
        "resourceType": "Communication",
        "status": "completed",
        "category": [{"text": "reminder"}],
        "subject": pointer(patient_of(appointment)),
        "about": [pointer(ref(appointment))],
        "sent": stamp(records.now),
        "payload": [{"contentString": f"یادآوری: نوبت شما در {appointment['start']} است."}],
    }
    saved = await records.save(message)
    records.tell("appointment-reminder", appointment, {"communication": ref(saved)})
    return saved


async def guard(records: Records, before: Resource | None, new: Resource) -> None:
    """Judge a plain REST write of an Appointment and write its effects: Slots are claimed and freed here too."""
    status, slots = str(new.get("status", "")), slots_of(new)
    if before is None:
        MACHINE.start(status)
        if status in CLAIMING:
            await claim(records, slots, _slot_status(status))
        return
    was = str(before["status"])
    facts = {"start": parse_instant(new["start"])} if "start" in new else {}
    MACHINE.follow(was, status, who=records.actor, now=records.now, facts=facts, subject=ref(before))
    if was not in CLAIMING and status == was and slots != slots_of(before):
        raise UnprocessableError(
            Text(
                f"An Appointment in state '{was}' keeps its Slots.", f"بازهٔ نوبتی که وضعیت «{was}» دارد تغییر نمی‌کند."
            ),
            expression=("Appointment.slot",),
        )
    held = slots_of(before) if was in CLAIMING else []
    wanted = slots if status in CLAIMING else []
    kind = _slot_status(status)
    await claim(records, [one for one in wanted if one not in held], kind)
    await _mark(records, [one for one in wanted if one in held], kind)
    if status not in _SPENT:
        await release(records, [one for one in held if one not in wanted])


def _slot_status(status: str) -> str:
    return "busy-tentative" if status in {"proposed", "pending"} else "busy"


async def followed(records: Records, before: Resource | None, saved: Resource) -> None:
    """After a plain write of an Appointment: timers and events, as the verbs have them."""
    status = saved["status"]
    if before is not None and before["status"] == status and slots_of(before) == slots_of(saved):
        return
    if status == "proposed":
        await _held(records, copy(saved))
    elif status == "pending":
        await _request(records, copy(saved), "pending")
    elif status == "booked":
        await booked(records, saved)
    else:
        records.tell(f"appointment-{'waitlisted' if status == 'waitlist' else status}", saved, {})


async def deleting(records: Records, appointment: Resource) -> None:
    """A deleted Appointment gives its Slots back."""
    if appointment["status"] in CLAIMING:
        await release(records, slots_of(appointment))
