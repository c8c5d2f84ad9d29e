"""The OpenAPI document says what the CapabilityStatement says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories.exchange import World

pytestmark = pytest.mark.asyncio(loop_scope="session")
CODES = {
    "read": ("/{id}", "get"),
    "update": ("/{id}", "put"),
    "patch": ("/{id}", "patch"),
    "delete": ("/{id}", "delete"),
    "vread": ("/{id}/_history/{version}", "get"),
    "history-instance": ("/{id}/_history", "get"),
    "history-type": ("/_history", "get"),
    "create": ("", "post"),
    "search-type": ("", "get"),
}


async def test_the_document_offers_exactly_what_the_capability_statement_promises(world: World) -> None:
    async with world.client() as client:
        rest = (await client.get("metadata")).json()["rest"][0]
        document: dict[str, Any] = (await client.get("openapi.json")).json()
    paths, shared = document["paths"], document["components"]["parameters"]
    assert {kind["type"] for kind in rest["resource"]} == {p.split("/")[1] for p in paths if p[1:2].isupper()}
    for kind in rest["resource"]:
        name = kind["type"]
        for interaction in kind["interaction"]:
            path, method = CODES[interaction["code"]]
            assert method in paths[f"/{name}{path}"], f"{interaction['code']} {name}"
        search = paths[f"/{name}"]["get"]["parameters"]
        known = {p["name"] if "name" in p else shared[p["$ref"].rpartition("/")[2]]["name"] for p in search}
        assert {p["name"] for p in kind["searchParam"]} - {"_text", "_content", "_list"} <= known, name
        for operation in kind.get("operation", ()):
            ways = (f"/{name}/${operation['name']}", f"/{name}/{{id}}/${operation['name']}")
            generic = (f"/{{type}}/${operation['name']}", f"/{{type}}/{{id}}/${operation['name']}")
            assert any(way in paths for way in (*ways, *generic)), operation
    identifiers = [m["operationId"] for item in paths.values() for k, m in item.items() if k != "parameters"]
    assert len(identifiers) == len(set(identifiers))


async def test_every_reference_of_the_document_leads_somewhere_and_it_narrows(world: World) -> None:
    async with world.client() as client:
        document = (await client.get("openapi.json?_type=Patient,Observation")).json()
        assert (await client.get("openapi.json?_type=Nonsense")).status_code == 404
    assert {p.split("/")[1] for p in document["paths"] if p[1:2].isupper()} == {"Patient", "Observation"}
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                place = document
                for part in node["$ref"].removeprefix("#/").split("/"):
                    place = place[part]
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node
