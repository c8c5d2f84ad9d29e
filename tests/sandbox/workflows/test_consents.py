"""Consent on every way to data: reads, searches, includes, history; taken back, it is felt by the next call."""

from __future__ import annotations

import pytest

from tests.factories.exchange import World
from tests.sandbox.workflows.calls import PATIENT, advance, do, found, get, script, text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
CONDITION = "Condition/persona-withheld-f321"


async def test_what_a_citizen_withholds_vanishes_from_every_way_to_it(clinic: World) -> None:
    async with clinic.client() as app:
        for path in (CONDITION, f"{CONDITION}/_history", f"{CONDITION}/_history/1"):
            assert (await app.get(path)).status_code == 404, path
        for query in (
            "Condition?patient=Patient/persona-withheld",
            "Condition?code=F32.1",
            "Condition?_id=persona-withheld-f321",
            "Patient/persona-withheld/Condition",
            "Condition?subject:Patient.family=موسوی",
        ):
            assert await found(app, query) == [], query
        everything = await found(app, "Patient?_id=persona-withheld&_revinclude=Condition:patient")
        assert [r["resourceType"] for r in everything] == ["Patient"]
        assert await found(app, "Patient?_has:Condition:patient:code=F32.1") == []
        counted = await get(app, "Condition?code=F32.1&_summary=count")
        assert counted["total"] == 0
        changed = await app.put(CONDITION, json={"resourceType": "Condition", "id": "persona-withheld-f321"})
        assert changed.status_code == 404


async def test_categories_withheld_by_type_and_by_label(clinic: World) -> None:
    async with clinic.client() as app:
        subject = "patient=Patient/persona-partial-consent"
        assert await found(app, f"Observation?{subject}") == [], "laboratory is withheld"
        codes = [c["code"]["coding"][0]["code"] for c in await found(app, f"Condition?{subject}")]
        assert codes == ["I10"], "mental health is withheld by its label"
        assert (await app.get("Condition/persona-partial-consent-f411")).status_code == 404
        assert len(await found(app, "Coverage?beneficiary=Patient/persona-partial-consent")) == 1


async def test_breaking_the_glass_shows_all_for_four_hours_and_tells_the_citizen(clinic: World) -> None:
    async with clinic.client() as app:
        refused = await do(app, "Patient/persona-withheld/$break-glass", 422, reason="hurry")
        assert "at least ten characters" in text_of(refused)
        await do(app, "Patient/persona-withheld/$break-glass", reason="unconscious, brought in by ambulance")
        assert (await get(app, CONDITION))["id"] == "persona-withheld-f321"
        (note,) = await found(app, "Communication?patient=Patient/persona-withheld")
        assert "brought in by ambulance" in note["payload"][0]["contentString"]
        tenant = app.headers["x-tenant"]
        async with clinic.client(tenant=tenant, app="app-2", client_id="app-2") as other:
            assert (await other.get(CONDITION)).status_code == 404, "the glass is broken for one App only"
        await advance(clinic, app, hours=4)
        assert (await app.get(CONDITION)).status_code == 404


async def test_a_revoked_consent_is_felt_by_the_next_call(clinic: World) -> None:
    async with clinic.client() as app:
        lab = "Observation/persona-revoked-1558-6"
        assert (await app.get(lab)).status_code == 404
        granted = await do(app, "Consent/$request", patient="Patient/persona-revoked", purpose="TREAT")
        assert granted["status"] == "active", "the citizen grants at once"
        assert (await app.get(lab)).status_code == 200
        assert (await do(app, f"Consent/{granted['id']}/$revoke"))["status"] == "inactive"
        assert (await app.get(lab)).status_code == 404
        refused = await do(app, f"Consent/{granted['id']}/$revoke", 409)
        assert "This state is final." in text_of(refused)


async def test_a_consent_written_plainly_counts_and_so_does_its_end(clinic: World) -> None:
    async with clinic.client() as app:
        document = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
            },
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": PATIENT},
            "policyRule": {"coding": [{"code": "OPTIN"}]},
            "provision": {"type": "deny", "period": {"end": "2026-11-22T12:00:00Z"}},
        }
        observation = "Observation/persona-healthy-bp"
        assert (await app.get(observation)).status_code == 200
        made = await app.post("Consent", json=document)
        assert made.status_code == 201
        assert (await app.get(observation)).status_code == 404
        assert (await app.delete(f"Consent/{made.json()['id']}")).status_code in (200, 204)
        assert (await app.get(observation)).status_code == 200
        await app.post(
            "Consent", json=document | {"provision": {"type": "permit", "period": {"end": "2026-11-22T12:00:00Z"}}}
        )
        assert (await app.get(observation)).status_code == 200
        await advance(clinic, app, hours=4)
        assert (await app.get(observation)).status_code == 404, "the permit has ended"


@pytest.mark.parametrize(
    ("mode", "status", "observations"), [("accept", "active", 1), ("decline", "rejected", 0), ("silent", "proposed", 0)]
)
async def test_the_citizen_answers_as_the_script_says(clinic: World, mode: str, status: str, observations: int) -> None:
    async with clinic.client() as app:
        await script(clinic, app, citizen=mode)
        asked = await do(app, "Consent/$request", patient="Patient/persona-revoked", purpose="TREAT", days=30)
        assert asked["status"] == status
        assert len(await found(app, "Observation?patient=Patient/persona-revoked")) == observations


async def test_a_citizen_withholds_while_granting(clinic: World) -> None:
    async with clinic.client() as app:
        await script(clinic, app, citizen={"mode": "partial", "options": {"withhold": ["laboratory"]}})
        await do(app, "Consent/$request", patient="Patient/persona-revoked")
        assert await found(app, "Observation?patient=Patient/persona-revoked") == []
        unknown = await do(app, "Consent/$request", 422, patient=PATIENT, withhold=["dreams"])
        assert "Unknown category dreams" in text_of(unknown)
