"""The CapabilityStatement cannot lie: what it declares works, what it does not declare is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from sandbox.fhir import definitions, validation
from tests.factories.exchange import World, observation, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as made:
        yield made


async def _rest(client: httpx.AsyncClient) -> dict[str, Any]:
    statement = (await client.get("metadata")).json()
    rest: dict[str, Any] = statement["rest"][0]
    return rest


async def test_the_statement_is_a_valid_resource(client: httpx.AsyncClient) -> None:
    statement = (await client.get("metadata")).json()
    assert validation.errors(validation.validate(statement)) == []


async def test_every_declared_search_parameter_is_answered(client: httpx.AsyncClient) -> None:
    for kind in (await _rest(client))["resource"]:
        for parameter in kind["searchParam"]:
            name = parameter["name"]
            values = {"number": "1", "quantity": "1", "date": "2026", "composite": "a$1", "special": "1|1|1|km"}
            value = values.get(parameter["type"], "x")
            if parameter["type"] == "composite":
                # One part for each component, in a form that a number, a date and a code can take.
                count = len(definitions.search_parameters(kind["type"])[name].components)
                value = "$".join(["2026"] * count)
            answer = await client.get(kind["type"], params={name: value, "_count": "1", "_total": "none"})
            assert answer.status_code == 200, (kind["type"], name, answer.text)


async def test_what_is_not_declared_is_refused(client: httpx.AsyncClient) -> None:
    for kind in (await _rest(client))["resource"]:
        declared = {p["name"] for p in kind["searchParam"]}
        for name in {*definitions.search_parameters(kind["type"]), "_query", "_filter", "nonsense"} - declared:
            answer = await client.get(kind["type"], params={name: "1"})
            assert answer.status_code in (400, 501), (kind["type"], name)
        operations = {o["name"] for o in kind.get("operation", ())}
        for name in {"nonsense", "everything", "lastn", "match", "expand", "translate", "lookup"} - operations:
            for path in (f"{kind['type']}/${name}", f"{kind['type']}/x/${name}"):
                assert (await client.get(path)).status_code == 404, path


async def test_every_declared_operation_is_there(client: httpx.AsyncClient) -> None:
    """Asked with nothing, an operation says what it needs; it does not say that there is no such thing."""
    rest = await _rest(client)
    declared = [("", o["name"]) for o in rest["operation"]]
    declared += [(kind["type"], o["name"]) for kind in rest["resource"] for o in kind.get("operation", ())]
    assert len(declared) > 20
    for rtype, name in declared:
        paths = (
            (f"{rtype}/${name}", f"{rtype}/nobody/${name}")
            if rtype
            else (f"${name}", f"Patient/${name}", f"Patient/p1/${name}")
        )
        answers = [await client.get(path) for path in paths]
        assert any("There is no operation" not in answer.text for answer in answers), (rtype, name)
        for answer in answers:
            refused = answer.status_code >= 400 and not name.startswith(
                "sandbox-"
            )  # the Tenant's controls speak plain JSON
            assert not refused or answer.json()["resourceType"] == "OperationOutcome", answer.text


async def test_every_declared_interaction_works(client: httpx.AsyncClient) -> None:
    kinds = {kind["type"]: kind for kind in (await _rest(client))["resource"]}
    patch = {"content": b'[{"op": "add", "path": "/language", "value": "fa"}]'}
    headers = {"content-type": "application/json-patch+json"}
    for resource in (patient("c1"), observation("c1", "p1"), {"resourceType": "Organization", "id": "c1", "name": "x"}):
        rtype = resource["resourceType"]
        asked = {
            "create": await client.post(rtype, json=resource),
            "update": await client.put(f"{rtype}/c1", json=resource),
            "read": await client.get(f"{rtype}/c1"),
            "vread": await client.get(f"{rtype}/c1/_history/1"),
            "patch": await client.patch(f"{rtype}/c1", **patch, headers=headers),
            "history-instance": await client.get(f"{rtype}/c1/_history"),
            "history-type": await client.get(f"{rtype}/_history?_count=1"),
            "search-type": await client.get(f"{rtype}?_count=1"),
            "delete": await client.delete(f"{rtype}/c1"),
        }
        assert set(asked) == {i["code"] for i in kinds[rtype]["interaction"]}
        for code, answer in asked.items():
            assert answer.status_code in (200, 201, 204), (rtype, code, answer.text)


async def test_system_interactions_and_compartments(client: httpx.AsyncClient) -> None:
    rest = await _rest(client)
    empty = {"resourceType": "Bundle", "entry": []}
    asked = {
        "transaction": await client.post("", json={"resourceType": "Bundle", "type": "transaction"}),
        "batch": await client.post("", json={"resourceType": "Bundle", "type": "batch"}),
        "search-system": await client.get("?_type=Patient&_count=1"),
        "history-system": await client.get("_history?_count=1"),
    }
    assert set(asked) == {i["code"] for i in rest["interaction"]}
    assert {answer.status_code for answer in asked.values()} == {200}
    assert (await client.post("", json=empty)).status_code == 400
    declared = {url.rpartition("/")[2] for url in rest["compartment"]}
    for rtype in definitions.RESOURCE_TYPES:
        answer = await client.get(f"{rtype}/nobody/Observation")
        assert answer.status_code == 404
    for kind, fid in (("Patient", "p1"), ("Encounter", "e1")):
        assert kind.lower() in declared
        assert (await client.get(f"{kind}/{fid}/Observation")).status_code == 200
    assert (await client.get("Organization/org-1/Observation")).status_code == 404


async def test_includes_are_those_that_are_declared(client: httpx.AsyncClient) -> None:
    kinds = {kind["type"]: kind for kind in (await _rest(client))["resource"]}
    for rtype in ("Patient", "Encounter", "MedicationRequest"):
        for parameter, values in (
            ("_include", kinds[rtype]["searchInclude"]),
            ("_revinclude", kinds[rtype]["searchRevInclude"]),
        ):
            for value in values:
                answer = await client.get(rtype, params={parameter: value, "_id": "p1,e1"})
                assert answer.status_code == 200, (rtype, value, answer.text)
        for value in ("Patient:birthdate", "Nothing:x", f"{rtype}:nonsense"):
            assert (await client.get(rtype, params={"_include": value})).status_code == 400


async def test_the_formats_and_patches_that_are_declared_are_read_and_written(client: httpx.AsyncClient) -> None:
    statement = (await client.get("metadata")).json()
    for name in statement["format"]:
        assert (await client.get("Patient/p1", params={"_format": name})).status_code == 200
    await client.put("Patient/pf", json=patient("pf"))
    bodies = {
        "application/json-patch+json": b'[{"op": "add", "path": "/language", "value": "fa"}]',
        "application/merge-patch+json": b'{"language": "en"}',
        "application/fhir+json": b'{"resourceType": "Parameters", "parameter": [{"name": "operation", "part": ['
        b'{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": "Patient.language"}]}]}',
    }
    for kind in statement["patchFormat"]:
        answer = await client.patch("Patient/pf", content=bodies[kind], headers={"content-type": kind})
        assert answer.status_code == 200, (kind, answer.text)
    assert (await client.patch("Patient/pf", content=b"x", headers={"content-type": "text/plain"})).status_code == 415
