"""A token's limits hold on every way by which a resource could be reached."""

from __future__ import annotations

import httpx
import pytest

from tests.factories.exchange import World, observation, patient, tenant_of

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _found(client: httpx.AsyncClient, query: str) -> set[str]:
    answer = await client.get(query)
    assert answer.status_code == 200, answer.text
    return {e["fullUrl"].rsplit("/", 1)[1] for e in answer.json().get("entry", [])}


async def _linked_patients(world: World) -> str:
    """A Tenant where p1's Observation is performed by p2, and p2 links to p1."""
    async with world.client() as owner:
        await owner.put("Observation/shared", json=observation("shared", "p1") | {"note": [{"text": "secret of p1"}]})
        await owner.put(
            "Patient/p2", json=patient("p2", link=[{"other": {"reference": "Patient/p1"}, "type": "seealso"}])
        )
        await owner.put("Observation/o2-1", json=observation("o2-1", "p2", value=999))
        await owner.delete("Observation/o2-2")
        return tenant_of(owner)


@pytest.mark.parametrize(
    "query",
    [
        "Observation?_count=100",
        "Patient?_count=100",
        "Observation?patient=p1",
        "Observation?_id=shared,o1-1",
        "Patient?_id=p2&_include=Patient:link",
        "Patient?_id=p2&_include=*",
        "Patient?_id=p2&_revinclude=Observation:subject&_revinclude:iterate=Provenance:target",
        "Observation?subject:Patient.link=Patient/p1",
        "Patient/p2/Observation?_count=100",
        "Patient/p2/*?_count=100",
        "?_type=Patient,Observation&_count=100",
        "Observation?_sort=-date&_count=100",
        "Observation?_content=secret",
        "Observation?code=8480-6&_include=Observation:patient&_count=100",
        "Observation/_history?_count=100",
        "_history?_count=100",
    ],
)
async def test_a_patient_token_meets_only_its_patient(world: World, query: str) -> None:
    tenant = await _linked_patients(world)
    async with world.client("patient/*.rs", tenant=tenant, patient="p2") as client:
        found = await _found(client, query)
        assert found <= {"p2", "o2-1", "o2-2", "o2-3", "o2-4", "e2", "org-1"}, query


async def test_others_do_not_exist_for_a_patient_token(world: World) -> None:
    tenant = await _linked_patients(world)
    async with world.client("patient/*.cruds", tenant=tenant, patient="p2") as client:
        assert (await client.get("Patient/p2")).status_code == 200
        assert (await client.get("Organization/org-1")).status_code == 200
        for path in (
            "Patient/p1",
            "Observation/shared",
            "Observation/o1-1",
            "Patient/p1/_history",
            "Patient/p1/_history/1",
        ):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.get("Patient/p1/Observation")).status_code == 404
        assert (await client.get("Observation?_summary=count")).json()["total"] == 3
        assert (await client.get("Observation?patient=p1&_total=accurate")).json()["total"] == 0
        assert (await client.delete("Observation/shared")).status_code == 204
        assert (await client.put("Observation/shared", json=observation("shared", "p2"))).status_code == 404
        assert (await client.post("Observation", json=observation("", "p1") | {"id": "x"})).status_code == 403
        assert (await client.put("Observation/o2-1", json=observation("o2-1", "p1"))).status_code == 403
        assert (
            await client.post("Organization", json={"resourceType": "Organization", "name": "x"})
        ).status_code == 403
        assert (await client.post("Observation", json=observation("x", "p2"))).status_code == 201
    async with world.client(tenant=tenant) as owner:
        assert (await owner.get("Observation/shared")).json()["subject"]["reference"] == "Patient/p1"
        assert (await owner.get("Observation/o2-1")).json()["subject"]["reference"] == "Patient/p2"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?_has:Observation:patient:code=8480-6", set()),
        ("Patient?_id=p1&_has:Observation:patient:code=8480-6", set()),
        ("Patient?_id=p3&_revinclude=Observation:patient", {"p3"}),
        ("Patient?_id=p3&_revinclude=Encounter:patient", {"p3"}),
        ("Patient/p3/*", {"p3"}),
    ],
)
async def test_types_without_a_scope_stay_out_of_sight(world: World, query: str, expected: set[str]) -> None:
    async with world.client("system/Patient.rs") as client:
        assert await _found(client, query) == expected


async def test_reading_needs_r_searching_needs_s(world: World) -> None:
    async with world.client("system/Patient.r") as client:
        assert (await client.get("Patient/p1")).status_code == 200
        refused = await client.get("Patient")
        assert refused.status_code == 403
        assert "insufficient_scope" in refused.headers["www-authenticate"]
        assert (await client.get("Observation/o1-1")).status_code == 403
        assert (await client.post("Patient", json=patient("x"))).status_code == 403
        assert (await client.put("Patient/p1", json=patient("p1"))).status_code == 403
        assert (await client.delete("Patient/p1")).status_code == 403


async def test_a_scope_restricted_by_category_shows_no_other_category(world: World) -> None:
    async with world.client() as owner:
        lab = observation("lab-1", "p1") | {"category": [{"coding": [{"system": "urn:c", "code": "laboratory"}]}]}
        assert (await owner.put("Observation/lab-1", json=lab)).status_code == 201
        tenant = tenant_of(owner)
    async with world.client("system/Observation.rs?category=urn:c|laboratory", tenant=tenant) as client:
        assert await _found(client, "Observation?_count=100") == {"lab-1"}
        assert await _found(client, "Observation?patient=p1") == {"lab-1"}
        assert (await client.get("Observation/lab-1")).status_code == 200
        assert (await client.get("Observation/o1-1")).status_code == 404
        assert (await client.get("Observation?_summary=count")).json()["total"] == 1


async def test_a_token_of_another_audience_or_issuer_or_age_is_401(world: World) -> None:
    for claims in ({"aud": "http://elsewhere"}, {"iss": "http://elsewhere"}, {"exp": 1}, {"typ": "x", "iat": "soon"}):
        async with world.client(**claims) as client:
            assert (await client.get("Patient/p1")).status_code == 401, claims
    async with world.client() as client:
        token = client.headers["authorization"]
        tampered = token[:-6] + ("A" if token[-6] != "A" else "B") + token[-5:]
        assert (await client.get("Patient/p1", headers={"authorization": tampered})).status_code == 401
