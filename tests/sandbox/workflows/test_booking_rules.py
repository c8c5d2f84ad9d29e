"""Booking over records in memory: no Slot is ever held twice, none is lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.fhir.outcomes import ConflictError, FhirError
from sandbox.workflows import booking
from sandbox.workflows.records import ref
from tests.sandbox.workflows.memory import NOW, MemoryRecords, patient, practitioner, schedule, slot


def world(slots: int = 3) -> MemoryRecords:
    people = [patient("p1"), patient("p2"), practitioner(), schedule()]
    return MemoryRecords(NOW, *people, *(slot(f"s{n}", hours=24 * n + 30) for n in range(slots)))


def check_slots(records: MemoryRecords) -> None:
    """A Slot is taken by exactly one claiming Appointment, and free when by none."""
    claims: dict[str, list[str]] = {}
    for appointment in records.all("Appointment"):
        if appointment["status"] in booking.CLAIMING:
            for reference in booking.slots_of(appointment):
                claims.setdefault(reference, []).append(appointment["status"])
    past = {
        s for a in records.all("Appointment") if a["status"] in {"noshow", "fulfilled"} for s in booking.slots_of(a)
    }
    for item in records.all("Slot"):
        held = claims.get(ref(item), [])
        assert len(held) <= 1, (item, held)
        if held:
            assert item["status"] == ("busy-tentative" if held[0] in {"proposed", "pending"} else "busy")
        elif ref(item) not in past:
            assert item["status"] == "free"


async def act(records: MemoryRecords, name: str, which: int, slot_number: int) -> None:
    appointments = records.all("Appointment")
    target = f"Slot/s{slot_number}"
    if name == "hold":
        await booking.hold(records, slot=target, patient="Patient/p1")
        return
    if name == "wait":
        await booking.wait(records, schedule="Schedule/sch1", patient="Patient/p2")
        return
    if not appointments:
        return
    one = appointments[which % len(appointments)]
    if name == "book":
        await booking.book(records, one)
    elif name == "confirm":
        await booking.confirm(records, one)
    elif name == "reschedule":
        await booking.reschedule(records, one, slot=target)
    elif name in {"cancel", "decline", "retract"}:
        await booking.end(records, one, name)
    elif name in {"arrive", "check-in", "fulfil", "no-show"}:
        await booking.attend(records, one, name)
    elif name == "put":
        new = {**one, "status": ("booked", "cancelled", "pending", "noshow")[slot_number % 4]}
        await booking.guard(records, one, new)
        await records.save(new)
    elif name == "advance":
        await advance(records)


async def advance(records: MemoryRecords) -> None:
    records.advance(timedelta(hours=13))
    due, records.timers = (
        [t for t in records.timers if t[0] <= records.now],
        [t for t in records.timers if t[0] > records.now],
    )
    from sandbox.workflows.task_machine import Actor

    records.actor = Actor.CLOCK
    for _, verb, subject, data in due:
        run = booking.expire if verb == "booking.expire" else booking.remind
        await run(records, records.resources[subject], data)
    records.actor = Actor.APP


STEPS = (
    "hold", "wait", "book", "confirm", "reschedule", "cancel", "decline", "retract",
    "arrive", "check-in", "fulfil", "no-show", "put", "advance",
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 6), st.integers(0, 2)), max_size=25))
async def test_no_slot_is_lost_or_doubled_by_any_sequence(steps: list[tuple[str, int, int]]) -> None:
    records = world()
    for step in steps:
        before = {name: dict(body) for name, body in records.resources.items()}
        try:
            await act(records, *step)
        except FhirError:
            records.resources = before  # the exchange rolls a refused transaction back
        check_slots(records)


async def test_the_second_of_two_bookings_is_refused_and_names_the_way_out() -> None:
    records = world()
    await booking.take(records, slot="Slot/s0", patient="Patient/p1")
    with pytest.raises(ConflictError, match="Search Slot\\?status=free"):
        await booking.take(records, slot="Slot/s0", patient="Patient/p2")


async def test_a_freed_slot_is_held_for_whoever_waits_longest() -> None:
    records = world()
    booked = await booking.confirm(records, await booking.take(records, slot="Slot/s0", patient="Patient/p1"))
    waiting = await booking.wait(records, schedule="Schedule/sch1", patient="Patient/p2")
    await booking.end(records, booked, "cancel", reason="cannot come")
    offered: dict[str, Any] = records.resources[ref(waiting)]
    assert offered["status"] == "proposed" and booking.slots_of(offered) == ["Slot/s0"]
    assert records.resources["Slot/s0"]["status"] == "busy-tentative"


async def test_a_hold_ends_after_ten_minutes_even_before_its_timer_runs() -> None:
    records = world()
    held = await booking.hold(records, slot="Slot/s0", patient="Patient/p1")
    records.advance(timedelta(minutes=10))
    with pytest.raises(ConflictError, match="hold the Slot again"):
        await booking.book(records, held)


async def test_a_no_show_before_the_appointment_began_is_refused() -> None:
    records = world()
    booked = await booking.confirm(records, await booking.take(records, slot="Slot/s0", patient="Patient/p1"))
    with pytest.raises(ConflictError, match="has not begun"):
        await booking.attend(records, booked, "no-show")


async def test_a_citizen_is_reminded_a_day_before() -> None:
    records = world()
    await booking.confirm(records, await booking.take(records, slot="Slot/s1", patient="Patient/p1"))
    for _ in range(3):
        await advance(records)
    assert [c["subject"]["reference"] for c in records.all("Communication")] == ["Patient/p1"]


async def test_who_is_there_already_may_be_seen_before_the_hour() -> None:
    records = world()
    booked = await booking.confirm(records, await booking.take(records, slot="Slot/s0", patient="Patient/p1"))
    with pytest.raises(ConflictError, match="has not begun"):
        await booking.attend(records, booked, "fulfil")
    arrived = await booking.attend(records, booked, "arrive")
    assert (await booking.attend(records, arrived, "fulfil"))["status"] == "fulfilled"
