"""Teleconsultation and referral over REST, with doctors and specialists that answer by their scripts."""

from __future__ import annotations

import base64

import pytest

from tests.factories.exchange import World
from tests.sandbox.workflows.calls import DOCTOR, PATIENT, advance, do, found, get, parameters, script, text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
HEART = "Practitioner/persona-dr-cardiology"


async def test_a_teleconsultation_goes_from_request_to_summary_and_follow_up(clinic: World) -> None:
    async with clinic.client() as app:
        asked = await do(app, "Task/$request-teleconsultation", patient=PATIENT, practitioner=DOCTOR, reason="سردرد")
        assert asked["status"] == "accepted", "the doctor accepts at once"
        path, encounter = f"Task/{asked['id']}", asked["encounter"]["reference"]
        room = next(e["valueUrl"] for e in (await get(app, encounter))["extension"])
        assert "/Encounter/$room?room=" in room
        assert (await do(app, f"{path}/$start"))["status"] == "in-progress"
        assert (await get(app, encounter))["status"] == "in-progress"
        picture = {"contentType": "image/png", "data": base64.b64encode(b"x-ray").decode()}
        body = parameters(text="از دیروز", sender=PATIENT)
        body["parameter"].append({"name": "attachment", "valueAttachment": picture})
        assert (await app.post(f"{path}/$say", json=body)).status_code == 200
        talk = await found(app, f"Communication?encounter={encounter}&_sort=sent")
        assert {t["sender"]["reference"] for t in talk} == {DOCTOR, PATIENT}
        done = await do(app, f"{path}/$finish", summary="میگرن؛ درمان داده شد.", followUp="آزمایش خون")
        assert done["status"] == "completed" and (await get(app, encounter))["status"] == "finished"
        note = await get(app, done["output"][0]["valueReference"]["reference"])
        assert base64.b64decode(note["content"][0]["attachment"]["data"]).decode() == "میگرن؛ درمان داده شد."
        assert (await get(app, done["output"][1]["valueReference"]["reference"]))["resourceType"] == "ServiceRequest"
        assert "'completed'" in text_of(await do(app, f"{path}/$say", 409, text="one more thing"))


@pytest.mark.parametrize(
    ("mode", "status"),
    [("decline", "rejected"), ("error", "rejected"), ("silent", "requested"), ("partial", "accepted")],
)
async def test_the_doctor_answers_as_the_script_says(clinic: World, mode: str, status: str) -> None:
    async with clinic.client() as app:
        await script(clinic, app, doctor=mode)
        asked = await do(app, "Task/$request-teleconsultation", patient=PATIENT, practitioner=DOCTOR, reason="cough")
        assert asked["status"] == status
        if mode == "silent":
            await advance(clinic, app, minutes=30)
            failed = await get(app, f"Task/{asked['id']}")
            assert failed["status"] == "failed" and "time to answer" in failed["statusReason"]["text"]
        if mode == "decline":
            refused = await do(app, f"Task/{asked['id']}/$start", 409)
            assert "'rejected': 'start' is not possible" in text_of(refused)


async def test_a_plain_write_follows_the_same_machine(clinic: World) -> None:
    async with clinic.client() as app:
        await script(clinic, app, doctor="silent")
        asked = await do(app, "Task/$request-teleconsultation", patient=PATIENT, practitioner=DOCTOR, reason="cough")
        path = f"Task/{asked['id']}"
        refused = await app.put(path, json=asked | {"status": "completed"})
        assert refused.status_code == 409 and "Allowed now: accept, decline, cancel" in text_of(refused.json())
        assert (await app.put(path, json=asked | {"status": "accepted"})).status_code == 422, (
            "accepting writes an Encounter"
        )
        assert (await app.put(path, json=asked | {"status": "cancelled"})).status_code == 200


async def test_a_referral_is_accepted_and_answered_a_day_later(clinic: World) -> None:
    async with clinic.client() as app:
        sent = await do(app, "Task/$refer", patient=PATIENT, requester=DOCTOR, to=HEART, reason="murmur")
        assert sent["status"] == "accepted"
        await advance(clinic, app, days=1)
        done = await get(app, f"Task/{sent['id']}")
        assert done["status"] == "completed"
        answer = await get(app, done["output"][0]["valueReference"]["reference"])
        assert answer["recipient"][0]["reference"] == DOCTOR and answer["sender"]["reference"] == HEART
        assert (await get(app, sent["focus"]["reference"]))["status"] == "completed"


async def test_a_rejected_or_unanswered_referral_revokes_its_order(clinic: World) -> None:
    async with clinic.client() as app:
        await script(clinic, app, specialist="decline")
        sent = await do(app, "Task/$refer", patient=PATIENT, requester=DOCTOR, to=HEART, reason="murmur")
        assert sent["status"] == "rejected" and (await get(app, sent["focus"]["reference"]))["status"] == "revoked"
        await script(clinic, app, specialist="silent")
        sent = await do(app, "Task/$refer", patient=PATIENT, requester=DOCTOR, to=HEART, reason="murmur")
        await advance(clinic, app, days=7)
        assert (await get(app, f"Task/{sent['id']}"))["status"] == "failed"
        assert "no referral" not in text_of(await do(app, f"Task/{sent['id']}/$answer", 409, answer="late"))
