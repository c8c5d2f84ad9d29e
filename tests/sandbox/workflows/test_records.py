"""The integrated record: summary document within what the caller may see, merges, the room page, access on record."""

from __future__ import annotations

import pytest

from tests.factories.exchange import World
from tests.sandbox.workflows.calls import DOCTOR, PATIENT, do, found, get, text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_summary_is_a_document_whose_references_all_resolve(clinic: World) -> None:
    async with clinic.client() as app:
        bundle = await get(app, "Patient/persona-elderly/$summary")
        assert bundle["type"] == "document"
        resources = [entry["resource"] for entry in bundle["entry"]]
        assert [r["resourceType"] for r in resources[:2]] == ["Composition", "Patient"]
        inside = {f"{r['resourceType']}/{r['id']}" for r in resources}
        sections = {s["code"]["coding"][0]["code"]: s for s in resources[0]["section"]}
        assert {"11450-4", "48765-2", "10160-0"} <= set(sections)
        assert len(sections["10160-0"]["entry"]) == 8 and "emptyReason" in sections["48765-2"]
        for section in sections.values():
            assert {e["reference"] for e in section.get("entry", ())} <= inside
            assert section["text"]["div"].startswith("<div xmlns=")
        assert all(entry["fullUrl"].endswith(f"/{entry['resource']['id']}") for entry in bundle["entry"])


async def test_a_summary_shows_nothing_that_consent_or_scope_keep(clinic: World) -> None:
    async with clinic.client() as app:
        bundle = await get(app, "Patient/persona-partial-consent/$summary")
        assert "F41.1" not in str(bundle) and "Observation" not in {
            e["resource"]["resourceType"] for e in bundle["entry"]
        }
        async with clinic.client(
            "system/Patient.r system/AllergyIntolerance.s", tenant=app.headers["x-tenant"]
        ) as narrow:
            few = await get(narrow, "Patient/persona-elderly/$summary")
            assert [e["resource"]["resourceType"] for e in few["entry"]] == ["Composition", "Patient"]
        assert (await app.get("Patient/nobody/$summary")).status_code == 404


async def test_a_duplicate_is_merged_once_and_both_records_say_so(clinic: World) -> None:
    async with clinic.client() as app:
        kept = await do(app, "Patient/persona-twin-b/$merge", into="Patient/persona-twin-a")
        assert kept["link"][-1] == {"other": {"reference": "Patient/persona-twin-b"}, "type": "replaces"}
        gone = await get(app, "Patient/persona-twin-b")
        assert gone["active"] is False and gone["link"][-1]["type"] == "replaced-by"
        again = await do(app, "Patient/persona-twin-b/$merge", 409, into="Patient/persona-healthy")
        assert "merged away already" in text_of(again)
        await do(app, "Patient/persona-healthy/$merge", 422, into="Patient/persona-healthy")


async def test_a_record_is_found_by_national_code_with_any_letters(clinic: World) -> None:
    async with clinic.client() as app:
        person = await get(app, "Patient/persona-letters")
        code = person["identifier"][0]
        form = {"identifier": f"{code['system']}|{code['value']}"}
        bundle = (await app.post("Patient/_search", data=form)).json()
        assert [e["resource"]["id"] for e in bundle["entry"]] == ["persona-letters"]
        assert [p["id"] for p in await found(app, "Patient?family=کیانی‌فر")] == ["persona-letters"]
        asked = {"resourceType": "Patient", "identifier": [code]}
        matched = await do(app, "Patient/$match", resource=asked)
        assert (
            matched["entry"][0]["resource"]["id"] == "persona-letters" and matched["entry"][0]["search"]["score"] >= 0.9
        )


async def test_the_room_page_opens_for_its_own_link_only(clinic: World) -> None:
    async with clinic.client() as app:
        asked = await do(app, "Task/$request-teleconsultation", patient=PATIENT, practitioner=DOCTOR, reason="cough")
        encounter = await get(app, asked["encounter"]["reference"])
        link = encounter["extension"][0]["valueUrl"].partition("/fhir/R4/")[2]
        page = await app.get(link)
        assert page.status_code == 200 and "شبیه‌سازی" in page.text and PATIENT in page.text
        assert (await app.get("Encounter/$room?room=guess")).status_code == 404
