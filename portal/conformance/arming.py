"""What a scenario does before the App acts: choose patients, mark events, order refusals, write as somebody else would."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from portal.conformance.hand import Hand, HandFailed
from portal.conformance.models import ConformanceRun, Rehearsal, RunEvent
from portal.conformance.rehearsals import CONSENT
from portal.kernel.ids import new_id

NOTE_URL = "https://gozar.example/fhir/StructureDefinition/rehearsal-note"
ENDLESS = 1_000_000


@dataclass(slots=True)
class Stage:
    """What an action works on. `inputs` grows: it is what the App is told."""

    session: AsyncSession
    hand: Hand
    run: ConformanceRun
    now: datetime
    inputs: dict[str, str] = field(default_factory=dict)

    def event(self, kind: str, **data: str) -> None:
        """Note for the checks that something happened now."""
        self.session.add(RunEvent(id=new_id("evt"), run_id=self.run.id, at=self.now, kind=kind, data=data))

    async def get(self, path: str) -> Any:
        return await self.hand.get(self.run.tenant, path)

    async def send(self, method: str, path: str, resource: dict[str, Any]) -> Any:
        return await self.hand.send(self.run.tenant, method, path, resource)


Action = Callable[[Stage, dict[str, Any]], Awaitable[None]]


def _entries(bundle: Any) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle.get("entry") or () if "resource" in entry]


async def people(stage: Stage) -> list[str]:
    """Ids of three patients of the Tenant, the one with most results first."""
    found = _entries(await stage.get("Observation?_count=200&_elements=subject,status,code"))
    seen = Counter(
        str(row.get("subject", {}).get("reference", "")).removeprefix("Patient/") for row in found if row.get("subject")
    )
    ranked = [patient for patient, _ in sorted(seen.items(), key=lambda item: (-item[1], item[0]))]
    if len(ranked) < 3:
        ranked += [row["id"] for row in _entries(await stage.get("Patient?_count=10")) if row["id"] not in ranked]
    if len(ranked) < 3:
        raise HandFailed("the Tenant holds fewer than three patients")
    return ranked[:3]


async def _patient(stage: Stage, action: dict[str, Any]) -> None:
    name = action["as"]
    if name not in stage.inputs:
        stage.inputs[name] = (await people(stage))[0]
    patient = await stage.get(f"Patient/{stage.inputs[name]}")
    identifier = next((row for row in patient.get("identifier") or () if row.get("system") and row.get("value")), None)
    if identifier is None:
        raise HandFailed("the patient has no identifier")
    stage.inputs[f"{name}_identifier"] = f"{identifier['system']}|{identifier['value']}"


async def _other_patient(stage: Stage, action: dict[str, Any]) -> None:
    """A patient besides the first whose record was not merged into another's before."""
    for patient in (await people(stage))[1:]:
        found = await stage.get(f"Patient/{patient}")
        if patient != stage.inputs.get("patient") and not found.get("link"):
            stage.inputs[action["as"]] = patient
            return
    raise HandFailed("the Tenant holds no other patient")


async def _practitioner(stage: Stage, action: dict[str, Any]) -> None:
    found = _entries(await stage.get("Practitioner?_count=1"))
    if not found:
        raise HandFailed("the Tenant holds no practitioner")
    stage.inputs[action["as"]] = found[0]["id"]


async def _event(stage: Stage, action: dict[str, Any]) -> None:
    stage.event(action["kind"])


async def _rehearse(stage: Stage, action: dict[str, Any]) -> None:
    patient = stage.inputs["patient"] if action["kind"] == CONSENT else ""
    stage.session.add(
        Rehearsal(
            id=new_id("reh"),
            run_id=stage.run.id,
            client_id=stage.run.client_id,
            kind=action["kind"],
            method=action.get("method", ""),
            type=action.get("type", ""),
            patient=patient,
            retry_after=action.get("retry_after", 0),
            left=action.get("times", ENDLESS),
        )
    )
    if patient:
        stage.event("consent-revoked", patient=patient)


async def _correct_result(stage: Stage, _: dict[str, Any]) -> None:
    found = _entries(await stage.get(f"Observation?patient={stage.inputs['patient']}&_count=50"))
    row = next((each for each in found if "valueQuantity" in each), None)
    if row is None:
        raise HandFailed("the patient has no measured result to correct")
    row["status"] = "corrected"
    row["valueQuantity"]["value"] = round(float(row["valueQuantity"].get("value", 1)) * 1.1 + 0.1, 2)
    await stage.send("PUT", f"Observation/{row['id']}", row)
    stage.event("result-corrected", resource=f"Observation/{row['id']}")


async def _merge_patient(stage: Stage, _: dict[str, Any]) -> None:
    new, old = (await people(stage))[1:3]
    patient = await stage.get(f"Patient/{old}")
    patient["active"] = False
    patient["link"] = [{"other": {"reference": f"Patient/{new}"}, "type": "replaced-by"}]
    await stage.send("PUT", f"Patient/{old}", patient)
    stage.inputs["second"] = old
    stage.event("patient-merged", old=old, new=new)


async def _extend_resource(stage: Stage, action: dict[str, Any]) -> None:
    kind = action["type"]
    found = _entries(await stage.get(f"{kind}?patient={stage.inputs['patient']}&_sort=-_lastUpdated&_count=1"))
    if not found:
        raise HandFailed(f"the App has written no {kind} yet")
    row = found[0]
    row.setdefault("extension", []).append({"url": NOTE_URL, "valueString": "یادداشت داروساز"})
    await stage.send("PUT", f"{kind}/{row['id']}", row)
    stage.inputs["resource"] = f"{kind}/{row['id']}"


async def _partial_dispense(stage: Stage, _: dict[str, Any]) -> None:
    if "resource" not in stage.inputs:
        raise HandFailed("the App has written no prescription yet")
    order = await stage.get(stage.inputs["resource"])
    medicine = {key: value for key, value in order.items() if key.startswith("medication")}
    await stage.send(
        "POST",
        "MedicationDispense",
        {
            "resourceType": "MedicationDispense",
            "status": "completed",
            **medicine,
            "subject": order["subject"],
            "authorizingPrescription": [{"reference": stage.inputs["resource"]}],
            "quantity": {"value": 1},
            "whenHandedOver": stage.now.isoformat(timespec="seconds"),
        },
    )
    stage.event("partly-dispensed", resource=stage.inputs["resource"])


ACTIONS: dict[str, Action] = {
    "patient": _patient,
    "other-patient": _other_patient,
    "practitioner": _practitioner,
    "event": _event,
    "rehearse": _rehearse,
    "correct-result": _correct_result,
    "merge-patient": _merge_patient,
    "extend-resource": _extend_resource,
    "partial-dispense": _partial_dispense,
}


async def arm(stage: Stage, actions: tuple[dict[str, Any], ...]) -> None:
    """Do all actions of a scenario; raises `HandFailed` when the Tenant cannot be brought there."""
    for action in actions:
        await ACTIONS[action["do"]](stage, action)
