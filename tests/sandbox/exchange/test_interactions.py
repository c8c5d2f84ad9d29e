"""create, read, update, delete and their errors, over HTTP on both databases."""

from __future__ import annotations

import gzip

import pytest

from tests.factories.exchange import BASE_URL, World, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_created_resource_reads_back_as_it_was_sent(world: World) -> None:
    async with world.client() as client:
        sent = {"resourceType": "Patient", "name": [{"family": "کریمی"}], "birthDate": "1991-01-01"}
        created = await client.post("Patient", json=sent)
        assert created.status_code == 201
        fid = created.json()["id"]
        assert created.headers["location"] == f"{BASE_URL}/Patient/{fid}/_history/1"
        read = await client.get(f"Patient/{fid}")
    assert read.headers["etag"] == 'W/"1"'
    got = read.json()
    assert got["meta"]["versionId"] == "1"
    assert {k: v for k, v in got.items() if k not in ("id", "meta")} == sent


async def test_base_population_is_visible_in_a_fresh_tenant(world: World) -> None:
    async with world.client() as client:
        read = await client.get("Patient/p1")
        assert read.status_code == 200
        found = (await client.get("Observation", params={"patient": "p1"})).json()
    assert found["total"] == 4


async def test_what_a_tenant_writes_no_other_tenant_sees(world: World) -> None:
    async with world.client() as one, world.client() as other:
        await one.put("Patient/p1", json=patient("p1", family="تغییر"))
        await one.delete("Patient/p2")
        assert (await one.get("Patient/p1")).json()["name"][0]["family"] == "تغییر"
        assert (await one.get("Patient/p2")).status_code == 410
        assert (await other.get("Patient/p1")).json()["name"][0]["family"] == "کریمی"
        assert (await other.get("Patient/p2")).status_code == 200
        assert (await one.get("Patient", params={"family": "تغییر"})).json()["total"] == 1
        assert (await other.get("Patient", params={"family": "تغییر"})).json()["total"] == 0


async def test_without_a_token_the_answer_is_401_as_an_operation_outcome(world: World) -> None:
    async with world.client() as client:
        answer = await client.get("Patient/p1", headers={"authorization": ""})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["resourceType"] == "OperationOutcome"


async def test_update_makes_the_next_version_and_history_keeps_both(world: World) -> None:
    async with world.client() as client:
        first = (await client.get("Patient/p3")).json()
        changed = await client.put("Patient/p3", json={**first, "gender": "other"})
        assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
        history = (await client.get("Patient/p3/_history")).json()
        assert history["total"] == 2
        assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["2", "1"]
        assert (await client.get("Patient/p3/_history/1")).json()["gender"] == first["gender"]
        assert (await client.get("Patient/p3/_history/9")).status_code == 404


async def test_an_update_that_says_nothing_new_makes_no_version(world: World) -> None:
    async with world.client() as client:
        stored = (await client.get("Patient/p3")).json()
        again = await client.put("Patient/p3", json=stored)
        assert (again.status_code, again.headers["etag"]) == (200, 'W/"1"')
        assert (await client.get("Patient/p3/_history")).json()["total"] == 1


async def test_a_stale_if_match_changes_nothing(world: World) -> None:
    async with world.client() as client:
        await client.put("Patient/p4", json=patient("p4", family="دوم"))
        refused = await client.put("Patient/p4", json=patient("p4", family="سوم"), headers={"if-match": 'W/"1"'})
        assert refused.status_code == 412
        assert (await client.get("Patient/p4")).json()["name"][0]["family"] == "دوم"
        accepted = await client.put("Patient/p4", json=patient("p4", family="سوم"), headers={"if-match": 'W/"2"'})
        assert accepted.status_code == 200


async def test_deleted_is_410_with_history_and_can_come_back(world: World) -> None:
    async with world.client() as client:
        assert (await client.delete("Patient/p5")).status_code == 204
        assert (await client.delete("Patient/p5")).status_code == 204
        gone = await client.get("Patient/p5")
        assert (gone.status_code, gone.headers["etag"]) == (410, 'W/"2"')
        assert (await client.get("Patient", params={"_id": "p5"})).json()["total"] == 0
        entries = (await client.get("Patient/p5/_history")).json()["entry"]
        assert [e["request"]["method"] for e in entries] == ["DELETE", "POST"]
        back = await client.put("Patient/p5", json=patient("p5"))
        assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')


async def test_delete_of_the_unknown_is_204_and_read_is_404(world: World) -> None:
    async with world.client() as client:
        assert (await client.delete("Patient/nobody")).status_code == 204
        assert (await client.get("Patient/nobody")).status_code == 404


async def test_update_creates_under_the_id_the_client_chose(world: World) -> None:
    async with world.client() as client:
        made = await client.put("Patient/my-own.id-1", json=patient("my-own.id-1"))
        assert made.status_code == 201
        assert made.headers["location"].endswith("Patient/my-own.id-1/_history/1")


async def test_conditional_create_keeps_to_one_resource(world: World) -> None:
    identifier = {"system": "urn:x", "value": "once"}
    headers = {"if-none-exist": "identifier=urn:x|once"}
    async with world.client() as client:
        body = {"resourceType": "Patient", "identifier": [identifier]}
        first = await client.post("Patient", json=body, headers=headers)
        second = await client.post("Patient", json=body, headers=headers)
        assert (first.status_code, second.status_code) == (201, 200)
        assert first.json()["id"] == second.json()["id"]
        await client.post("Patient", json=body)
        several = await client.post("Patient", json=body, headers=headers)
        assert several.status_code == 412


async def test_conditional_update_creates_updates_and_refuses_ambiguity(world: World) -> None:
    async with world.client() as client:
        body = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": "cu"}]}
        made = await client.put("Patient?identifier=urn:x|cu", json=body)
        assert made.status_code == 201
        changed = await client.put("Patient?identifier=urn:x|cu", json={**body, "active": True})
        assert (changed.status_code, changed.json()["id"]) == (200, made.json()["id"])
        assert (await client.put("Patient?active=true", json=body)).status_code == 412
        assert (await client.put("Patient", json=body)).status_code == 412
        assert (await client.delete("Patient?identifier=urn:x|cu")).status_code == 204
        assert (await client.get(f"Patient/{made.json()['id']}")).status_code == 410
        assert (await client.delete("Patient?identifier=urn:x|cu")).status_code == 204


async def test_conditional_reads_answer_304(world: World) -> None:
    async with world.client() as client:
        read = await client.get("Patient/p1")
        again = await client.get("Patient/p1", headers={"if-none-match": read.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        since = await client.get("Patient/p1", headers={"if-modified-since": read.headers["last-modified"]})
        assert since.status_code == 304
        other = await client.get("Patient/p1", headers={"if-none-match": 'W/"7"'})
        assert other.status_code == 200


@pytest.mark.parametrize(("preferred", "expected"), [("minimal", ""), ("OperationOutcome", "OperationOutcome")])
async def test_prefer_return_is_honoured(world: World, preferred: str, expected: str) -> None:
    async with world.client() as client:
        made = await client.post("Patient", json=patient("x"), headers={"prefer": f"return={preferred}"})
        assert made.status_code == 201
        assert (made.json()["resourceType"] if made.content else "") == expected


async def test_json_patch_and_fhirpath_patch_change_what_they_name(world: World) -> None:
    async with world.client() as client:
        steps = [{"op": "replace", "path": "/gender", "value": "other"}]
        one = await client.patch("Patient/p6", json=steps, headers={"content-type": "application/json-patch+json"})
        assert (one.status_code, one.json()["gender"]) == (200, "other")
        parts = [
            {"name": "type", "valueCode": "replace"},
            {"name": "path", "valueString": "Patient.birthDate"},
            {"name": "value", "valueDate": "1990-02-03"},
        ]
        body = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
        two = await client.patch("Patient/p6", json=body, headers={"content-type": "application/fhir+json"})
        assert (two.status_code, two.json()["birthDate"], two.headers["etag"]) == (200, "1990-02-03", 'W/"3"')
        steps = [{"op": "replace", "path": "/id", "value": "other"}]
        bad = await client.patch("Patient/p6", json=steps, headers={"content-type": "application/json-patch+json"})
        assert bad.status_code == 422


async def test_decimals_keep_their_digits(world: World) -> None:
    body = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}'
    async with world.client() as client:
        made = await client.post("Observation", content=body, headers={"content-type": "application/fhir+json"})
        assert b'"value":1.00}' in made.content
        read = await client.get(f"Observation/{made.json()['id']}")
        assert b'"value":1.00}' in read.content


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "Nothing/1", b"", {}, 404),
        ("GET", "Patient/%2E%2E/Patient/p1", b"", {}, 400),
        ("GET", "Patient/p1%2Fx", b"", {}, 400),
        ("GET", "Patient/p1?unknown=1", b"", {}, 400),
        ("GET", "Patient?unknown=1", b"", {}, 400),
        ("GET", "Patient?name=%FF", b"", {}, 400),
        ("GET", "Patient?_count=-1", b"", {}, 400),
        ("GET", "Patient?_sort=nothing", b"", {}, 400),
        ("GET", "Patient?birthdate=yesterday", b"", {}, 400),
        ("GET", "Patient?_cursor=abc", b"", {}, 400),
        ("GET", "Patient?_include=Patient:nothing", b"", {}, 400),
        ("GET", "Patient/p1", b"", {"accept": "text/turtle"}, 406),
        ("GET", "Patient/p1", b"", {"accept": "application/fhir+json;q=0"}, 406),
        ("GET", "Patient/p1?_format=ttl", b"", {}, 406),
        ("POST", "Patient", b"{", {}, 400),
        ("POST", "Patient", b"", {}, 400),
        ("POST", "Patient", b"[]", {}, 400),
        ("POST", "Patient", b'{"resourceType":"Observation"}', {}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient","active":true,"active":false}', {}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient","id":"\xff"}', {}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient"}', {"content-type": "application/fhir+xml"}, 400),
        ("POST", "Patient", b'{"resourceType":"Patient"}', {"content-type": "text/turtle"}, 415),
        ("POST", "Patient", b'{"resourceType":"Patient"}', {"content-type": "text/plain"}, 415),
        ("POST", "Patient", b'{"resourceType":"Patient"}', {"content-type": "application/json; charset=utf-16"}, 415),
        ("POST", "Patient", b'{"a":' * 100 + b"1" + b"}" * 100, {}, 413),
        ("POST", "Patient", b" " * (17 * 1024 * 1024), {}, 413),
        ("PUT", "Patient/p1", b'{"resourceType":"Patient","id":"p2"}', {}, 400),
        ("PUT", "Patient/p1", b'{"resourceType":"Patient"}', {}, 400),
        ("PUT", "Patient/a_b", b'{"resourceType":"Patient","id":"a_b"}', {}, 400),
        ("POST", "Patient/p1", b'{"resourceType":"Patient"}', {}, 405),
        ("PATCH", "Patient/p1", b"<x/>", {"content-type": "application/xml"}, 400),
        ("PATCH", "Patient/p1", b"<x/>", {"content-type": "text/plain"}, 415),
        ("POST", "", b'{"resourceType":"Patient"}', {}, 400),
        ("POST", "", b'{"resourceType":"Bundle","type":"collection"}', {}, 400),
        ("GET", "Patient/p1/$nothing", b"", {}, 404),
    ],
)
async def test_bad_requests_get_the_right_status_and_an_outcome(
    world: World, method: str, path: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    sent = {"content-type": "application/fhir+json"} | headers
    async with world.client() as client:
        answer = await client.request(method, f"http://127.0.0.1:8300/fhir/R4/{path}", content=body, headers=sent)
    assert answer.status_code == status
    outcome = answer.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["details"]["text"]


async def test_a_small_body_that_unfolds_into_a_huge_one_is_refused(world: World) -> None:
    bomb = gzip.compress(b" " * 100_000_000)
    headers = {"content-type": "application/fhir+json", "content-encoding": "gzip"}
    async with world.client() as client:
        assert (await client.post("Patient", content=bomb, headers=headers)).status_code == 413
        fine = gzip.compress(b'{"resourceType":"Patient"}')
        assert (await client.post("Patient", content=fine, headers=headers)).status_code == 201
        assert (await client.post("Patient", content=fine[:-9], headers=headers)).status_code == 400


async def test_errors_speak_persian_when_asked(world: World) -> None:
    async with world.client() as client:
        answer = (await client.get("Patient/nobody", headers={"accept-language": "fa"})).json()
    assert answer["language"] == "fa"
    assert "وجود ندارد" in answer["issue"][0]["details"]["text"]


async def test_metadata_needs_no_token_and_names_what_is_served(world: World) -> None:
    async with world.client() as client:
        statement = (await client.get("metadata", headers={"authorization": ""})).json()
    rest = statement["rest"][0]
    patient_row = next(r for r in rest["resource"] if r["type"] == "Patient")
    assert {"read", "vread", "update", "patch", "delete", "create", "search-type"} <= {
        i["code"] for i in patient_row["interaction"]
    }
    assert "transaction" in {i["code"] for i in rest["interaction"]}
    assert "birthdate" in {p["name"] for p in patient_row["searchParam"]}
    assert {"everything", "match", "export", "validate"} <= {
        o["name"] for row in (patient_row, rest) for o in row["operation"]
    }


async def test_a_merge_patch_changes_its_members_and_null_removes_one(world: World) -> None:
    async with world.client() as client:
        kind = {"content-type": "application/merge-patch+json"}
        await client.put("Patient/mp", json=patient("mp", family="یک") | {"birthDate": "1990-01-01"})
        one = await client.patch("Patient/mp", json={"gender": "other", "birthDate": None}, headers=kind)
        assert one.status_code == 200 and one.json()["gender"] == "other" and "birthDate" not in one.json()
        two = await client.patch("Patient/mp", json={"active": True})
        assert two.json()["active"] is True, "plain JSON with members to change is read as one"
        assert (await client.patch("Patient/mp", json={"id": "x"}, headers=kind)).status_code == 422
        assert (await client.patch("Patient/mp", json=[1], headers=kind)).status_code == 400
        refused = await client.patch("Patient/mp", content="gender=x", headers={"content-type": "text/plain"})
    assert refused.status_code == 415 and "merge-patch" in refused.headers["accept-patch"]


async def test_a_create_with_a_search_in_its_url_makes_no_duplicate(world: World) -> None:
    async with world.client() as client:
        sent = {"resourceType": "Patient", "identifier": [{"system": "http://example.org/u", "value": "1"}]}
        first = await client.post("Patient?identifier=http://example.org/u|1", json=sent)
        again = await client.post("Patient?identifier=http://example.org/u|1", json=sent)
        plain = await client.post("Patient?_format=json", json=sent)
    assert (first.status_code, again.status_code, plain.status_code) == (201, 200, 201)
    assert first.json()["id"] == again.json()["id"] != plain.json()["id"]


async def test_versions_are_understood_without_quotes(world: World) -> None:
    async with world.client() as client:
        assert (await client.put("Patient/bare", json=patient("bare"))).status_code == 201
        stale = await client.put("Patient/bare", json=patient("bare", family="دو"), headers={"if-match": "7"})
        fresh = await client.put("Patient/bare", json=patient("bare", family="دو"), headers={"if-match": "1"})
        same = await client.get("Patient/bare", headers={"if-none-match": "2"})
    assert (stale.status_code, fresh.status_code, same.status_code) == (412, 200, 304)


async def test_a_conditional_patch_needs_exactly_one(world: World) -> None:
    patch = {"content": b'[{"op": "replace", "path": "/gender", "value": "other"}]'}
    headers = {"content-type": "application/json-patch+json"}
    async with world.client() as client:
        answer = await client.patch("Patient?identifier=urn:oid:1.2.3|N-1", **patch, headers=headers)
        assert (answer.status_code, answer.json()["gender"]) == (200, "other")
        assert answer.headers["etag"] == 'W/"2"'
        assert (await client.patch("Patient?gender=female", **patch, headers=headers)).status_code == 412
        assert (await client.patch("Patient?identifier=urn:none|1", **patch, headers=headers)).status_code == 404
        assert (await client.patch("Patient", **patch, headers=headers)).status_code == 412
        stale = headers | {"if-match": 'W/"1"'}
        assert (await client.patch("Patient?identifier=urn:oid:1.2.3|N-1", **patch, headers=stale)).status_code == 412


async def test_another_version_of_fhir_is_refused(world: World) -> None:
    async with world.client() as client:
        body = b'{"resourceType": "Patient"}'
        for version, status in (("4.0", 201), ("4.0.1", 201), ("5.0", 415), ("3.0", 415)):
            headers = {"content-type": f"application/fhir+json; fhirVersion={version}"}
            assert (await client.post("Patient", content=body, headers=headers)).status_code == status


async def test_a_stored_document_needs_nothing_but_itself(world: World) -> None:
    composition = {
        "resourceType": "Composition", "id": "in-document", "status": "final", "type": {"text": "x"}, "date": "2026-01-01",
        "author": [{"display": "x"}], "title": "x",
    }  # fmt: skip
    document = {"resourceType": "Bundle", "type": "document", "timestamp": "2026-01-01T00:00:00Z"}
    document |= {"identifier": {"system": "urn:x", "value": "1"}}
    entry = {"fullUrl": "urn:uuid:3f1d2b0c-9e0a-4e0c-8f5e-0a1b2c3d4e5f", "resource": composition}
    async with world.client() as client:
        made = await client.post("Bundle", json={**document, "entry": [entry]})
        assert made.status_code == 201, made.text
        for wrong in (
            {"resourceType": "||", "id": "a"},
            {"resourceType": "Patient", "id": "a" * 70},
            {"resourceType": 1},
        ):
            refused = await client.post("Bundle", json={**document, "entry": [{**entry, "resource": wrong}]})
            assert refused.status_code in (400, 422), refused.text
        far = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/{'a' * 70}"},
        }
        assert (await client.post("Observation", json=far)).status_code in (201, 422)
