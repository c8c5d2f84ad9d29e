"""A Tenant against a plain dictionary: whatever is done, both say the same; nobody else notices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.factories.exchange import World, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
IDS = ["p1", "p2", "new1", "new2"]
FAMILIES = ["آ", "ب", "پ"]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(IDS), st.sampled_from(FAMILIES)),
        st.tuples(st.just("delete"), st.sampled_from(IDS), st.just("")),
        st.tuples(st.just("stale"), st.sampled_from(IDS), st.sampled_from(FAMILIES)),
        st.tuples(st.just("failing"), st.sampled_from(IDS), st.sampled_from(FAMILIES)),
        st.tuples(st.just("reset"), st.just(""), st.just("")),
    ),
    max_size=12,
)


class Model:
    """What the exchange should say."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.families: dict[str, str | None] = {"p1": "کریمی", "p2": "احمدی"}
        self.versions = {"p1": 1, "p2": 1}

    def put(self, fid: str, family: str) -> None:
        if self.families.get(fid) != family or (fid in ("p1", "p2") and self.versions[fid] == 1):
            self.versions[fid] = self.versions.get(fid, 0) + 1
        self.families[fid] = family

    def delete(self, fid: str) -> None:
        if self.families.get(fid) is not None:
            self.families[fid] = None
            self.versions[fid] += 1


async def _compare(client: Any, model: Model) -> None:
    for fid in IDS:
        read = await client.get(f"Patient/{fid}")
        family = model.families.get(fid)
        if fid not in model.families:
            assert read.status_code == 404
            continue
        assert read.headers["etag"] == f'W/"{model.versions[fid]}"'
        if family is None:
            assert read.status_code == 410
        else:
            assert read.json()["name"][0]["family"] == family
        assert (await client.get(f"Patient/{fid}/_history")).json()["total"] == model.versions[fid]
    for family in FAMILIES:
        found = (await client.get(f"Patient?family:exact={family}&_count=50")).json()
        got = sorted(e["resource"]["id"] for e in found.get("entry", []))
        assert got == sorted(f for f, name in model.families.items() if name == family)


async def _run(world: World, plan: list[tuple[str, str, str]]) -> None:
    model = Model()
    async with world.client() as client, world.admin() as admin, world.client() as bystander:
        for verb, fid, family in plan:
            body = patient(fid, family=family)
            if verb == "put":
                assert (await client.put(f"Patient/{fid}", json=body)).status_code in (200, 201)
                model.put(fid, family)
            elif verb == "delete":
                assert (await client.delete(f"Patient/{fid}")).status_code == 204
                model.delete(fid)
            elif verb == "stale":
                answer = await client.put(f"Patient/{fid}", json=body, headers={"if-match": 'W/"99"'})
                assert answer.status_code == 412
            elif verb == "failing":
                entries = [
                    {"resource": body, "request": {"method": "PUT", "url": f"Patient/{fid}"}},
                    {"resource": {"resourceType": "Patient", "id": "z", "gender": "no"}, "request": {"method": "PUT", "url": "Patient/z"}},
                ]  # fmt: skip
                sent = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
                assert (await client.post("", json=sent)).status_code == 422
            else:
                await admin.post(f"tenants/{client.headers['x-tenant']}/reset")
                model.reset()
        await _compare(client, model)
        assert (await bystander.get("Patient?_summary=count")).json()["total"] == 8


@given(plan=steps)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_tenant_is_a_dictionary_with_history(world: World, plan: list[tuple[str, str, str]]) -> None:
    await _run(world, plan)


async def test_concurrent_updates_lose_no_version(world: World) -> None:
    async with world.client() as client:
        answers = await asyncio.gather(
            *(client.put("Patient/p1", json=patient("p1", family=f"نسخه{n}")) for n in range(30))
        )
        assert {a.status_code for a in answers} == {200}
        assert sorted(int(a.headers["etag"][3:-1]) for a in answers) == list(range(2, 32))
        history = (await client.get("Patient/p1/_history?_count=100")).json()
        assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == [str(n) for n in range(31, 0, -1)]


async def test_of_concurrent_conditional_creates_one_creates(world: World) -> None:
    body = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "race"}]}
    async with world.client() as client:
        answers = await asyncio.gather(
            *(client.post("Patient", json=body, headers={"if-none-exist": "identifier=urn:x|race"}) for _ in range(10))
        )
        assert sorted(a.status_code for a in answers) == [200] * 9 + [201]
        assert len({a.json()["id"] for a in answers}) == 1


async def test_of_concurrent_guarded_updates_one_wins(world: World) -> None:
    async with world.client() as client:
        await client.put("Patient/g", json=patient("g"))
        answers = await asyncio.gather(
            *(
                client.put("Patient/g", json=patient("g", family=f"ر{n}"), headers={"if-match": 'W/"1"'})
                for n in range(8)
            )
        )
        assert sorted(a.status_code for a in answers) == [200] + [412] * 7
