"""Terminology operations over HTTP, and the searches that lean on them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories.exchange import World, observation

pytestmark = pytest.mark.asyncio(loop_scope="session")
STATUS = "http://hl7.org/fhir/ValueSet/observation-status"
GENDER = "http://hl7.org/fhir/administrative-gender"


def value(parameters: dict[str, Any], name: str) -> Any:
    found = [p for p in parameters["parameter"] if p["name"] == name]
    return next(v for k, v in found[0].items() if k.startswith("value")) if found else None


async def test_expand_lists_filters_and_pages(world: World) -> None:
    async with world.client() as client:
        whole = (await client.get("ValueSet/$expand", params={"url": STATUS})).json()
        assert whole["expansion"]["total"] == 8
        page = (await client.get("ValueSet/$expand", params={"url": STATUS, "filter": "fin", "count": "1"})).json()
        assert [c["code"] for c in page["expansion"]["contains"]] == ["final"]
        inline = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [{"system": GENDER}]}}
        sent = {"resourceType": "Parameters", "parameter": [{"name": "valueSet", "resource": inline}]}
        assert (await client.post("ValueSet/$expand", json=sent)).json()["expansion"]["total"] == 4
        assert (await client.post("ValueSet/$expand", json=inline)).json()["expansion"]["total"] == 4
        assert (await client.get("ValueSet/$expand")).status_code == 400
        assert (await client.get("ValueSet/$expand", params={"url": "urn:nothing"})).status_code == 404
        assert (await client.get("ValueSet/$expand", params={"url": STATUS, "count": "x"})).status_code == 400
        loinc = await client.get("ValueSet/$expand", params={"url": "http://hl7.org/fhir/ValueSet/observation-codes"})
        assert loinc.status_code == 422


async def test_a_tenants_own_systems_and_sets_are_used_and_stay_its_own(world: World) -> None:
    system = {
        "resourceType": "CodeSystem", "id": "own", "url": "urn:own-system", "status": "active", "content": "complete",
        "concept": [{"code": "a", "display": "الف", "concept": [{"code": "b", "display": "ب"}]}],
    }  # fmt: skip
    below = [{"property": "concept", "op": "is-a", "value": "a"}]
    value_set = {
        "resourceType": "ValueSet", "id": "own", "url": "urn:own-set", "status": "active",
        "compose": {"include": [{"system": "urn:own-system", "filter": below}]},
    }  # fmt: skip
    async with world.client() as client:
        assert (await client.put("CodeSystem/own", json=system)).status_code == 201
        assert (await client.put("ValueSet/own", json=value_set)).status_code == 201
        for path in ("ValueSet/own/$expand", "ValueSet/$expand?url=urn:own-set"):
            found = (await client.get(path)).json()
            assert [c["code"] for c in found["expansion"]["contains"]] == ["a", "b"]
        found = (await client.get("CodeSystem/$lookup", params={"system": "urn:own-system", "code": "b"})).json()
        assert value(found, "display") == "ب"
        found = (await client.get("CodeSystem/$subsumes?system=urn:own-system&codeA=a&codeB=b")).json()
        assert value(found, "outcome") == "subsumes"
        found = (await client.get("CodeSystem/own/$validate-code?code=z")).json()
        assert value(found, "result") is False
    async with world.client() as stranger:
        assert (await stranger.get("ValueSet/own/$expand")).status_code == 404
        assert (await stranger.get("ValueSet/$expand?url=urn:own-set")).status_code == 404


async def test_codes_are_validated_in_every_form(world: World) -> None:
    async with world.client() as client:
        asked = {"url": STATUS, "system": "http://hl7.org/fhir/observation-status"}
        good = (await client.get("ValueSet/$validate-code", params={**asked, "code": "final"})).json()
        assert value(good, "result") is True
        bad = await client.get(
            "ValueSet/$validate-code", params={**asked, "code": "x"}, headers={"accept-language": "fa"}
        )
        assert value(bad.json(), "result") is False
        assert "نیست" in value(bad.json(), "message")
        concept = {"coding": [{"system": "urn:x", "code": "y"}, {"system": GENDER, "code": "male"}]}
        sent = {"resourceType": "Parameters", "parameter": [
            {"name": "url", "valueUri": "http://hl7.org/fhir/ValueSet/administrative-gender"},
            {"name": "codeableConcept", "valueCodeableConcept": concept}]}  # fmt: skip
        assert value((await client.post("ValueSet/$validate-code", json=sent)).json(), "result") is True
        in_system = (await client.get("CodeSystem/$validate-code", params={"url": GENDER, "code": "male"})).json()
        assert value(in_system, "display") == "Male"
        assert (await client.get("ValueSet/$validate-code", params={"url": STATUS})).status_code == 400
        assert (await client.get("CodeSystem/$lookup", params={"system": GENDER, "code": "x"})).status_code == 404
        assert (await client.get("CodeSystem/$lookup")).status_code == 400
        assert (await client.get("CodeSystem/$subsumes?codeA=a")).status_code == 400


async def test_search_by_membership_in_a_value_set(world: World) -> None:
    async with world.client() as client:
        await client.put("Observation/pre", json=observation("pre", "p1", status="preliminary"))
        found = (await client.get("Observation", params={"status:in": STATUS, "patient": "p1"})).json()
        assert len(found["entry"]) == 5
        outside = (await client.get("Patient", params={"gender:in": STATUS})).json()
        assert "entry" not in outside
        assert (await client.get("Observation", params={"code:in": "urn:nothing"})).status_code == 400
        # All of LOINC: no list of its codes ships, and none is needed.
        every = {"code:in": "http://hl7.org/fhir/ValueSet/observation-codes", "patient": "p1"}
        assert len((await client.get("Observation", params=every)).json()["entry"]) == 5
