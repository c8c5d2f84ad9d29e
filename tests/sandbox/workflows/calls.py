"""Short ways to call an exchange in tests."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx

from sandbox.workflows.drug_catalogue import catalogue
from tests.factories.exchange import World, tenant_of

Resource = dict[str, Any]
PATIENT = "Patient/persona-healthy"
DOCTOR = "Practitioner/persona-dr-family"
PHARMACY = "Organization/persona-pharmacy"
PHARMACY_2 = "Organization/persona-pharmacy-2"


def parameters(**named: Any) -> Resource:
    """A Parameters resource: str as valueString, dict as a resource, list of tuples of parts, and so on."""
    return {"resourceType": "Parameters", "parameter": [p for name, value in named.items() for p in _many(name, value)]}


def _many(name: str, value: Any) -> list[Resource]:
    return [_one(name, item) for item in value] if isinstance(value, list) else [_one(name, value)]


def _one(name: str, value: Any) -> Resource:
    match value:
        case bool():
            return {"name": name, "valueBoolean": value}
        case int():
            return {"name": name, "valueInteger": value}
        case float():
            return {"name": name, "valueDecimal": value}
        case str() if "/" in value and value[0].isupper() and " " not in value:
            return {"name": name, "valueReference": {"reference": value}}
        case str():
            return {"name": name, "valueString": value}
        case {"resourceType": _}:
            return {"name": name, "resource": value}
        case {"parts": parts}:
            return {"name": name, "part": parameters(**parts)["parameter"]}
        case {"timing": _}:
            return {"name": name, "valueDosage": value}
    return {"name": name, "valueCodeableConcept": value}


async def do(client: httpx.AsyncClient, path: str, expect: int = 200, **named: Any) -> Resource:
    """POST an operation and return the answer; the status must be as expected."""
    answer = await client.post(path, json=parameters(**named))
    body: Resource = answer.json()
    assert answer.status_code == expect, (path, answer.status_code, body)
    return body


async def get(client: httpx.AsyncClient, path: str, expect: int = 200) -> Resource:
    answer = await client.get(path)
    assert answer.status_code == expect, (path, answer.status_code, answer.text)
    body: Resource = answer.json()
    return body


async def found(client: httpx.AsyncClient, path: str) -> list[Resource]:
    """Resources of a search's first page."""
    return [entry["resource"] for entry in (await get(client, path)).get("entry", ())]


async def free_slots(client: httpx.AsyncClient, specialty: str = "family-medicine", count: int = 5) -> list[str]:
    slots = await found(client, f"Slot?specialty={specialty}&status=free&_sort=start&_count={count}")
    return [f"Slot/{slot['id']}" for slot in slots]


def drug(name: str, quantity: int = 30, **more: Any) -> Resource:
    """An item of a prescription: one unit a day."""
    timing = {"repeat": {"frequency": more.pop("times", 1), "period": 1, "periodUnit": "d"}}
    dosage = {"timing": timing, "doseAndRate": [{"doseQuantity": {"value": more.pop("dose", 1)}}]}
    concept = catalogue().drugs[f"SBX-{name}"].concept()
    return {"parts": {"medication": concept, "quantity": quantity, "dosage": dosage} | more}


def text_of(outcome: Resource) -> str:
    return " ".join(issue["details"]["text"] for issue in outcome["issue"])


async def advance(world: World, client: httpx.AsyncClient, **step: float) -> Resource:
    """Move the Tenant's clock forward."""
    seconds = int(timedelta(**step).total_seconds())
    async with world.admin() as admin:
        answer = await admin.post(f"tenants/{tenant_of(client)}/clock", json={"advance_seconds": seconds})
    assert answer.status_code == 200, answer.text
    body: Resource = answer.json()
    return body


async def script(world: World, client: httpx.AsyncClient, **modes: Any) -> None:
    """Set Counterpart scripts: `clinic="decline"`, or a whole script."""
    await get(client, "Patient/persona-healthy")  # opens the Tenant
    scripts = {name: mode if isinstance(mode, dict) else {"mode": mode} for name, mode in modes.items()}
    async with world.admin() as admin:
        answer = await admin.put(f"tenants/{tenant_of(client)}/counterparts", json={"counterparts": scripts})
    assert answer.status_code == 200, answer.text


async def timeline(world: World, client: httpx.AsyncClient) -> list[str]:
    """Topics of what happened, oldest first."""
    async with world.admin() as admin:
        answer = await admin.get(f"tenants/{tenant_of(client)}/timeline")
    return [event["topic"] for event in reversed(answer.json()["events"])]
