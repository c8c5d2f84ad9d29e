"""Whatever an operation or a plain write is given, the answer is a refusal that says why, never a 500."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.workflows.operations.answering import OPERATIONS
from tests.factories.exchange import World, tenant_of
from tests.sandbox.workflows.calls import DOCTOR, PATIENT, do, drug, get

pytestmark = pytest.mark.asyncio(loop_scope="session")
TAG = "https://gozar.example/fhir/CodeSystem/workflow-state"
CATEGORY = "https://gozar.example/fhir/CodeSystem/workflow"
PLAIN: dict[str, dict[str, Any]] = {
    "Task": {"resourceType": "Task", "status": "requested", "intent": "order"},
    "Appointment": {"resourceType": "Appointment", "status": "waitlist", "participant": [{"status": "accepted"}]},
    "RequestGroup": {"resourceType": "RequestGroup", "status": "draft", "intent": "order"},
    "ServiceRequest": {"resourceType": "ServiceRequest", "status": "active", "intent": "order"},
    "MedicationDispense": {"resourceType": "MedicationDispense", "status": "completed"},
    "Claim": {"resourceType": "Claim", "status": "draft"},
    "Consent": {"resourceType": "Consent", "status": "draft"},
    "Schedule": {"resourceType": "Schedule"},
}
VALUES: tuple[dict[str, Any], ...] = (
    {"valueString": ""},
    {"valueString": "x" * 5000},
    {"valueReference": {"reference": "Patient/nobody"}},
    {"valueReference": {}},
    {"valueInteger": -1},
    {"valueDecimal": 1e300},
    {"valueBoolean": True},
    {"valueCodeableConcept": {}},
    {"part": []},
    {"part": [{"name": "quantity", "valueDecimal": 0}]},
    {"resource": {"resourceType": "Patient"}},
    {"valueInstant": "not a time"},
    {},
)


async def test_no_operation_falls_over_on_input_it_did_not_expect(clinic: World) -> None:
    async with clinic.client() as app:
        await app.get(PATIENT)
        async with clinic.admin() as admin:  # validation off, so that resources may lack what FHIR requires
            off = await admin.post(f"tenants/{tenant_of(app)}/validation", json={"mode": "off"})
            assert off.status_code == 200
        subjects = {kind: await _subject(app, kind) for kind in {o.kind for o in OPERATIONS if o.level == "instance"}}
        for operation in OPERATIONS:
            path = f"{operation.kind}/${operation.name}"
            if operation.level == "instance":
                path = f"{subjects[operation.kind]}/${operation.name}"
            bodies: list[Any] = [{"resourceType": "Parameters"}, {"resourceType": "Patient"}, [], "text", None]
            for value in VALUES:
                given = [{"name": parameter.name} | value for parameter in operation.parameters]
                bodies.append(
                    {"resourceType": "Parameters", "parameter": given} if given else {"resourceType": "Parameters"}
                )
            for body in bodies if operation.parameters else bodies[:5]:
                answer = await app.post(path, json=body)
                assert answer.status_code < 500, (path, body, answer.text)
                if answer.status_code >= 400:
                    assert answer.json()["resourceType"] == "OperationOutcome"


async def _subject(app: Any, kind: str) -> str:
    """A resource of the type that no Workflow made: as bare as FHIR allows."""
    if kind in {"Patient", "Slot", "Subscription"}:
        found = (await app.get(f"{kind}?_count=1")).json().get("entry")
        return f"{kind}/{found[0]['resource']['id']}" if found else f"{kind}/none"
    made = await app.put(f"{kind}/bare-{kind.lower()}", json=PLAIN[kind] | {"id": f"bare-{kind.lower()}"})
    assert made.status_code < 500, made.text
    return f"{kind}/bare-{kind.lower()}"


@pytest.mark.parametrize("kind", ["ServiceRequest", "RequestGroup"])
async def test_a_state_tag_cannot_be_forged(clinic: World, kind: str) -> None:
    async with clinic.client() as app:
        body = PLAIN[kind] | {
            "meta": {"tag": [{"system": TAG, "code": "ordered" if kind == "ServiceRequest" else "issued"}]}
        }
        body |= {"subject": {"reference": PATIENT}}
        assert (await app.post(kind, json=body)).status_code == 422
        plain = {name: value for name, value in body.items() if name != "meta"}
        made = await app.post(kind, json=plain)
        assert made.status_code == 201, made.text
        assert (
            await app.put(f"{kind}/{made.json()['id']}", json=made.json() | {"meta": body["meta"]})
        ).status_code == 422


async def test_a_task_of_a_workflow_that_lacks_its_people_is_refused_by_name(clinic: World) -> None:
    async with clinic.client() as app:
        for code in ("teleconsultation", "referral"):
            task = PLAIN["Task"] | {"code": {"coding": [{"system": CATEGORY, "code": code}]}}
            made = await app.post("Task", json=task)
            assert made.status_code == 201, made.text
            for verb in ("accept", "decline", "start", "answer", "finish", "cancel"):
                named = {"answer": "x"} if verb == "answer" else {"summary": "x"} if verb == "finish" else {}
                answer = await app.post(f"Task/{made.json()['id']}/${verb}", json=_parameters(named))
                assert answer.status_code < 500, (verb, answer.text)


def _parameters(named: dict[str, str]) -> dict[str, Any]:
    return {"resourceType": "Parameters"} | (
        {"parameter": [{"name": n, "valueString": v} for n, v in named.items()]} if named else {}
    )


async def test_an_item_cannot_be_smuggled_into_a_prescription(clinic: World) -> None:
    async with clinic.client() as app:
        group = await do(app, "RequestGroup/$prescribe", patient=PATIENT, prescriber=DOCTOR, item=[drug("metformin")])
        item = await get(app, group["action"][0]["resource"]["reference"])
        loose = {name: value for name, value in item.items() if name not in {"id", "meta", "supportingInformation"}}
        made = await app.post("MedicationRequest", json=loose)
        assert made.status_code == 201, made.text
        smuggled = made.json() | {"supportingInformation": item["supportingInformation"]}
        assert (await app.put(f"MedicationRequest/{made.json()['id']}", json=smuggled)).status_code == 422
        assert (
            await app.post("MedicationRequest", json=loose | {"supportingInformation": item["supportingInformation"]})
        ).status_code == 422
