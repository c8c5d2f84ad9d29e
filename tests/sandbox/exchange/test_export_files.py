"""What stands in the files of an export: pinned, filtered, cut to elements, by range and compressed."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import orjson
import pytest

from tests.factories.exchange import World, observation, path_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
ASYNC = {"prefer": "respond-async"}


async def _asked(client: httpx.AsyncClient, path: str) -> str:
    answer = await client.get(path, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    return path_of(answer.headers["content-location"])


async def _files(client: httpx.AsyncClient, status: str) -> dict[str, list[dict[str, Any]]]:
    for _ in range(200):
        answer = await client.get(status)
        if answer.status_code == 200:
            break
    found = {}
    for item in answer.json()["output"]:
        text = (await client.get(path_of(item["url"]))).text
        found[item["type"]] = [orjson.loads(line) for line in text.splitlines()]
        assert len(found[item["type"]]) == item["count"]
    return found


async def test_what_changed_after_the_asking_is_exported_as_it_was(world: World) -> None:
    """With a filter and with a narrow scope, whether it was replaced or deleted, on the base or by the Tenant itself."""
    async with world.client() as owner:
        for fid, value in (("x1", 500), ("x2", 501), ("x3", 5), ("x4", 502)):
            await owner.put(f"Observation/{fid}", json=observation(fid, "p1", value=value))
        tenant = owner.headers["x-tenant"]
        cases = (
            ("system/*.rs", {}, "$export?_type=Observation&_typeFilter=Observation%3Fvalue-quantity%3Dge500", 3),
            ("system/Observation.rs?code=8480-6", {}, "$export?_type=Observation", 36),
            ("patient/*.rs", {"patient": "p1"}, "$export?_type=Observation", 8),
            ("system/*.rs", {}, "Patient/$export?_type=Observation&patient=p1", 8),
        )
        clients = [world.client(scope, tenant=tenant, **claims) for scope, claims, _, _ in cases]
        asked = [await _asked(c, path) for c, (_, _, path, _) in zip(clients, cases, strict=True)]
        await owner.put("Observation/x1", json=observation("x1", "p2", value=1))
        await owner.put("Observation/x1", json=observation("x1", "p2", value=2))
        await owner.delete("Observation/x2")
        await owner.put("Observation/x3", json=observation("x3", "p1", value=900))
        await owner.put("Observation/o1-1", json=observation("o1-1", "p2", value=900))
        await owner.post("Observation", json=observation("new", "p1", value=950))
        for client, status, (scope, _, _, count) in zip(clients, asked, cases, strict=True):
            found = (await _files(client, status))["Observation"]
            values = {r["id"]: r["valueQuantity"]["value"] for r in found}
            assert len(found) == len(values) == count, scope
            assert (values["x1"], values["x2"]) == (500, 501), scope
            assert 900 not in values.values(), scope
            await client.aclose()


async def test_elements_patients_and_formats(world: World) -> None:
    async with world.client() as client:
        found = await _files(client, await _asked(client, "$export?_type=Patient&_elements=birthDate"))
        assert all("birthDate" in r and "name" not in r for r in found["Patient"])
        assert found["Patient"][0]["meta"]["tag"][-1]["code"] == "SUBSETTED"
        parameters = [{"name": "patient", "valueReference": {"reference": f"Patient/p{n}"}} for n in (1, 2)]
        parameters.append({"name": "_type", "valueString": "Observation"})
        body = {"resourceType": "Parameters", "parameter": parameters}
        answer = await client.post("Patient/$export", json=body, headers=ASYNC)
        found = await _files(client, path_of(answer.headers["content-location"]))
        assert {r["subject"]["reference"] for r in found["Observation"]} == {"Patient/p1", "Patient/p2"}
        chained = "$export?_type=Observation&_typeFilter=Observation%3Fpatient.family%3Dکریمی"
        assert len((await _files(client, await _asked(client, chained)))["Observation"]) == 16
        for name in ("application/fhir%2Bndjson", "application/fhir+ndjson", "application/ndjson", "ndjson"):
            await _asked(client, f"$export?_type=Organization&_outputFormat={name}")
        assert (await client.get("$export?_outputFormat=text/csv", headers=ASYNC)).status_code == 400


async def test_a_file_comes_in_parts_and_compressed(world: World) -> None:
    async with world.client() as client:
        status = await _asked(client, "$export?_type=Observation")
        await _files(client, status)
        url = path_of((await client.get(status)).json()["output"][0]["url"])
        whole = await client.get(url, headers={"accept-encoding": "identity"})
        first = await client.get(url, headers={"range": "bytes=0-99"})
        await client.put("Observation/o1-1", json=observation("o1-1", "p1", value=1))  # moves it among the replaced
        rest = await client.get(url, headers={"range": "bytes=100-"})
        assert (first.status_code, rest.status_code) == (206, 206)
        assert first.content + rest.content == whole.content
        tail = await client.get(url, headers={"range": "bytes=-7"})
        assert tail.content == whole.content[-7:]
        beyond = await client.get(url, headers={"range": "bytes=99999999-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole.content)}")
        async with client.stream("GET", url, headers={"accept-encoding": "gzip"}) as packed:
            assert packed.headers["content-encoding"] == "gzip"
            raw = b"".join([chunk async for chunk in packed.aiter_raw()])
        assert gzip.decompress(raw) == whole.content
        assert (await client.delete(status)).status_code == 202
        assert {(await client.get(u)).status_code for u in (status, url)} == {404}
