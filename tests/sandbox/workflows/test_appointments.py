"""Appointments over REST, on both databases: from free Slot to visit, refused steps, races, clock and scripts."""

from __future__ import annotations

import asyncio

import pytest

from tests.factories.exchange import World
from tests.sandbox.workflows.calls import (
    DOCTOR,
    PATIENT,
    advance,
    do,
    found,
    free_slots,
    get,
    parameters,
    script,
    text_of,
    timeline,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_appointment_goes_from_free_slot_to_fulfilled(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app, count=20))[-1]
        held = await do(app, f"{slot}/$hold", patient=PATIENT)
        assert held["status"] == "proposed" and (await get(app, slot))["status"] == "busy-tentative"
        booked = await do(app, f"Appointment/{held['id']}/$book")
        assert booked["status"] == "booked", "the clinic confirms at once"
        assert (await get(app, slot))["status"] == "busy"
        await advance(clinic, app, days=6)
        assert (await do(app, f"Appointment/{held['id']}/$check-in"))["status"] == "checked-in"
        assert (await do(app, f"Appointment/{held['id']}/$fulfil"))["status"] == "fulfilled"
        history = await get(app, f"Appointment/{held['id']}/_history")
        assert [e["resource"]["status"] for e in history["entry"]] == [
            "fulfilled",
            "checked-in",
            "booked",
            "pending",
            "proposed",
        ]
        assert (await timeline(clinic, app))[:3] == ["appointment-held", "appointment-requested", "appointment-booked"]
        assert "appointment-reminder" in await timeline(clinic, app)


async def test_an_illegal_step_is_refused_with_state_step_and_ways_out(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[0]
        held = await do(app, f"{slot}/$hold", patient=PATIENT)
        refused = await do(app, f"Appointment/{held['id']}/$check-in", 409)
        assert "is in state 'proposed': 'check-in' is not possible" in text_of(refused)
        await do(app, f"Appointment/{held['id']}/$cancel", reason="changed my mind")
        refused = await do(app, f"Appointment/{held['id']}/$book", 409)
        assert "This state is final." in text_of(refused)
        early = await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        assert "has not begun" in text_of(await do(app, f"Appointment/{early['id']}/$no-show", 409))


async def test_of_many_racing_bookings_of_a_slot_exactly_one_wins(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[0]
        body = parameters(slot=slot, patient=PATIENT)
        answers = await asyncio.gather(*(app.post("Appointment/$book", json=body) for _ in range(8)))
        assert sorted(a.status_code for a in answers) == [200] + [409] * 7
        booked = await found(app, f"Appointment?slot={slot}&status=booked")
        assert len(booked) == 1


async def test_racing_plain_creates_of_one_slot_have_one_winner_too(clinic: World) -> None:
    async with clinic.client() as app:
        slot = await get(app, (await free_slots(app))[0])
        people = [{"actor": {"reference": PATIENT}, "status": "accepted"}]
        body = {"resourceType": "Appointment", "status": "booked", "participant": people, "start": slot["start"]}
        body |= {"end": slot["end"], "slot": [{"reference": f"Slot/{slot['id']}"}]}
        answers = await asyncio.gather(*(app.post("Appointment", json=body) for _ in range(6)))
        assert sorted(a.status_code for a in answers) == [201] + [409] * 5
        assert (await get(app, f"Slot/{slot['id']}"))["status"] == "busy"


async def test_a_plain_put_that_cancels_frees_the_slot_and_an_illegal_one_is_refused(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[0]
        booked = await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        answer = await app.put(f"Appointment/{booked['id']}", json=booked | {"status": "cancelled"})
        assert answer.status_code == 200 and (await get(app, slot))["status"] == "free"
        answer = await app.put(f"Appointment/{booked['id']}", json=booked | {"status": "booked"})
        assert answer.status_code == 409 and "This state is final." in text_of(answer.json())


async def test_a_transaction_that_takes_a_slot_twice_takes_nothing(clinic: World) -> None:
    async with clinic.client() as app:
        slot = await get(app, (await free_slots(app))[0])
        people = [{"actor": {"reference": PATIENT}, "status": "accepted"}]
        body = {"resourceType": "Appointment", "status": "proposed", "participant": people}
        body |= {"slot": [{"reference": f"Slot/{slot['id']}"}]}
        entry = {"resource": body, "request": {"method": "POST", "url": "Appointment"}}
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry, entry]}
        answer = await app.post("", json=bundle)
        assert answer.status_code == 409 and (await get(app, f"Slot/{slot['id']}"))["status"] == "free"


async def test_a_hold_ends_on_the_tenants_clock_and_the_slot_is_free(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[2]
        held = await do(app, f"{slot}/$hold", patient=PATIENT)
        await advance(clinic, app, minutes=9)
        assert (await get(app, slot))["status"] == "busy-tentative"
        assert (await advance(clinic, app, minutes=1))["timers"] == 1
        assert (await get(app, slot))["status"] == "free"
        assert (await get(app, f"Appointment/{held['id']}"))["status"] == "cancelled"


async def test_rescheduling_frees_the_old_slot_for_the_waiting_list(clinic: World) -> None:
    async with clinic.client() as app:
        first, second, *_ = await free_slots(app)
        booked = await do(app, "Appointment/$book", slot=first, patient=PATIENT)
        waiting = await do(app, "Schedule/persona-schedule-family/$wait", patient="Patient/persona-elderly")
        assert waiting["status"] == "waitlist"
        moved = await do(app, f"Appointment/{booked['id']}/$reschedule", slot=second)
        assert moved["status"] == "booked" and moved["slot"][0]["reference"] == second
        offered = await get(app, f"Appointment/{waiting['id']}")
        assert offered["status"] == "proposed" and offered["slot"][0]["reference"] == first
        assert (await get(app, first))["status"] == "busy-tentative"


@pytest.mark.parametrize(
    ("mode", "status"),
    [
        ("accept", "booked"),
        ("decline", "cancelled"),
        ("partial", "booked"),
        ("silent", "pending"),
        ("error", "cancelled"),
        ("delay", "pending"),
    ],
)
async def test_the_clinic_answers_as_its_script_says(clinic: World, mode: str, status: str) -> None:
    async with clinic.client() as app:
        await script(clinic, app, clinic=mode)
        slot = (await free_slots(app))[0]
        booked = await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        assert booked["status"] == status
        if mode == "partial":
            assert booked["slot"][0]["reference"] != slot
        if mode == "delay":
            await advance(clinic, app, hours=1)
            assert (await get(app, f"Appointment/{booked['id']}"))["status"] == "booked"
        if mode == "silent":
            await advance(clinic, app, hours=24)
            assert (await get(app, f"Appointment/{booked['id']}"))["status"] == "cancelled"


async def test_slots_follow_irans_week(clinic: World) -> None:
    async with clinic.client() as app:
        slots = await found(app, "Slot?schedule=Schedule/persona-schedule-family&_count=200")
        assert 60 < len(slots) < 90
        assert all("جمعه" not in slot["comment"] for slot in slots)
        assert {slot["start"][-6:] for slot in slots} == {"+03:30"}
        here = await found(app, "Schedule?actor=Practitioner/persona-dr-family")
        assert [s["id"] for s in here] == ["persona-schedule-family"]


async def test_an_operation_names_what_is_wrong_with_its_input(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[0]
        for named, status, words in (
            ({}, 400, "'patient' (reference) is required"),
            ({"patient": PATIENT, "colour": "blue"}, 400, "Unknown parameter 'colour'"),
            ({"patient": "Patient/nobody"}, 422, "must reference an existing Patient"),
            ({"patient": DOCTOR}, 422, "must reference an existing Patient"),
        ):
            refused = await do(app, f"{slot}/$hold", status, **named)
            assert words in text_of(refused)
        assert (await app.post(f"{slot}/$hold", json={"resourceType": "Patient"})).status_code == 400
        assert (await app.get(f"{slot}/$hold")).status_code == 405
        assert (await app.post("Slot/nobody/$hold", json={"resourceType": "Parameters"})).status_code in (400, 404)
        unknown = await app.post(f"{slot}/$grab", json={"resourceType": "Parameters"})
        assert unknown.status_code == 404 and "$hold" in unknown.text


async def test_a_token_needs_the_scopes_that_an_operation_writes(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[0]
        tenant = app.headers["x-tenant"]
        async with clinic.client("system/Slot.rs system/Patient.rs", tenant=tenant) as reader:
            refused = await do(reader, f"{slot}/$hold", 403, patient=PATIENT)
            assert "no scope for creating Appointment" in text_of(refused)
        narrow = "patient/Appointment.cruds system/Slot.rs"
        async with clinic.client(narrow, tenant=tenant, patient="persona-elderly") as citizen:
            await do(citizen, f"{slot}/$hold", 403, patient=PATIENT)
            assert (await get(app, slot))["status"] == "free", "a refused operation leaves nothing behind"
            assert (await do(citizen, f"{slot}/$hold", patient="Patient/persona-elderly"))["status"] == "proposed"
