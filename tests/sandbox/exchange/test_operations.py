"""Operations of the specification."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest

from tests.factories.exchange import World, observation, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_everything_is_the_patient_first_then_its_record_in_pages(world: World) -> None:
    async with world.client() as client:
        await client.put("Observation/later", json=observation("later", "p1", effectiveDateTime="2026-10-01"))
        whole = (await client.get("Patient/p1/$everything")).json()
        matches = [e["resource"]["id"] for e in whole["entry"] if e["search"]["mode"] == "match"]
        assert matches[0] == "p1"
        assert set(matches) == {"p1", "later", "e1", "o1-1", "o1-2", "o1-3", "o1-4"}
        assert "org-1" in {e["resource"]["id"] for e in whole["entry"] if e["search"]["mode"] == "include"}
        assert whole["total"] == 7
        paged: list[str] = []
        url: str | None = "Patient/p1/$everything?_count=2"
        while url:
            page = (await client.get(url)).json()
            paged += [e["resource"]["id"] for e in page["entry"] if e["search"]["mode"] == "match"]
            url = next((x["url"].split("/R4/")[1] for x in page["link"] if x["relation"] == "next"), None)
        assert sorted(paged) == sorted(matches)
        typed = (await client.get("Patient/p1/$everything?_type=Encounter")).json()
        assert [e["resource"]["id"] for e in typed["entry"]] == ["e1"]
        dated = (await client.get("Patient/p1/$everything?start=2026-09-01&_type=Observation")).json()
        assert [e["resource"]["id"] for e in dated["entry"]] == ["later"]
        since = (await client.get("Patient/p1/$everything?_since=2099-01-01")).json()
        assert "entry" not in since
        assert (await client.get("Patient/nobody/$everything")).status_code == 404
        assert (await client.get("Patient/p1/$everything?unknown=1")).status_code == 400


async def test_everything_of_a_patient_token_stays_with_its_patient(world: World) -> None:
    async with world.client("patient/*.rs", patient="p2") as client:
        assert (await client.get("Patient/p1/$everything")).status_code == 404
        found = (await client.get("Patient/p2/$everything")).json()
    assert {e["resource"]["id"] for e in found["entry"]} == {"p2", "e2", "o2-1", "o2-2", "o2-3", "o2-4", "org-1"}


async def test_validate_judges_without_storing(world: World) -> None:
    async with world.client() as client:
        good = await client.post("Patient/$validate", json=patient("x"))
        assert good.status_code == 200
        assert good.json()["issue"][0]["severity"] == "information"
        bad = await client.post("Patient/$validate", json=patient("x", birthDate="soon", nothing=1))
        assert bad.status_code == 200
        assert {i["severity"] for i in bad.json()["issue"]} == {"error"}
        wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": patient("x")}]}
        assert (await client.post("Patient/$validate", json=wrapped)).json()["issue"][0]["severity"] == "information"
        assert (await client.get("Patient/p1/$validate")).json()["issue"][0]["severity"] == "information"
        assert (await client.post("Observation/$validate", json=patient("x"))).json()["issue"][0]["severity"] == "error"
        assert (await client.post("Patient/$validate", content=b"")).status_code == 400


async def test_an_invalid_write_is_refused_with_every_issue(world: World) -> None:
    async with world.client() as client:
        answer = await client.post("Patient", json=patient("x", birthDate="1370/01/01", gender="boy", active="yes"))
        assert answer.status_code == 422
        expressions = {i["expression"][0] for i in answer.json()["issue"]}
        assert {"Patient.birthDate", "Patient.gender", "Patient.active"} <= expressions
        lost = await client.post("Observation", json=observation("x", "nobody"))
        assert lost.status_code == 422
        assert lost.json()["issue"][0]["expression"] == ["Observation.subject.reference"]


async def test_meta_is_read_added_to_and_taken_from(world: World) -> None:
    tag = {"system": "urn:t", "code": "red"}
    body = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [tag]}}]}
    async with world.client() as client:
        added = (await client.post("Patient/p1/$meta-add", json=body)).json()
        assert added["parameter"][0]["valueMeta"]["tag"] == [tag]
        assert (await client.get("Patient", params={"_tag": "urn:t|red"})).json()["total"] == 1
        used = (await client.get("Patient/$meta")).json()["parameter"][0]["valueMeta"]
        assert tag in used["tag"]
        await client.post("Patient/p1/$meta-delete", json=body)
        assert "tag" not in (await client.get("Patient/p1/$meta")).json()["parameter"][0]["valueMeta"]
        assert (await client.get("Patient/p1/$meta-add")).status_code == 405


async def test_match_scores_and_grades(world: World) -> None:
    def asked(resource: dict[str, Any], **more: Any) -> dict[str, Any]:
        parts = [{"name": "resource", "resource": resource}] + [{"name": k, "valueBoolean": v} for k, v in more.items()]
        return {"resourceType": "Parameters", "parameter": parts}

    known = {"resourceType": "Patient", "identifier": [{"system": "urn:oid:1.2.3", "value": "N-3"}]}
    vague = {"resourceType": "Patient", "name": [{"family": "كريمي", "given": ["نام3"]}], "birthDate": "1963-03-15"}
    async with world.client() as client:
        sure = (await client.post("Patient/$match", json=asked(known))).json()
        assert [(e["resource"]["id"], e["search"]["extension"][0]["valueCode"]) for e in sure["entry"]] == [
            ("p3", "certain")
        ]
        likely = (await client.post("Patient/$match", json=asked(vague))).json()
        assert likely["entry"][0]["resource"]["id"] == "p3"
        assert likely["entry"][0]["search"]["extension"][0]["valueCode"] == "probable"
        none = (await client.post("Patient/$match", json=asked(vague, onlyCertainMatches=True))).json()
        assert none["total"] == 0
        assert (await client.post("Patient/$match", json=observation("x", "p1"))).status_code == 400


async def test_lastn_keeps_the_latest_of_each_code(world: World) -> None:
    async with world.client() as client:
        await client.put("Observation/w1", json=observation("w1", "p1", code="29463-7"))
        found = (await client.get("Observation/$lastn?patient=Patient/p1")).json()
        assert {e["resource"]["id"] for e in found["entry"]} == {"w1", "o1-4"}
        two = (await client.get("Observation/$lastn?patient=Patient/p1&max=2")).json()
        assert {e["resource"]["id"] for e in two["entry"]} == {"w1", "o1-4", "o1-3"}
        assert (await client.get("Observation/$lastn")).status_code == 400


async def _export(client: httpx.AsyncClient, path: str) -> dict[str, Any]:
    started = await client.get(path, headers={"prefer": "respond-async"})
    assert started.status_code == 202, started.text
    where = started.headers["content-location"].split("/R4/")[1]
    for _ in range(20):
        answer = await client.get(where)
        if answer.status_code != 202:
            break
    assert answer.status_code == 200
    made: dict[str, Any] = answer.json()
    return made | {"status": where}


async def _lines(client: httpx.AsyncClient, manifest: dict[str, Any], rtype: str) -> list[dict[str, Any]]:
    url = next(o["url"] for o in manifest["output"] if o["type"] == rtype)
    answer = await client.get(url.split("/R4/")[1])
    assert answer.headers["content-type"] == "application/fhir+ndjson"
    return [orjson.loads(line) for line in answer.content.splitlines()]


async def test_export_is_pinned_to_when_it_was_asked_for(world: World) -> None:
    async with world.client() as client:
        await client.put("Patient/p1", json=patient("p1", family="پیشین"))
        await client.delete("Patient/p2")
        manifest = await _export(client, "$export?_type=Patient,Observation")
        assert {(o["type"], o["count"]) for o in manifest["output"]} == {("Patient", 7), ("Observation", 32)}
        await client.put("Patient/p1", json=patient("p1", family="پسین"))
        await client.put("Patient/p99", json=patient("p99"))
        await client.delete("Patient/p3")
        lines = await _lines(client, manifest, "Patient")
        assert sorted(p["id"] for p in lines) == ["p1", "p3", "p4", "p5", "p6", "p7", "p8"]
        assert next(p for p in lines if p["id"] == "p1")["name"][0]["family"] == "پیشین"
        url = manifest["output"][0]["url"].split("/R4/")[1]
        whole = (await client.get(url)).content
        asked = await client.get(url, headers={"accept": "application/fhir+ndjson"})
        assert (asked.status_code, asked.content) == (200, whole)
        assert (await client.get("Patient/p1", headers={"accept": "application/fhir+ndjson"})).status_code == 406
        part = await client.get(url, headers={"range": "bytes=10-99"})
        assert (part.status_code, part.content) == (206, whole[10:100])
        assert part.headers["content-range"] == f"bytes 10-99/{len(whole)}"
        assert (await client.delete(manifest["status"])).status_code == 202
        assert (await client.get(manifest["status"])).status_code == 404


async def test_export_of_a_group_filters_and_times(world: World) -> None:
    group = {"resourceType": "Group", "id": "g1", "type": "person", "actual": True}
    group |= {"member": [{"entity": {"reference": f"Patient/p{n}"}} for n in (1, 2)]}
    async with world.client() as client:
        assert (await client.put("Group/g1", json=group)).status_code == 201
        manifest = await _export(
            client, "Group/g1/$export?_type=Patient,Observation&_typeFilter=Observation%3Fdate%3D2026-01"
        )
        assert {o["id"] for o in await _lines(client, manifest, "Observation")} == {"o1-1", "o2-1"}
        assert {o["id"] for o in await _lines(client, manifest, "Patient")} == {"p1", "p2"}
        later = await _export(client, "Patient/$export?_since=2099-01-01T00:00:00Z")
        assert later["output"] == []
        for bad in (
            "$export?_type=Nothing",
            "$export?_outputFormat=csv",
            "$export?_typeFilter=Observation?x=1",
            "$export?x=1",
        ):
            assert (await client.get(bad, headers={"prefer": "respond-async"})).status_code == 400, bad
        assert (await client.get("$export")).status_code == 400


async def test_an_export_belongs_to_who_asked_and_shows_what_they_may_see(world: World) -> None:
    async with world.client("patient/*.rs", patient="p2") as client:
        manifest = await _export(client, "Patient/$export")
        assert {o["id"] for o in await _lines(client, manifest, "Observation")} == {"o2-1", "o2-2", "o2-3", "o2-4"}
        assert {o["id"] for o in await _lines(client, manifest, "Patient")} == {"p2"}
        tenant = client.headers["x-tenant"]
    async with world.client(tenant=tenant, client_id="other") as other:
        assert (await other.get(manifest["status"])).status_code == 404


async def test_import_takes_good_lines_and_names_bad_ones(world: World) -> None:
    lines = [
        observation("i-o1", "i-p1"),
        patient("i-p1"),
        patient("i-p2", birthDate="soon"),
        {"resourceType": "Patient"},
        patient("i-p1", family="دوباره"),
    ]
    body = b"\n".join([*(orjson.dumps(line) for line in lines), b"{broken", b""])
    async with world.client() as client:
        headers = {"content-type": "application/fhir+ndjson"}
        answer = await client.post("$import", content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        told = {p["name"]: p for p in answer.json()["parameter"]}
        assert (told["imported"]["valueInteger"], told["refused"]["valueInteger"]) == (3, 3)
        texts = " ".join(i["details"]["text"] for i in told["outcome"]["resource"]["issue"])
        assert all(f"Line {n}:" in texts for n in (3, 4, 6))
        assert (await client.get("Patient/i-p1")).json()["name"][0]["family"] == "دوباره"
        assert (await client.get("Observation?patient=i-p1")).json()["total"] == 1
        assert (await client.get("Patient/i-p2")).status_code == 404
        assert (await client.post("$import", json={})).status_code == 415


async def test_everything_of_a_patient_with_nothing_else_is_the_patient(world: World) -> None:
    async with world.client() as client:
        made = (await client.post("Patient", json={"resourceType": "Patient", "name": [{"family": "تنها"}]})).json()
        answer = await client.get(f"Patient/{made['id']}/$everything")
    assert answer.status_code == 200, answer.text
    assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == [made["id"]]
