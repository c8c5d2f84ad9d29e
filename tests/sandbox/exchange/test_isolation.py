"""No Tenant reaches another's resources by their ids, on any path that the exchange's own OpenAPI document lists.

The paths come from the routing table by way of the document, so a new interaction or operation is attacked from its first day.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.factories.exchange import World, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
KINDS = (
    "Patient",
    "Observation",
    "Condition",
    "Appointment",
    "MedicationRequest",
    "Task",
    "Group",
    "Subscription",
    "Consent",
    "ServiceRequest",
)
SECRET = "راز-مگو"
# What differs between two answers about two ids.
_VARIES = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|mine-?\w*|none-?\w*|\d{4}-\d\d-\d\dT[\d:.]+Z?"
)


def body_of(path: str, method: str, fid: str) -> dict[str, Any] | None:
    if method in ("get", "delete"):
        return None
    if method == "patch":
        return {"language": "fa"}
    kind = path.split("/")[1]
    if "$" in path:
        return {
            "resourceType": "Parameters",
            "parameter": [{"name": "patient", "valueReference": {"reference": f"Patient/{fid}"}}],
        }
    if not kind:
        entry = [
            {"request": {"method": "GET", "url": f"Patient/{fid}"}},
            {"request": {"method": "DELETE", "url": f"Patient/{fid}"}},
        ]
        return {"resourceType": "Bundle", "type": "batch", "entry": entry}
    if method == "put":
        return {"resourceType": kind, "id": fid, "language": "fa"}
    return {"resourceType": kind, "status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{fid}"}}


async def ask(client: httpx.AsyncClient, method: str, path: str, fid: str) -> httpx.Response:
    place = path.replace("{type}", "Patient").replace("{compartment}", "Patient").replace("{member}", "Observation")
    place = place.replace("{id}", fid).replace("{version}", "1").lstrip("/")
    # By condition, and as a search: everything that could name the other Tenant's resource.
    query = {} if "{id}" in path or method == "post" else {"_id": fid}
    headers = {"if-match": 'W/"1"'} if method in ("put", "patch", "delete") else {}
    return await client.request(method, place, params=query, json=body_of(path, method, fid), headers=headers)


async def test_ids_of_another_tenant_look_like_ids_of_nothing(world: World) -> None:
    async with world.client() as one, world.client() as other:
        document = (await one.get("openapi.json", params={"_type": ",".join(KINDS)})).json()
        for kind in KINDS[1:3]:
            about = {
                "resourceType": kind,
                "id": "mine",
                "subject": {"reference": "Patient/mine"},
                "code": {"text": SECRET},
            }
            about |= {"status": "final"} if kind == "Observation" else {}
            if kind == "Observation":
                await one.put("Patient/mine", json=patient("mine", family=SECRET))
            assert (await one.put(f"{kind}/mine", json=about)).status_code == 201
        faults, tried = [], 0
        for path, item in sorted(document["paths"].items()):
            if path == "/metadata" or "$sandbox-" in path or ("{type}" in path and "{id}" not in path):
                continue
            for method in ("get", "post", "patch", "put", "delete"):
                if method not in item:
                    continue
                tried += 1
                theirs, nobodys = await ask(other, method, path, "mine"), await ask(other, method, path, "none")
                if SECRET in theirs.text or theirs.status_code >= 500:
                    faults.append(f"{method} {path}: {theirs.status_code} {theirs.text[:300]}")
                elif theirs.status_code != nobodys.status_code or _VARIES.sub("", theirs.text) != _VARIES.sub(
                    "", nobodys.text
                ):
                    told = f"{theirs.status_code} {theirs.text[:300]} of nothing: {nobodys.status_code} {nobodys.text[:300]}"
                    faults.append(f"{method} {path}: {told}")
        assert not faults, "\n".join(faults)[:6000]
        assert tried > 100
        for kind in KINDS[:3]:
            kept = (await one.get(f"{kind}/mine")).json()
            assert kept["meta"]["versionId"] == "1", "nobody else wrote it"


async def test_links_and_jobs_of_another_tenant_open_nothing(world: World) -> None:
    async with world.client() as one, world.client() as other:
        page = (await one.get("Patient?_count=2")).json()
        following = next(link["url"] for link in page["link"] if link["relation"] == "next").split("/R4/")[1]
        assert (await one.get(following)).status_code == 200
        assert (await other.get(following)).status_code == 400
        begun = await one.get("$export?_type=Patient", headers={"prefer": "respond-async"})
        status = begun.headers["content-location"].split("/R4/")[1]
        assert (await other.get(status)).status_code == 404
        assert (await other.delete(status)).status_code == 404
        assert (await one.get(status)).status_code in (200, 202)


async def test_a_fhir_token_opens_no_control(world: World) -> None:
    async with world.client(tenant="mine-alone") as client:
        await client.get("Patient?_count=1")
        token = client.headers["authorization"]
    async with world.admin() as admin:
        for method, path in (
            ("GET", "tenants/mine-alone"), ("POST", "tenants"), ("POST", "tenants/mine-alone/reset"),
            ("POST", "tenants/mine-alone/fork"), ("GET", "tenants/mine-alone/snapshots"), ("DELETE",
            "tenants/mine-alone"),
            ("GET", "tenants/mine-alone/timeline"), ("POST", "tenants/mine-alone/clock"),
        ):  # fmt: skip
            refused = await admin.request(method, path, json={}, headers={"authorization": token})
            assert refused.status_code in (401, 403), f"{method} {path}: {refused.status_code}"
        assert (await admin.get("tenants/mine-alone")).status_code == 200
