"""XML in and out, and JSON wherever the caller leaves the choice."""

from __future__ import annotations

import pytest

from sandbox.fhir.xml import FHIR, from_xml
from tests.factories.exchange import World, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
XML = {"accept": "application/fhir+xml"}
BODY = f'<Patient xmlns="{FHIR}"><name><family value="صادقی"/></name><gender value="female"/></Patient>'.encode()


async def test_what_is_written_in_xml_is_read_in_either_format(world: World) -> None:
    async with world.client() as client:
        made = await client.post("Patient", content=BODY, headers={"content-type": "application/fhir+xml", **XML})
        assert made.status_code == 201
        assert made.headers["content-type"].startswith("application/fhir+xml")
        fid = from_xml(made.content)["id"]
        assert (await client.get(f"Patient/{fid}")).json()["name"] == [{"family": "صادقی"}]
        read = await client.get(f"Patient/{fid}", headers=XML)
        assert from_xml(read.content)["gender"] == "female"
        assert read.headers["etag"] == 'W/"1"'
        found = from_xml((await client.get(f"Patient?_id={fid}&_format=xml")).content)
        assert found["resourceType"] == "Bundle"
        assert [e["resource"]["id"] for e in found["entry"]] == [fid]
        changed = BODY.replace(b"female", b"male").replace(b"<name>", f'<id value="{fid}"/><name>'.encode())
        assert (
            await client.put(f"Patient/{fid}", content=changed, headers={"content-type": "application/xml"})
        ).status_code == 200


async def test_refusals_come_in_the_format_that_was_asked_for(world: World) -> None:
    async with world.client() as client:
        absent = await client.get("Patient/nobody", headers=XML)
        assert absent.status_code == 404
        assert from_xml(absent.content)["issue"][0]["code"] == "not-found"
        broken = await client.post("Patient", content=b"<Patient", headers={"content-type": "application/fhir+xml"})
        assert broken.status_code == 400
        assert broken.json()["issue"][0]["details"]["coding"][0]["code"] == "xml"
        invalid = BODY.replace(b"female", b"lady")
        refused = await client.post("Patient", content=invalid, headers={"content-type": "application/fhir+xml"})
        assert refused.status_code == 422
        assert refused.json()["issue"][0]["expression"] == ["Patient.gender"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "json"),
        ("application/fhir+xml;q=0.5, application/fhir+json", "json"),
        ("application/fhir+json;q=0.5, application/fhir+xml", "xml"),
        ("application/fhir+json, application/fhir+xml", "json"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"),
        ("application/xml", "xml"),
        ("application/fhir+json; fhirVersion=4.0", "json"),
    ],
)
async def test_the_preferred_format_answers(world: World, accept: str, kind: str) -> None:
    async with world.client() as client:
        answer = await client.get("Patient/p1", headers={"accept": accept})
        assert answer.headers["content-type"].startswith(f"application/fhir+{kind}")


async def test_pretty_json_keeps_its_decimals(world: World) -> None:
    async with world.client() as client:
        body = b'{"resourceType":"Observation","id":"d","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}'
        await client.put("Observation/d", content=body, headers={"content-type": "application/fhir+json"})
        shown = await client.get("Observation/d?_pretty=true")
        assert b'"value": 1.00' in shown.content
        assert b'value="1.00"' in (await client.get("Observation/d", headers=XML)).content


async def test_the_capability_statement_names_both_formats(world: World) -> None:
    async with world.client() as client:
        assert (await client.get("metadata")).json()["format"] == ["json", "xml"]
        assert from_xml((await client.get("metadata", headers=XML)).content)["fhirVersion"] == "4.0.1"
        assert (await client.put("Patient/x", json=patient("x"))).status_code == 201
