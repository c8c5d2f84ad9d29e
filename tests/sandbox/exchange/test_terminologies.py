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


async def test_codes_are_translated_by_the_tenants_maps(world: World) -> None:
    def element(code: str, *targets: tuple[str, str]) -> dict[str, object]:
        return {"code": code, "target": [{"code": to, "equivalence": how} for to, how in targets]}

    group = {
        "source": "urn:a",
        "target": "urn:b",
        "element": [element("1", ("x", "wider"), ("y", "equivalent"))],
    }
    maps = {
        "fixed": {"mode": "fixed", "code": "other"},
        "same": {"mode": "provided"},
        "onward": {"mode": "other-map", "url": "urn:map:fixed"},
        "plain": None,
    }
    async with world.client() as client:
        for name, unmapped in maps.items():
            made = {"resourceType": "ConceptMap", "id": name, "url": f"urn:map:{name}", "status": "active", "sourceUri": "urn:vs:a",
                    "group": [group | ({"unmapped": unmapped} if unmapped else {})]}  # fmt: skip
            assert (await client.put(f"ConceptMap/{name}", json=made)).status_code == 201

        async def told(query: str) -> tuple[bool, set[tuple[str, str]]]:
            answer = await client.get(f"ConceptMap/{query}")
            assert answer.status_code == 200, answer.text
            parameters = answer.json()["parameter"]
            matches = [p["part"] for p in parameters if p["name"] == "match"]
            return parameters[0]["valueBoolean"], {(m[0]["valueCode"], m[1]["valueCoding"]["code"]) for m in matches}

        both = {("wider", "x"), ("equivalent", "y")}
        assert await told("$translate?url=urn:map:plain&system=urn:a&code=1") == (True, both)
        assert await told("plain/$translate?system=urn:a&code=1") == (True, both)
        assert await told("$translate?system=urn:a&code=1&source=urn:vs:a") == (True, both)
        assert await told("$translate?url=urn:map:plain&system=urn:z&code=1") == (False, set())
        assert await told("$translate?url=urn:map:plain&system=urn:a&code=9") == (False, set())
        assert await told("$translate?url=urn:map:plain&system=urn:b&code=x&reverse=true") == (
            True,
            {("narrower", "1")},
        )
        assert await told("$translate?url=urn:map:fixed&system=urn:a&code=9") == (True, {("inexact", "other")})
        assert await told("$translate?url=urn:map:same&system=urn:a&code=9") == (True, {("equal", "9")})
        assert await told("$translate?url=urn:map:onward&system=urn:a&code=9") == (True, {("inexact", "other")})
        assert (await client.get("ConceptMap/$translate?url=urn:none&system=urn:a&code=1")).status_code == 404
        assert (await client.get("ConceptMap/$translate?url=urn:map:plain")).status_code == 400


async def test_a_lookup_tells_what_stands_above_and_below(world: World) -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    async with world.client() as client:
        found = (await client.get(f"CodeSystem/$lookup?system={system}&code=active")).json()["parameter"]
        related = {(p["part"][0]["valueCode"], p["part"][1]["valueCode"]) for p in found if p["name"] == "property"}
        assert ("child", "relapse") in related
        only = (await client.get(f"CodeSystem/$lookup?system={system}&code=relapse&property=parent")).json()[
            "parameter"
        ]
        assert [p["part"][1]["valueCode"] for p in only if p["name"] == "property"] == ["active"]
