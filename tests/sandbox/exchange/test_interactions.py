"""create, read, update, delete and their errors, over HTTP on both databases."""

from __future__ import annotations

import pytest

from tests.factories.exchange import BASE_URL, World, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_created_resource_reads_back_as_it_was_sent(world: World) -> None:
    async with world.client() as client:
        sent = {"resourceType": "Patient", "name": [{"family": "کریمی"}], "birthDate": "1991-01-01"}
        created = await client.post("Patient", json=sent)
        assert created.status_code == 201
        fid = created.json()["id"]
        assert created.headers["location"] == f"{BASE_URL}/Patient/{fid}/_history/1"
        read = await client.get(f"Patient/{fid}")
    assert read.headers["etag"] == 'W/"1"'
    got = read.json()
    assert got["meta"]["versionId"] == "1"
    assert {k: v for k, v in got.items() if k not in ("id", "meta")} == sent


async def test_base_population_is_visible_in_a_fresh_tenant(world: World) -> None:
    async with world.client() as client:
        read = await client.get("Patient/p1")
        assert read.status_code == 200
        found = (await client.get("Observation", params={"patient": "p1"})).json()
    assert found["total"] == 4


async def test_what_a_tenant_writes_no_other_tenant_sees(world: World) -> None:
    async with world.client() as one, world.client() as other:
        await one.put("Patient/p1", json=patient("p1", family="تغییر"))
        await one.delete("Patient/p2")
        assert (await one.get("Patient/p1")).json()["name"][0]["family"] == "تغییر"
        assert (await one.get("Patient/p2")).status_code == 410
        assert (await other.get("Patient/p1")).json()["name"][0]["family"] == "کریمی"
        assert (await other.get("Patient/p2")).status_code == 200
        assert (await one.get("Patient", params={"family": "تغییر"})).json()["total"] == 1
        assert (await other.get("Patient", params={"family": "تغییر"})).json()["total"] == 0


async def test_without_a_token_the_answer_is_401_as_an_operation_outcome(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("Patient/p1", headers={"authorization": ""})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["resourceType"] == "OperationOutcome"
