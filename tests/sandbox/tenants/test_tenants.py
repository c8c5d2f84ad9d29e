"""Tenants over the control plane: copies on write of one base."""

from __future__ import annotations

import time

import httpx
import pytest

from sandbox.storage.layers import sweep
from tests.factories.exchange import World, patient, tenant_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _families(client: httpx.AsyncClient) -> dict[str, str]:
    found = (await client.get("Patient?_count=100")).json()
    return {e["resource"]["id"]: e["resource"]["name"][0]["family"] for e in found["entry"]}


async def test_opening_twice_opens_once(world: World) -> None:
    async with world.admin() as admin:
        assert (await admin.post("tenants", json={"tenant": "opened-twice"})).status_code == 201
        assert (await admin.post("tenants", json={"tenant": "opened-twice"})).status_code == 200
        shown = (await admin.get("tenants/opened-twice")).json()
    assert (shown["tenant"], shown["base"], shown["resources"]) == ("opened-twice", "default", 0)


async def test_reset_forgets_what_the_tenant_wrote_and_keeps_the_base(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        before = await _families(client)
        await client.put("Patient/p1", json=patient("p1", family="تغییر"))
        await client.delete("Patient/p2")
        await client.put("Patient/own", json=patient("own"))
        assert await _families(client) != before
        cursor = (await client.get("Patient?_count=2")).json()["link"][1]["url"].split("/R4/")[1]
        assert (await admin.post(f"tenants/{tenant_of(client)}/reset")).status_code == 200
        assert await _families(client) == before
        assert (await client.get("Patient/own")).status_code == 404
        assert (await client.get("Patient/p1/_history")).json()["total"] == 1
        assert (await client.get(cursor)).status_code == 400, "a cursor outlived the data it pointed into"


async def test_restore_brings_back_the_very_state_of_the_snapshot(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        name = tenant_of(client)
        await client.put("Patient/p1", json=patient("p1", family="یک"))
        await client.put("Patient/p1", json=patient("p1", family="دو"))
        await client.delete("Patient/p3")
        await client.put("Patient/kept", json=patient("kept", family="ماندنی"))
        frozen = (await client.get("Patient?_count=100")).json()["entry"]
        snapshot = (await admin.post(f"tenants/{name}/snapshots", json={"name": "پیش از آزمون"})).json()["snapshot"]
        await client.put("Patient/p1", json=patient("p1", family="سه"))
        await client.delete("Patient/kept")
        await client.put("Patient/p3", json=patient("p3", family="زنده"))
        for _ in range(2):  # a snapshot can be restored again and again
            answer = await admin.post(f"tenants/{name}/restore", json={"snapshot": snapshot})
            assert answer.status_code == 200
            assert (await client.get("Patient?_count=100")).json()["entry"] == frozen
            assert (await client.get("Patient/p1/_history")).json()["total"] == 3
            assert (await client.get("Patient/p3")).status_code == 410
            assert (await client.get("Patient", params={"family": "ماندنی"})).json()["total"] == 1
            await client.put("Patient/kept", json=patient("kept", family="دیگر"))
        listed = (await admin.get(f"tenants/{name}/snapshots")).json()["snapshots"]
        assert [s["name"] for s in listed] == ["پیش از آزمون"]
        assert (await admin.delete(f"tenants/{name}/snapshots/{snapshot}")).status_code == 204
        assert (await admin.post(f"tenants/{name}/restore", json={"snapshot": snapshot})).status_code == 404


async def test_a_fork_starts_alike_and_goes_its_own_way(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        await client.put("Patient/p1", json=patient("p1", family="مشترک"))
        name = f"{tenant_of(client)}-fork"
        assert (await admin.post(f"tenants/{tenant_of(client)}/fork", json={"tenant": name})).status_code == 201
        async with world.client(tenant=name) as forked:
            assert await _families(forked) == await _families(client)
            await forked.put("Patient/p1", json=patient("p1", family="شاخه"))
            assert (await client.get("Patient/p1")).json()["name"][0]["family"] == "مشترک"
            await client.delete("Patient/p1")
            assert (await forked.get("Patient/p1")).json()["name"][0]["family"] == "شاخه"
        again = await admin.post(f"tenants/{tenant_of(client)}/fork", json={"tenant": name})
        assert again.status_code == 409


async def test_a_deleted_tenant_stays_shut(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        await client.put("Patient/own", json=patient("own"))
        assert (await admin.delete(f"tenants/{tenant_of(client)}")).status_code == 204
        assert (await client.get("Patient/p1")).status_code == 403
        assert (await client.put("Patient/own", json=patient("own"))).status_code == 403
        assert (await admin.get(f"tenants/{tenant_of(client)}")).status_code == 404


async def test_what_is_left_behind_is_swept_away(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        for n in range(5):
            await client.put(f"Patient/s{n}", json=patient(f"s{n}"))
        await client.delete("Patient/p1")
        database = world.app.store.database
        layer = (await database.rows("SELECT layer FROM tenant WHERE tenant=?1", (tenant_of(client),)))[0][0]
        await admin.post(f"tenants/{tenant_of(client)}/reset")
        while await sweep(database):
            pass
        for table in ("version", "shadow", "idx_token", "idx_string", "idx_compartment", "layer"):
            assert await database.rows(f"SELECT 1 FROM {table} WHERE layer=?1 LIMIT 1", (layer,)) == []  # noqa: S608
        assert (await client.get("Patient/p1")).status_code == 200


async def test_a_full_tenant_refuses_more_and_loses_nothing(world: World) -> None:
    async with world.client() as client:
        await client.get("Patient/p1")

        async def shrink(tx: object) -> None:
            await tx.run("UPDATE tenant SET max_resources=2 WHERE tenant=?1", (tenant_of(client),))  # type: ignore[attr-defined]

        await world.app.store.database.write(shrink, lock=1)
        assert (await client.put("Patient/a", json=patient("a"))).status_code == 201
        assert (await client.put("Patient/b", json=patient("b"))).status_code == 201
        full = await client.put("Patient/c", json=patient("c"))
        assert full.status_code == 413
        assert (await client.get("Patient/c")).status_code == 404
        assert (await client.put("Patient/a", json=patient("a", family="نو"))).status_code == 200
        assert (await client.delete("Patient/b")).status_code == 204
        assert (await client.put("Patient/c", json=patient("c"))).status_code == 201


async def test_control_verbs_take_well_under_a_second(world: World) -> None:
    async with world.client() as client, world.admin() as admin:
        entries = [
            {"resource": patient(f"w{n}"), "request": {"method": "PUT", "url": f"Patient/w{n}"}} for n in range(500)
        ]
        sent = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        assert (await client.post("", json=sent)).status_code == 200
        name = tenant_of(client)
        before = time.perf_counter()
        snapshot = (await admin.post(f"tenants/{name}/snapshots", json={})).json()["snapshot"]
        await admin.post(f"tenants/{name}/reset")
        await admin.post(f"tenants/{name}/restore", json={"snapshot": snapshot})
        assert time.perf_counter() - before < 3
        assert (await client.get("Patient?_summary=count")).json()["total"] == 508


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "tenants", {"tenant": "bad name"}, 422),
        ("POST", "tenants", {"tenant": "x", "base": "nothing"}, 422),
        ("POST", "tenants", {"tenant": 7}, 422),
        ("POST", "tenants/nobody/reset", {}, 404),
        ("GET", "tenants/nobody", None, 404),
        ("GET", "nothing", None, 404),
        ("PUT", "tenants", {}, 405),
        ("POST", "tenants/nobody/restore", {"snapshot": "x"}, 404),
    ],
)
async def test_the_control_plane_answers_problems(
    world: World, method: str, path: str, body: object, status: int
) -> None:
    async with world.admin() as admin:
        answer = await admin.request(method, path, json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_the_control_plane_is_not_for_app_tokens(world: World) -> None:
    async with world.admin() as admin, world.client() as client:
        assert (
            await admin.get("tenants/x", headers={"authorization": client.headers["authorization"]})
        ).status_code == 401
        assert (await admin.get("tenants/x", headers={"authorization": ""})).status_code == 401
        weak = world.token("other", tenant="", audience="urn:gozar:exchange:sandbox")
        assert (await admin.get("tenants/x", headers={"authorization": f"Bearer {weak}"})).status_code == 403
