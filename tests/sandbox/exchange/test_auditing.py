"""Every access leaves an AuditEvent in its own Tenant, refused ones too."""

from __future__ import annotations

import base64

import pytest

from sandbox.fhir import validation
from tests.factories.exchange import World, patient, tenant_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_accesses_become_valid_audit_events_of_the_tenant_alone(world: World) -> None:
    async with world.client() as client, world.client() as stranger:
        await client.get("Patient/p1", headers={"x-request-id": "req-77"})
        await client.get("Observation?patient=p1")
        await client.put("Patient/p1", json=patient("p1"))
        await client.get("Patient/nobody")
        found = (await client.get("AuditEvent?_count=50")).json()
        events = [e["resource"] for e in found["entry"]]
        assert [e["subtype"][0]["code"] for e in events] == ["read", "update", "search-type", "read"]
        assert [e["outcome"] for e in events] == ["4", "0", "0", "0"]
        for event in events:
            assert validation.errors(validation.validate(event)) == []
        assert base64.b64decode(events[2]["entity"][-1]["query"]) == b"patient=p1"
        assert (await client.get("AuditEvent?entity=Patient/p1")).json()["total"] == 2
        assert (await client.get("AuditEvent?action=U")).json()["total"] == 1
        read = await client.get(f"AuditEvent/{events[0]['id']}")
        assert read.status_code == 200
        theirs = (await stranger.get("AuditEvent?_count=50")).json()
        assert "entry" not in theirs


async def test_a_refused_write_is_recorded_though_it_is_rolled_back(world: World) -> None:
    async with world.client("patient/*.cruds", patient="p2") as client:
        assert (await client.put("Patient/p1", json=patient("p1"))).status_code == 404
        tenant = tenant_of(client)
    async with world.client(tenant=tenant) as owner:
        found = (await owner.get("AuditEvent?outcome=4")).json()
        assert found["total"] == 1
        assert (await owner.get("Patient/p1/_history")).json()["total"] == 1


async def test_audit_events_do_not_eat_the_quota(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        await client.get("Patient/p1")
        await client.get("AuditEvent")
        shown = (await admin.get(f"tenants/{tenant_of(client)}")).json()
    assert shown["resources"] == 0


async def test_an_access_by_an_id_that_is_none_is_told_and_hides_no_other(world: World) -> None:
    async with world.client() as client:
        assert (await client.get(f"Patient/{'a' * 65}")).status_code in (400, 404)
        assert (await client.get("Patient/%D8%A7")).status_code in (400, 404)
        assert (await client.get("Patient/p1")).status_code == 200
        answer = await client.get("AuditEvent", params={"_count": "50"})
    assert answer.status_code == 200, answer.text
    told = [entity["what"] for entry in answer.json()["entry"] for entity in entry["resource"].get("entity", ())]
    assert {"display": f"Patient/{'a' * 65}"} in told and {"reference": "Patient/p1"} in told
