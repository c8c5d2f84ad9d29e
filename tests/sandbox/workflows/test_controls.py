"""Tenant controls: faults, clock, scripts, timeline; and that snapshots take the Workflows' state along."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.factories.exchange import World, tenant_of
from tests.sandbox.workflows.calls import DOCTOR, PATIENT, advance, do, drug, found, free_slots, get, timeline

EXPIRED = 'Bearer error="invalid_token", error_description="The access token expired"'
pytestmark = pytest.mark.asyncio(loop_scope="session")


async def plan(clinic: World, app: httpx.AsyncClient, *faults: dict[str, Any], expect: int = 200) -> dict[str, Any]:
    await app.get("Patient/persona-healthy")
    async with clinic.admin() as admin:
        answer = await admin.put(f"tenants/{tenant_of(app)}/faults", json={"faults": list(faults)})
    assert answer.status_code == expect, answer.text
    body: dict[str, Any] = answer.json()
    return body


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        ({"kind": "status", "status": 500}, 500, None),
        ({"kind": "status", "status": 409}, 409, None),
        ({"kind": "burst", "seconds": 7}, 429, ("retry-after", "7")),
        ({"kind": "expired-token"}, 401, ("www-authenticate", EXPIRED)),
        ({"kind": "down"}, 503, ("retry-after", "1")),
    ],
)  # fmt: skip
async def test_each_error_fault_answers_as_the_real_thing_would(
    clinic: World, fault: dict[str, Any], status: int, header: tuple[str, str] | None
) -> None:
    async with clinic.client() as app:
        await plan(clinic, app, fault | {"route": "Patient/*", "left": 1})
        answer = await app.get(PATIENT)
        assert answer.status_code == status and answer.json()["resourceType"] == "OperationOutcome"
        if header:
            assert answer.headers[header[0]] == header[1]
        assert (await app.get(PATIENT)).status_code == 200, "it was planned for one call"


async def test_a_write_whose_answer_is_lost_took_effect_and_a_keyed_retry_does_not_double_it(clinic: World) -> None:
    async with clinic.client() as app:
        await plan(clinic, app, {"kind": "timeout", "route": "*/$prescribe", "method": "POST", "left": 1})
        named = {"patient": PATIENT, "prescriber": DOCTOR, "item": [drug("metformin")], "key": "once"}
        await do(app, "RequestGroup/$prescribe", 504, **named)
        await do(app, "RequestGroup/$prescribe", **named)
        assert len(await found(app, f"RequestGroup?patient={PATIENT}")) == 1


async def test_faults_are_counted_skipped_scheduled_and_bound_to_their_route(clinic: World) -> None:
    async with clinic.client() as app:
        await plan(
            clinic, app, {"kind": "status", "status": 500, "route": "Slot*", "method": "GET", "skip": 2, "left": 2}
        )
        assert (await app.get(PATIENT)).status_code == 200
        assert [(await app.get("Slot?_count=1")).status_code for _ in range(5)] == [200, 200, 500, 500, 200]
        assert (await timeline(clinic, app)).count("fault") == 2
        await plan(clinic, app, {"kind": "down", "starts": "2026-11-25T00:00:00Z", "ends": "2026-11-26T00:00:00Z"})
        assert (await app.get(PATIENT)).status_code == 200
        await advance(clinic, app, days=3)
        assert (await app.get(PATIENT)).status_code == 503
        await advance(clinic, app, days=1)
        assert (await app.get(PATIENT)).status_code == 200
        async with clinic.client() as other:
            await plan(clinic, app, {"kind": "down"})
            assert (await other.get(PATIENT)).status_code == 200, "another Tenant's plan is its own"


async def test_half_a_body_is_what_truncation_sends(clinic: World) -> None:
    async with clinic.client() as app:
        whole = (await app.get(PATIENT)).content
        await plan(clinic, app, {"kind": "truncated", "route": "Patient/*", "left": 1})
        assert (await app.get(PATIENT)).content == whole[: len(whole) // 2]


async def test_a_share_of_requests_fails_evenly_spread(clinic: World) -> None:
    async with clinic.client() as app:
        await plan(clinic, app, {"kind": "down", "route": "Patient/*", "probability": 0.25, "left": 2})
        seen = [(await app.get(PATIENT)).status_code for _ in range(12)]
        assert [n for n, status in enumerate(seen, 1) if status == 503] == [4, 8], seen


async def test_half_an_xml_body_and_half_a_pretty_one_are_halves_too(clinic: World) -> None:
    async with clinic.client() as app:
        whole = (await app.get(PATIENT, headers={"accept": "application/fhir+xml"})).text
        await plan(clinic, app, {"kind": "truncated", "route": "Patient/*"})
        cut = await app.get(PATIENT, headers={"accept": "application/fhir+xml"})
        assert cut.status_code == 200 and whole.startswith(cut.text) and 0 < len(cut.text) < len(whole)
        pretty = await app.get(f"{PATIENT}?_pretty=true")
        assert pretty.status_code == 200
        with pytest.raises(ValueError):
            pretty.json()


async def test_restore_brings_the_clock_back_and_reset_sets_it_to_real_time(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app, count=20))[-1]
        held = await do(app, f"{slot}/$hold", patient=PATIENT)
        base = f"tenants/{tenant_of(app)}"
        async with clinic.admin() as admin:
            kept = (await admin.post(f"{base}/snapshots", json={"name": "held"})).json()["snapshot"]
            await advance(clinic, app, days=2)
            assert (await get(app, f"Appointment/{held['id']}"))["status"] == "cancelled"
            await admin.post(f"{base}/restore", json={"snapshot": kept})
            assert clinic.app.workflows is not None
            await clinic.app.workflows.run_timers()
            assert (await get(app, f"Appointment/{held['id']}"))["status"] == "proposed", (
                "nothing fell due by restoring"
            )
            assert (await admin.get(f"{base}/clock")).json()["offset_seconds"] == 0
            await advance(clinic, app, days=3)
            await admin.post(f"{base}/reset")
            assert (await admin.get(f"{base}/clock")).json()["offset_seconds"] == 0


async def test_the_timeline_is_narrowed_by_topic_actor_and_subject(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app))[0]
        booked = await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        base = f"tenants/{tenant_of(app)}/timeline"
        async with clinic.admin() as admin:

            async def topics(query: str) -> list[str]:
                return [event["topic"] for event in (await admin.get(f"{base}?{query}")).json()["events"]]

            assert await topics("topic=appointment") == [
                "appointment-booked",
                "appointment-requested",
                "appointment-held",
            ]
            assert await topics("topic=appointment-booked") == ["appointment-booked"]
            assert await topics("topic=app") == [] and await topics("topic=%25") == []
            assert await topics("actor=counterpart") == ["appointment-booked"]
            assert len(await topics(f"subject=Appointment/{booked['id']}")) == 3
            assert await topics("subject=Slot") == [] and len(await topics("subject=Appointment")) == 3
        own = (await app.get("$sandbox-timeline?actor=counterpart")).json()["events"]
        assert [event["topic"] for event in own] == ["appointment-booked"]


async def test_a_fork_takes_an_open_tenants_place_only_when_told(clinic: World) -> None:
    async with clinic.client() as app, clinic.client() as other:
        made = (await app.post("Basic", json={"resourceType": "Basic", "code": {"text": "mine"}})).json()["id"]
        await get(other, PATIENT)
        base = f"tenants/{tenant_of(app)}/fork"
        async with clinic.admin() as admin:
            assert (await admin.post(base, json={"tenant": tenant_of(other)})).status_code == 409
            assert (await admin.post(base, json={"tenant": tenant_of(app), "replace": True})).status_code == 422
            assert (await admin.post(base, json={"tenant": tenant_of(other), "replace": True})).status_code == 201
        assert (await other.get(f"Basic/{made}")).status_code == 200
        await other.delete(f"Basic/{made}")
        assert (await app.get(f"Basic/{made}")).status_code == 200, "the two go their own ways after"


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"kind": "gremlins"}, "kind is one of"),
        ({"kind": "status", "status": 200}, "error status"),
        ({"kind": "latency", "seconds": 9999}, "seconds is a number from 0 to 120"),
        ({"kind": "down", "starts": "tomorrow"}, "instant with a zone"),
        ({"kind": "down", "colour": 1}, "unknown field 'colour'"),
        ({"kind": "down", "probability": 0}, "more than 0"),
        ({"kind": "down", "probability": 1.5}, "probability is a number from 0 to 1"),
        ({"kind": "down", "route": ""}, "route is a text"),
        ({"kind": "down", "left": "many"}, "left is a whole number"),
    ],
)
async def test_a_plan_that_cannot_be_followed_is_refused(clinic: World, fault: dict[str, Any], words: str) -> None:
    async with clinic.client() as app:
        assert words in (await plan(clinic, app, fault, expect=422))["detail"]


async def test_scripts_and_clock_refuse_what_they_do_not_know(clinic: World) -> None:
    async with clinic.client() as app:
        await get(app, PATIENT)
        base = f"tenants/{tenant_of(app)}"
        async with clinic.admin() as admin:
            for body, words in (
                ({"counterparts": {"florist": {"mode": "accept"}}}, "no Counterpart 'florist'"),
                ({"counterparts": {"clinic": {"mode": "dance"}}}, "mode is one of"),
                ({"counterparts": []}, "scripts are an object"),
            ):
                refused = await admin.put(f"{base}/counterparts", json=body)
                assert refused.status_code == 422 and words in refused.json()["detail"]
            for clock in ({"advance_seconds": -1}, {"advance_seconds": "1"}, {"to": "2020-01-01T00:00:00Z"}, {}):
                assert (await admin.post(f"{base}/clock", json=clock)).status_code == 422
            assert (await admin.get("tenants/nobody/timeline")).status_code == 404
            shown = (await admin.get(f"{base}/counterparts")).json()["counterparts"]
            assert shown["pharmacy"]["mode"] == "silent" and shown["clinic"]["mode"] == "accept"


async def test_a_snapshot_takes_timers_along_and_a_reset_forgets_them(clinic: World) -> None:
    async with clinic.client() as app:
        slot = (await free_slots(app, count=20))[-1]
        held = await do(app, f"{slot}/$hold", patient=PATIENT)
        base = f"tenants/{tenant_of(app)}"
        async with clinic.admin() as admin:
            snapshot = (await admin.post(f"{base}/snapshots", json={"name": "held"})).json()["snapshot"]
            await do(app, f"Appointment/{held['id']}/$cancel")
            assert (await admin.post(f"{base}/restore", json={"snapshot": snapshot})).status_code == 200
        assert (await get(app, f"Appointment/{held['id']}"))["status"] == "proposed"
        assert (await timeline(clinic, app)) == ["appointment-held"]
        assert (await advance(clinic, app, minutes=10))["timers"] == 1
        assert (await get(app, slot))["status"] == "free"
        async with clinic.admin() as admin:
            await admin.post(f"{base}/reset")
        assert (await advance(clinic, app, days=1))["timers"] == 0 and await timeline(clinic, app) == []


async def test_an_app_drives_its_own_tenant_with_its_own_token(clinic: World) -> None:
    async with clinic.client() as app:
        scripts = {"counterparts": {"clinic": {"mode": "silent"}}}
        assert (await app.post("$sandbox-counterparts", json=scripts)).json()["counterparts"]["clinic"][
            "mode"
        ] == "silent"
        slot = (await free_slots(app))[0]
        booked = await do(app, "Appointment/$book", slot=slot, patient=PATIENT)
        assert booked["status"] == "pending"
        ran = (await app.post("$sandbox-clock", json={"advance_seconds": 86_400})).json()
        assert ran["timers"] >= 1 and (await get(app, f"Appointment/{booked['id']}"))["status"] == "cancelled"
        assert (await app.post("$sandbox-faults", json={"faults": [{"kind": "down"}]})).status_code == 200
        assert (await app.get(PATIENT)).status_code == 503
        assert (await app.post("$sandbox-faults", json={"faults": []})).status_code == 200, (
            "the way out is never blocked"
        )
        assert (await app.get(PATIENT)).status_code == 200
        assert (await app.get("$sandbox-timeline")).json()["events"][0]["topic"] == "fault"
        assert (await app.post("$sandbox-clock", json={"advance_seconds": "soon"})).status_code == 422
        assert (await app.post("$sandbox-reset", json={})).status_code == 200
        assert (await app.get(f"Appointment/{booked['id']}")).status_code == 404
        async with clinic.client(
            "patient/*.rs", tenant=tenant_of(app), patient="persona-healthy", sub="someone"
        ) as citizen:
            assert (await citizen.get("$sandbox-clock")).status_code == 403
