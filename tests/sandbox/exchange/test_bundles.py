"""batch and transaction."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories.exchange import World, observation, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
URN = "urn:uuid:6a0f0b6e-0000-4000-8000-000000000001"


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: Any = None, full_url: str = "", **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url:
        made["fullUrl"] = full_url
    return made


async def test_references_between_new_entries_become_real(world: World) -> None:
    observed = observation("x", "x") | {"subject": {"reference": URN}}
    sent = bundle("transaction", entry("POST", "Observation", observed), entry("POST", "Patient", patient("y"), URN))
    async with world.client() as client:
        answer = await client.post("", json=sent)
        assert answer.status_code == 200, answer.text
        told = [e["response"] for e in answer.json()["entry"]]
        assert [t["status"] for t in told] == ["201 Created", "201 Created"]
        where = told[1]["location"].split("/_history")[0].rsplit("/", 1)[1]
        read = await client.get(told[0]["location"].split("/R4/")[1].split("/_history")[0])
        assert read.json()["subject"]["reference"] == f"Patient/{where}"
        found = (await client.get("Observation", params={"patient": where})).json()
        assert found["total"] == 1


async def test_a_transaction_that_fails_leaves_nothing(world: World) -> None:
    sent = bundle(
        "transaction",
        entry("PUT", "Patient/tx-1", patient("tx-1")),
        entry("DELETE", "Patient/p1"),
        entry("PUT", "Patient/p2", patient("p2", family="نو"), ifMatch='W/"9"'),
    )
    async with world.client() as client:
        answer = await client.post("", json=sent)
        assert answer.status_code == 412
        assert (await client.get("Patient/tx-1")).status_code == 404
        assert (await client.get("Patient/p1")).status_code == 200
        assert (await client.get("_history", params={"_count": "1"})).json()["entry"][0]["resource"]["meta"][
            "versionId"
        ] == "1"


async def test_a_batch_answers_each_entry_for_itself(world: World) -> None:
    sent = bundle(
        "batch",
        entry("GET", "Patient/p1"),
        entry("GET", "Patient/nobody"),
        entry("PUT", "Patient/b-1", patient("b-1")),
        entry("POST", "Patient", {"resourceType": "Observation"}),
        entry("GET", "Observation?patient=p1&_count=1"),
    )
    async with world.client() as client:
        answer = (await client.post("", json=sent)).json()
    assert answer["type"] == "batch-response"
    statuses = [e["response"]["status"][:3] for e in answer["entry"]]
    assert statuses == ["200", "404", "201", "400", "200"]
    assert answer["entry"][0]["resource"]["id"] == "p1"
    assert answer["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert answer["entry"][4]["resource"]["total"] == 4


async def test_conditional_entries_and_references_resolve(world: World) -> None:
    observed = observation("x", "x") | {"subject": {"reference": "Patient?identifier=urn:oid:1.2.3|N-4"}}
    once = patient("z", identifier=[{"system": "urn:x", "value": "tx-once"}])
    sent = bundle(
        "transaction",
        entry("POST", "Observation", observed),
        entry("POST", "Patient", once, URN, ifNoneExist="identifier=urn:x|tx-once"),
        entry("PUT", "Patient?identifier=urn:oid:1.2.3|N-6", patient("", family="شرطی") | {"id": "p6"}),
    )
    async with world.client() as client:
        first = (await client.post("", json=sent)).json()
        assert [e["response"]["status"][:3] for e in first["entry"]] == ["201", "201", "200"]
        second = (await client.post("", json=sent)).json()
        assert [e["response"]["status"][:3] for e in second["entry"]] == ["201", "200", "200"]
        assert (await client.get("Observation", params={"patient": "p4"})).json()["total"] == 6
        assert (await client.get("Patient/p6")).json()["name"][0]["family"] == "شرطی"
        sent["entry"][0]["resource"]["subject"]["reference"] = "Patient?identifier=none"
        refused = await client.post("", json=sent)
        assert refused.status_code == 412
        assert refused.json()["issue"][0]["expression"] == ["Bundle.entry[0]"]


async def test_two_entries_on_one_resource_are_refused(world: World) -> None:
    sent = bundle("transaction", entry("PUT", "Patient/p1", patient("p1")), entry("DELETE", "Patient/p1"))
    async with world.client() as client:
        assert (await client.post("", json=sent)).status_code == 400


async def test_reads_in_a_transaction_see_its_writes(world: World) -> None:
    sent = bundle("transaction", entry("GET", "Patient/seen-1"), entry("PUT", "Patient/seen-1", patient("seen-1")))
    async with world.client() as client:
        answer = (await client.post("", json=sent)).json()
    assert answer["entry"][0]["resource"]["id"] == "seen-1"
    assert answer["entry"][1]["response"]["status"] == "201 Created"


async def test_links_between_entries_are_made_real_wherever_they_stand(world: World) -> None:
    first, second = "urn:uuid:11111111-1111-4111-8111-111111111111", "urn:uuid:22222222-2222-4222-8222-222222222222"
    person = patient("any") | {
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{second}">it</a></div>',
        },
        "extension": [
            {"url": "http://example.org/a", "valueReference": {"reference": second}},
            {"url": "http://example.org/b", "valueUri": second},
        ],
    }
    sample = observation("any", "any") | {"subject": {"reference": first}}
    entries = [
        {"fullUrl": second, "resource": sample, "request": {"method": "POST", "url": "Observation"}},
        {"fullUrl": first, "resource": person, "request": {"method": "POST", "url": "Patient"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    async with world.client() as client:
        answer = (await client.post("", json=bundle)).json()
        places = [e["response"]["location"].split("/R4/")[1].partition("/_history")[0] for e in answer["entry"]]
        stored = await client.get(places[1])
        assert "urn:uuid" not in stored.text
        assert f'href=\\"{places[0]}\\"' in stored.text
        assert stored.json()["extension"][1]["valueUri"] == places[0]
        entries[1]["fullUrl"] = "urn:uuid:33333333-3333-4333-8333-333333333333"
        refused = await client.post("", json=bundle)
        assert refused.status_code == 400
        assert first in refused.text
