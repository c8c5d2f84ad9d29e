"""Binary: bytes in and out as they are, the resource to whoever asks for it. http://hl7.org/fhir/R4/binary.html"""

from __future__ import annotations

import httpx
import pytest

from tests.factories.exchange import World, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
PNG = b"\x89PNG\r\n\x1a\n\x00bytes"


async def _stored(client: httpx.AsyncClient, body: bytes, kind: str, **headers: str) -> str:
    answer = await client.post("Binary", content=body, headers={"content-type": kind} | headers)
    assert answer.status_code == 201, answer.text
    return f"Binary/{answer.json()['id']}"


@pytest.mark.parametrize(
    "kind", ["image/png", "application/pdf", "text/plain; charset=utf-8", "application/xml", "application/json"]
)
async def test_bytes_come_back_as_they_went_in(world: World, kind: str) -> None:
    body = b'{"a": [1, 2]}' if kind == "application/json" else PNG
    async with world.client() as client:
        url = await _stored(client, body, kind)
        for accept in ("*/*", kind.partition(";")[0] + ";q=0.5", kind.partition("/")[0] + "/*"):
            if accept.startswith(("application/json", "application/xml")):
                continue  # names a format of resources
            answer = await client.get(url, headers={"accept": accept})
            assert answer.content == body, accept
            assert answer.headers["content-type"] == kind
            assert answer.headers["etag"] == 'W/"1"'
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert (await client.get(f"{url}/_history/1", headers={"accept": "*/*"})).content == body


async def test_the_resource_is_given_to_whoever_names_a_fhir_format(world: World) -> None:
    async with world.client() as client:
        url = await _stored(client, PNG, "image/png")
        found = (await client.get(url, headers={"accept": "application/fhir+json"})).json()
        assert (found["resourceType"], found["contentType"]) == ("Binary", "image/png")
        assert (await client.get(f"{url}?_format=json")).json() == found
        in_xml = await client.get(url, headers={"accept": "application/fhir+xml"})
        assert in_xml.text.startswith("<Binary") or "<Binary" in in_xml.text
        refused = await client.get(url, headers={"accept": "image/jpeg"})
        assert refused.status_code == 406
        assert refused.json()["resourceType"] == "OperationOutcome"


async def test_bytes_replace_bytes_and_a_resource_is_still_a_resource(world: World) -> None:
    async with world.client() as client:
        put = await client.put("Binary/b", content=b"one", headers={"content-type": "text/plain"})
        assert put.status_code == 201
        put = await client.put("Binary/b", content=b"two", headers={"content-type": "text/plain", "if-match": 'W/"1"'})
        assert put.status_code == 200
        assert (await client.get("Binary/b", headers={"accept": "text/plain"})).content == b"two"
        made = await client.post("Binary", json={"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="})
        assert made.status_code == 201
        url = f"Binary/{made.json()['id']}"
        assert (await client.get(url, headers={"accept": "text/*"})).content == b"hi"
        bad = await client.post("Binary", content=b"x", headers={"content-type": "nonsense"})
        assert bad.status_code == 415


async def test_a_security_context_is_kept_and_must_exist(world: World) -> None:
    async with world.client() as client:
        url = await _stored(client, PNG, "image/png", **{"x-security-context": "Patient/p1"})
        found = await client.get(url, headers={"accept": "application/fhir+json"})
        assert found.json()["securityContext"] == {"reference": "Patient/p1"}
        raw = await client.get(url, headers={"accept": "*/*"})
        assert raw.headers["x-security-context"] == "Patient/p1"
        headers = {"content-type": "image/png", "x-security-context": "Patient/nobody"}
        assert (await client.post("Binary", content=PNG, headers=headers)).status_code == 422


async def test_a_binary_is_guarded_as_the_resource_it_belongs_to(world: World) -> None:
    """Nobody reads a Binary whose security context they cannot read, by whatever way."""
    async with world.client() as owner:
        tenant = owner.headers["x-tenant"]
        await owner.put("Patient/px", json=patient("px"))
        document = {
            "resourceType": "DocumentReference", "id": "d1", "status": "current", "subject": {"reference": "Patient/p1"},
            "content": [{"attachment": {"url": "Binary/theirs"}}],
        }  # fmt: skip
        assert (await owner.put("DocumentReference/d1", json=document)).status_code == 201
        for name, context in (("own", "Patient/px"), ("theirs", "DocumentReference/d1"), ("free", "")):
            headers = {"content-type": "text/plain"} | ({"x-security-context": context} if context else {})
            assert (await owner.put(f"Binary/{name}", content=name, headers=headers)).status_code == 201
        await owner.put(
            "Binary/theirs", content=b"again", headers=headers | {"x-security-context": "DocumentReference/d1"}
        )
    cases = {
        ("patient/*.rs", "px"): {"own"},
        ("patient/*.rs", "p1"): {"theirs"},
        ("system/Binary.rs", ""): {"free"},
        ("system/Binary.rs system/DocumentReference.rs", ""): {"free", "theirs"},
        ("system/*.rs", ""): {"own", "theirs", "free"},
    }
    for (scope, who), expected in cases.items():
        claims = {"patient": who} if who else {}
        async with world.client(scope, tenant=tenant, **claims) as client:
            seen = {n for n in ("own", "theirs", "free") if (await client.get(f"Binary/{n}")).status_code == 200}
            assert seen == expected, scope
            listed = (await client.get("Binary?_total=accurate")).json()
            assert {e["resource"]["id"] for e in listed.get("entry", [])} == expected, scope
            assert listed["total"] == len(expected)
            past = (await client.get("Binary/_history")).json()
            assert {e["resource"]["id"] for e in past.get("entry", []) if "resource" in e} <= expected, scope
            assert ("theirs" in expected) or (await client.get("Binary/theirs/_history/1")).status_code == 404
