"""E-prescription, pharmacy and insurance over REST: the whole way, retries, races, plain writes, scripts."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from tests.factories.exchange import World
from tests.sandbox.workflows.calls import (
    DOCTOR,
    PATIENT,
    PHARMACY,
    PHARMACY_2,
    advance,
    do,
    drug,
    found,
    get,
    parameters,
    script,
    text_of,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")
STATE = "https://gozar.example/fhir/CodeSystem/workflow-state"
CODE = "https://gozar.example/fhir/sid/prescription-code"


def state(group: dict[str, Any]) -> str:
    return next(str(tag["code"]) for tag in group["meta"]["tag"] if tag["system"] == STATE)


async def prescribe(
    app: httpx.AsyncClient, *items: dict[str, Any], patient: str = PATIENT, **more: Any
) -> dict[str, Any]:
    return await do(app, "RequestGroup/$prescribe", patient=patient, prescriber=DOCTOR, item=list(items), **more)


async def issue(app: httpx.AsyncClient, *items: dict[str, Any], patient: str = PATIENT) -> dict[str, Any]:
    draft = await prescribe(app, *items, patient=patient)
    await do(app, f"RequestGroup/{draft['id']}/$sign", signer=DOCTOR)
    return await do(app, f"RequestGroup/{draft['id']}/$issue")


def line(group: dict[str, Any], quantity: int, number: int = 0) -> dict[str, Any]:
    return {"parts": {"request": group["action"][number]["resource"]["reference"], "quantity": quantity}}


async def test_a_prescription_is_written_signed_issued_found_and_dispensed(clinic: World) -> None:
    async with clinic.client() as app:
        group = await issue(app, drug("amoxicillin", 21, times=3), drug("famotidine"))
        code = next(i["value"] for i in group["identifier"] if i["system"] == CODE)
        assert state(group) == "issued" and group["status"] == "active" and len(code) == 8
        national = (await get(app, PATIENT))["identifier"][0]["value"]
        answer = await do(app, "RequestGroup/$find-prescription", nationalCode=national, prescriptionCode=code)
        assert [p["name"] for p in answer["parameter"]] == ["prescription", "item", "item"]
        await do(app, "RequestGroup/$find-prescription", 404, nationalCode="0000000000", prescriptionCode=code)
        path = f"RequestGroup/{group['id']}"
        await do(app, f"{path}/$dispense", pharmacy=PHARMACY, key="one", item=[line(group, 21), line(group, 10, 1)])
        assert state(await get(app, path)) == "partially-dispensed"
        refused = await do(app, f"{path}/$dispense", 409, pharmacy=PHARMACY, key="two", item=[line(group, 21, 1)])
        assert "20 may be handed over now" in text_of(refused)
        await do(app, f"{path}/$dispense", pharmacy=PHARMACY, key="three", item=[line(group, 20, 1)])
        done = await get(app, path)
        assert state(done) == "dispensed" and done["status"] == "completed"
        items = await found(app, f"MedicationRequest?patient={PATIENT}&status=completed")
        assert len([i for i in items if {"reference": path} in i.get("supportingInformation", [])]) == 2
        dispense = (await found(app, f"MedicationDispense?prescription={group['action'][0]['resource']['reference']}"))[
            0
        ]
        await do(app, f"MedicationDispense/{dispense['id']}/$return", reason="wrong box")
        assert state(await get(app, path)) == "partially-dispensed"


async def test_a_retried_call_changes_nothing_a_second_time(clinic: World) -> None:
    async with clinic.client() as app:
        first = await prescribe(app, drug("metformin"), key="visit-7")
        assert (await prescribe(app, drug("metformin"), key="visit-7"))["id"] == first["id"]
        path = f"RequestGroup/{first['id']}"
        for verb in ("$sign", "$sign"):
            signed = await do(app, f"{path}/{verb}", signer=DOCTOR)
        issued = [await do(app, f"{path}/$issue") for _ in range(2)]
        assert state(signed) == "signed" and issued[0] == issued[1]
        body = parameters(pharmacy=PHARMACY, key="till-3", item=[line(first, 30)])
        answers = await asyncio.gather(*(app.post(f"{path}/$dispense", json=body) for _ in range(4)))
        assert {a.status_code for a in answers} == {200} and len({a.content for a in answers}) == 1
        request = first["action"][0]["resource"]["reference"]
        assert len(await found(app, f"MedicationDispense?prescription={request}")) == 1


async def test_of_two_pharmacies_dispensing_at_once_exactly_one_hands_over(clinic: World) -> None:
    async with clinic.client() as app:
        group = await issue(app, drug("metformin"))
        bodies = [parameters(pharmacy=p, key=f"race-{p}", item=[line(group, 30)]) for p in (PHARMACY, PHARMACY_2)]
        path = f"RequestGroup/{group['id']}/$dispense"
        answers = await asyncio.gather(*(app.post(path, json=body) for body in bodies))
        assert sorted(a.status_code for a in answers) == [200, 409]
        request = group["action"][0]["resource"]["reference"]
        assert len(await found(app, f"MedicationDispense?prescription={request}")) == 1


async def test_of_signing_and_cancelling_at_once_exactly_one_wins(clinic: World) -> None:
    async with clinic.client() as app:
        for _ in range(3):
            draft = await prescribe(app, drug("metformin"))
            path = f"RequestGroup/{draft['id']}"
            answers = await asyncio.gather(
                app.post(f"{path}/$sign", json=parameters(signer=DOCTOR)),
                app.post(f"{path}/$cancel", json=parameters(reason="not needed")),
            )
            assert sorted(a.status_code for a in answers) == [200, 409]
            won = "signed" if answers[0].status_code == 200 else "cancelled"
            assert state(await get(app, path)) == won


@pytest.mark.parametrize(
    ("patient", "name", "kind"),
    [
        ("interaction-trap", "ibuprofen", "interaction"),
        ("allergy-trap", "co-amoxiclav", "allergy"),
        ("pregnant", "atorvastatin", "pregnancy"),
        ("duplicate-trap", "sertraline", "duplicate"),
        ("cancer", "fluoxetine", "interaction"),
    ],
)
async def test_each_trap_persona_springs_its_check(clinic: World, patient: str, name: str, kind: str) -> None:
    async with clinic.client() as app:
        draft = await prescribe(app, drug(name), patient=f"Patient/persona-{patient}")
        path = f"RequestGroup/{draft['id']}"
        checked = await get(app, f"{path}/$check")
        errors = [i["details"]["coding"][0]["code"] for i in checked["issue"] if i["severity"] == "error"]
        assert errors == [kind]
        refused = await do(app, f"{path}/$sign", 409, signer=DOCTOR)
        assert kind in str(refused["issue"])
        assert state(await do(app, f"{path}/$sign", signer=DOCTOR, override="weighed against the benefit")) == "signed"
        (provenance,) = await found(app, f"Provenance?target={path}")
        assert "weighed against the benefit" in provenance["reason"][0]["text"]


async def test_plain_writes_cannot_go_around_the_prescription(clinic: World) -> None:
    async with clinic.client() as app:
        group = await issue(app, drug("metformin"))
        request = group["action"][0]["resource"]["reference"]
        item = await get(app, request)
        changed = item | {"dispenseRequest": {"quantity": {"value": 900}}}
        assert (await app.put(request, json=changed)).status_code == 409
        patch = [{"op": "replace", "path": "/status", "value": "completed"}]
        headers = {"content-type": "application/json-patch+json"}
        assert (await app.patch(request, json=patch, headers=headers)).status_code == 409
        path = f"RequestGroup/{group['id']}"
        refused = await app.put(path, json=group | {"status": "completed"})
        assert refused.status_code == 409 and "$cancel" in text_of(refused.json())
        assert (await app.delete(path)).status_code == 409
        assert (await app.delete(request)).status_code == 409
        over = {
            "resourceType": "MedicationDispense",
            "status": "completed",
            "medicationCodeableConcept": item["medicationCodeableConcept"],
            "subject": item["subject"],
            "performer": [{"actor": {"reference": PHARMACY}}],
            "authorizingPrescription": [{"reference": request}],
            "quantity": {"value": 31},
        }
        assert (await app.post("MedicationDispense", json=over)).status_code == 409
        answer = await app.post("MedicationDispense", json=over | {"quantity": {"value": 30}})
        assert answer.status_code == 201 and state(await get(app, path)) == "dispensed"


async def test_a_repeat_prescription_is_walked_through_on_the_tenants_clock(clinic: World) -> None:
    async with clinic.client() as app:
        group = await issue(app, drug("losartan", 60, times=2, repeats=1, days=30))
        path = f"RequestGroup/{group['id']}"
        await do(app, f"{path}/$dispense", pharmacy=PHARMACY, key="first", item=[line(group, 60)])
        early = await do(app, f"{path}/$dispense", 409, pharmacy=PHARMACY, key="second", item=[line(group, 60)])
        assert "The next repeat opens at 2026-12-22" in text_of(early)
        await advance(clinic, app, days=30)
        await do(app, f"{path}/$dispense", pharmacy=PHARMACY, key="second", item=[line(group, 60)])
        assert state(await get(app, path)) == "dispensed"
        renewed = await do(app, f"{path}/$renew", key="renewal")
        assert state(renewed) == "draft" and renewed["replaces"][0]["reference"] == path


async def test_an_issued_prescription_nobody_dispenses_expires(clinic: World) -> None:
    async with clinic.client() as app:
        group = await issue(app, drug("losartan"))
        await advance(clinic, app, days=30)
        assert state(await get(app, f"RequestGroup/{group['id']}")) == "expired"
        refused = await do(
            app, f"RequestGroup/{group['id']}/$dispense", 409, pharmacy=PHARMACY, key="x", item=[line(group, 1)]
        )
        assert "'expired'" in text_of(refused)


@pytest.mark.parametrize(
    ("mode", "expected", "dispenses"),
    [
        ("accept", "dispensed", ["completed"]),
        ("partial", "partially-dispensed", ["completed"]),
        ("decline", "issued", ["declined"]),
        ("error", "issued", ["declined"]),
        ("silent", "issued", []),
    ],
)
async def test_the_pharmacy_answers_as_its_script_says(
    clinic: World, mode: str, expected: str, dispenses: list[str]
) -> None:
    async with clinic.client() as app:
        await script(clinic, app, pharmacy=mode)
        group = await issue(app, drug("metformin"))
        assert state(group) == expected
        request = group["action"][0]["resource"]["reference"]
        assert [d["status"] for d in await found(app, f"MedicationDispense?prescription={request}")] == dispenses


def claim(patient: str, name: str, quantity: int, net: int, **more: Any) -> dict[str, Any]:
    ref = f"Patient/persona-{patient}"
    return {
        "resourceType": "Claim",
        "status": "active",
        "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/claim-type", "code": "pharmacy"}]},
        "use": "claim",
        "patient": {"reference": ref},
        "created": "2026-11-22",
        "provider": {"reference": PHARMACY},
        "priority": {"coding": [{"code": "normal"}]},
        "insurance": [
            {"sequence": 1, "focal": True, "coverage": {"reference": f"Coverage/persona-{patient}-coverage"}}
        ],
        "item": [
            {
                "sequence": 1,
                "productOrService": drug(name)["parts"]["medication"],
                "quantity": {"value": quantity},
                "net": {"value": net, "currency": "IRR"},
            }
        ],
    } | more


def paid(response: dict[str, Any]) -> int:
    return next(int(t["amount"]["value"]) for t in response["total"] if t["category"]["coding"][0]["code"] == "benefit")


@pytest.mark.parametrize(
    ("patient", "name", "quantity", "expected"),
    [
        ("healthy", "metformin", 60, 900_000),
        ("healthy", "metformin", 360, 450_000),
        ("healthy", "paracetamol", 10, 0),
        ("healthy", "deferasirox", 10, 0),
        ("insurer-expired", "metformin", 60, 0),
    ],
)
async def test_claims_are_judged_by_coverage_and_catalogue(
    clinic: World, patient: str, name: str, quantity: int, expected: int
) -> None:
    async with clinic.client() as app:
        answer = await app.post("Claim", json=claim(patient, name, quantity, 1_000_000))
        assert answer.status_code == 201, answer.text
        (response,) = await found(app, f"ClaimResponse?request=Claim/{answer.json()['id']}")
        assert response["outcome"] == "complete" and paid(response) == expected
        (benefit,) = await found(app, f"ExplanationOfBenefit?claim=Claim/{answer.json()['id']}")
        assert paid(benefit) == expected


async def test_one_dispense_is_claimed_once(clinic: World) -> None:
    async with clinic.client() as app:
        twice = claim("healthy", "metformin", 30, 10_000, identifier=[{"system": "urn:x", "value": "dispense-1"}])
        assert (await app.post("Claim", json=twice)).status_code == 201
        again = await app.post("Claim", json=twice)
        assert again.status_code == 409 and "has already claimed dispense-1" in text_of(again.json())
        sent = await do(app, "Claim/$submit", resource=claim("healthy", "metformin", 30, 10_000))
        assert len(await found(app, f"ClaimResponse?request=Claim/{sent['id']}")) == 1
