"""No way in shows more than the token's scopes, the patient's compartment and the citizens' consents allow.

Every case is asked twice: by an owner who sees all, and by a narrow caller. What the narrow one gets must be what the owner gets
without what is out of reach; where the question itself looks at hidden resources, it may only find less.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.factories.exchange import BASE_URL, World, observation, path_of, patient, tenant_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
_SECRET = re.compile(r"hidden-[a-z0-9]+")
_LAB = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "laboratory"}]}
_RESTRICTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


def _reference(target: str) -> dict[str, str]:
    return {"reference": target}


def _resources() -> list[dict[str, Any]]:
    """Two people, `me` and `other`, whose records touch; whatever is of `other` alone says hidden-something."""
    made: list[dict[str, Any]] = [
        patient("me", family="Mine", birthDate="1990-01-01", gender="female")
        | {"link": [{"other": _reference("Patient/other"), "type": "seealso"}]},
        patient("other", family="hidden-name", birthDate="1991-01-01", gender="male")
        | {"identifier": [{"system": "urn:s", "value": "hidden-number"}]},
        {"resourceType": "Practitioner", "id": "doc", "name": [{"family": "Doctor"}]},
    ]  # fmt: skip
    for who, word in (("me", "open"), ("other", "hidden")):
        subject = {"subject": _reference(f"Patient/{who}")}
        note = {"note": [{"text": f"{word}-note"}]}
        made += [
            observation(f"vital-{who}", who, value=120) | note | {"performer": [_reference("Practitioner/doc")]},
            observation(f"lab-{who}", who, code="2339-0", value=7 if who == "me" else 700)
            | note
            | {"category": [_LAB], "derivedFrom": [_reference("Observation/vital-other")], "focus": [_reference("Patient/other")]},
            observation(f"psy-{who}", who, code="psy") | note | {"meta": {"security": [_RESTRICTED]}},
            {"resourceType": "Encounter", "id": f"enc-{who}", "status": "finished", "class": {"code": "AMB"},
             "reasonCode": [{"text": f"{word}-reason"}]}
            | subject,
            {"resourceType": "DocumentReference", "id": f"doc-{who}", "status": "current", "description": f"{word}-description",
             "content": [{"attachment": {"url": f"Binary/bin-{who}"}}], "context": {"related": [_reference("Observation/lab-other")]}}
            | subject,
            {"resourceType": "Binary", "id": f"bin-{who}", "contentType": "text/plain",
             "data": "aGlkZGVuLXRleHQ=" if who == "other" else "b3Blbg==",
             "securityContext": _reference(f"DocumentReference/doc-{who}")},
            {"resourceType": "List", "id": f"list-{who}", "status": "current", "mode": "working", "title": f"{word}-title",
             "entry": [{"item": _reference("Observation/lab-me")}, {"item": _reference("Observation/lab-other")}]}
            | subject,
            {"resourceType": "Provenance", "id": f"prov-{who}", "target": [_reference(f"Patient/{who}")],
             "recorded": "2026-02-01T00:00:00Z",
             "agent": [{"who": _reference("Practitioner/doc")}], "reason": [{"text": f"{word}-why"}]},
            {"resourceType": "Task", "id": f"task-{who}", "status": "requested", "intent": "order", "description": f"{word}-task",
             "for": _reference(f"Patient/{who}")},
            {"resourceType": "Condition", "id": f"cond-{who}", "code": {"text": f"{word}-condition"},
             "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}]}}
            | subject,
        ]  # fmt: skip
    members = [{"entity": _reference(f"Patient/{who}")} for who in ("me", "other")]
    made.append(
        {"resourceType": "Group", "id": "both", "type": "person", "actual": True, "name": "all", "member": members}
    )
    return made


@dataclass
class Case:
    """A caller, and what of the resources (Type/id -> resource) is within reach."""

    scope: str
    allowed: Callable[[str], bool]
    claims: dict[str, str] = field(default_factory=dict)


def _mine(name: str) -> bool:
    # By R4's CompartmentDefinition a Group lies in the compartment of each of its members.
    return name.endswith(("-me", "/me", "Practitioner/doc", "Organization/org-1", "Group/both"))


CASES = {
    "patient": Case("patient/*.cruds", _mine, {"patient": "me"}),
    "patient-v1": Case("patient/*.read patient/*.write", _mine, {"patient": "me"}),
    "citizen": Case("user/*.cruds", _mine, {"fhirUser": "Patient/me"}),
    "labs-of-mine": Case("patient/Observation.rs?category=laboratory", lambda n: n == "Observation/lab-me", {"patient": "me"}),
    "labs-of-all": Case("system/Observation.rs?category=laboratory", lambda n: n.startswith("Observation/lab-")),
    "no-observations": Case("system/Patient.rs system/Encounter.rs", lambda n: n.startswith(("Patient/", "Encounter/"))),
    "nobody": Case("patient/*.rs", lambda n: n in ("Practitioner/doc", "Organization/org-1"), {"patient": "nobody"}),
}  # fmt: skip

QUERIES = [
    "Patient?_count=200", "Observation?_count=200", "Encounter?_count=200", "DocumentReference?_count=200", "List?_count=200",
    "Provenance?_count=200", "Task?_count=200", "Binary?_count=200", "Group?_count=200", "Condition?_count=200",
    "Observation?subject=Patient/other&_count=200", "Observation?patient=other,me", "Observation?_id=lab-other,lab-me,vital-me",
    "Observation?category=laboratory", "Observation?_security=PSY", "Observation?code:not=2339-0&_count=200",
    "Observation?value-quantity=gt100&_count=200", "Observation?code-value-quantity=2339-0$gt1",
    "Observation?_sort=value-quantity,-date&_count=200", "Observation?_sort=-_lastUpdated&_count=200",
    "Observation?performer=Practitioner/doc", "Observation?_content=note", "Observation?value-quantity:missing=true&_count=200",
    "Patient?_sort=family&_count=200", "Patient?gender=male,female&_count=200", "Task?patient=Patient/other", "Task?_count=200",
    "Provenance?target=Patient/other", "?_type=Patient,Observation,Task,Binary&_count=300",
    "Observation/_history?_count=300", "Patient/_history?_count=300", "_history?_count=500", "Binary/_history?_count=300",
    "Patient/other/Observation", "Patient/me/Observation", "Patient/me/*?_count=200", "Practitioner/doc/Observation",
]  # fmt: skip
LOOKING = [
    "Patient?_id=me&_include=Patient:link", "Patient?_id=me&_include=*", "Patient?_id=me&_revinclude=*", "Patient?link=Patient/other",
    "Patient?_id=me&_revinclude=Observation:subject&_include:iterate=Observation:derived-from&_include:iterate=Observation:focus",
    "Observation?_id=lab-me&_include=Observation:derived-from&_include:iterate=Observation:subject",
    "Observation?_id=lab-me&_include=Observation:focus&_revinclude:iterate=Provenance:target",
    "DocumentReference?_id=doc-me&_include=DocumentReference:related&_include:iterate=Observation:subject",
    "Practitioner?_id=doc&_revinclude=Observation:performer&_revinclude=Provenance:agent",
    "Observation?subject:Patient.family=hidden-name", "Observation?subject:Patient.identifier=hidden-number",
    "Observation?derived-from.subject:Patient.family=hidden-name", "Observation?derived-from:Observation.value-quantity=120",
    "Patient?_has:Observation:focus:value-quantity=700", "Patient?_has:Observation:subject:code=2339-0",
    "Patient?_has:Group:member:_id=both", "Observation?_has:List:item:_id=list-other", "Observation?_list=list-other",
    "Observation?_list=list-me", "Patient?link:Patient.birthdate=1991-01-01", "Patient?link.identifier=urn:s|hidden-number",
    "Patient?_has:Provenance:target:agent=Practitioner/doc", "Practitioner?_has:Observation:performer:subject=Patient/other",
    "Patient?_has:Observation:subject:_has:Observation:derived-from:value-quantity=700",
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def tenant(world: World) -> AsyncIterator[str]:
    async with world.client() as owner:
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in _resources()
        ]
        answer = await owner.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        # A past of which only part was ever mine: it belonged to `other` before.
        moved = observation("moved-me", "other") | {"note": [{"text": "hidden-past"}]}
        await owner.put("Observation/moved-me", json=moved)
        await owner.put("Observation/moved-me", json=observation("moved-me", "me"))
        # And one of mine, deleted; and one of the other's.
        for who in ("me", "other"):
            await owner.put(
                f"Observation/gone-{who}",
                json=observation(f"gone-{who}", who) | {"note": [{"text": "hidden-gone" if who == "other" else "x"}]},
            )
            await owner.delete(f"Observation/gone-{who}")
        yield tenant_of(owner)


async def _pages(client: httpx.AsyncClient, query: str) -> tuple[int, list[dict[str, Any]], str]:
    """(status, entries of all pages, all text)."""
    entries: list[dict[str, Any]] = []
    text, url = "", query
    for _ in range(20):
        answer = await client.get(url)
        text += answer.text
        if answer.status_code != 200:
            return answer.status_code, entries, text
        found = answer.json()
        entries += found.get("entry", [])
        url = next((path_of(link["url"]) for link in found["link"] if link["relation"] == "next"), "")
        if not url:
            break
    return 200, entries, text


def _names(entries: list[dict[str, Any]]) -> set[str]:
    return {e["fullUrl"].removeprefix(BASE_URL + "/") for e in entries}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("who", CASES)
async def test_a_search_gives_what_the_owner_gets_less_what_is_out_of_reach(
    world: World, tenant: str, who: str, query: str
) -> None:
    case = CASES[who]
    async with world.client(tenant=tenant) as owner, world.client(case.scope, tenant=tenant, **case.claims) as narrow:
        _, everything, _ = await _pages(owner, query)
        status, seen, text = await _pages(narrow, query)
        assert status in (200, 403, 404), text
        expected = {n for n in _names(everything) if case.allowed(n)}
        if status == 200 and "_history" not in query:
            assert _names(seen) == expected
            counted = await narrow.get(f"{query}&_total=accurate" if "?" in query else f"{query}?_total=accurate")
            assert counted.json()["total"] == len(expected), "a total counts what is hidden"
        elif status == 200:
            assert _names(seen) <= expected
        secrets = set(_SECRET.findall(text))
        reachable = (
            set().union(*(set(_SECRET.findall(str(e))) for e in everything if case.allowed(_name(e))))
            if who != "patient"
            else set()
        )
        assert secrets - {"hidden-number", "hidden-name"} <= (reachable if not case.claims else set()), secrets


def _name(entry: dict[str, Any]) -> str:
    return str(entry["fullUrl"]).removeprefix(BASE_URL + "/")


@pytest.mark.parametrize("query", LOOKING)
@pytest.mark.parametrize("who", CASES)
async def test_chains_and_includes_find_nothing_out_of_reach(world: World, tenant: str, who: str, query: str) -> None:
    case = CASES[who]
    async with world.client(case.scope, tenant=tenant, **case.claims) as narrow:
        status, seen, text = await _pages(narrow, query)
        assert status in (200, 403), text
        assert {n for n in _names(seen) if not case.allowed(n)} == set()


# What must find nothing at all for whoever may not see `other`: an answer would tell of it.
TELLING = [
    "Observation?subject:Patient.family=hidden-name", "Observation?derived-from.subject:Patient.family=hidden-name",
    "Observation?derived-from:Observation.value-quantity=120", "Patient?_has:Observation:focus:value-quantity=700",
    "Patient?link:Patient.birthdate=1991-01-01", "Patient?link.identifier=urn:s|hidden-number", "Observation?_list=list-other",
    "Observation?_has:List:item:_id=list-other", "Practitioner?_has:Observation:performer:subject=Patient/other",
    "Patient?_has:Group:member:_id=both&_id=other",
]  # fmt: skip


@pytest.mark.parametrize("query", TELLING)
@pytest.mark.parametrize("who", ["patient", "patient-v1", "citizen", "nobody"])
async def test_a_question_about_hidden_resources_is_answered_as_if_there_were_none(
    world: World, tenant: str, who: str, query: str
) -> None:
    case = CASES[who]
    async with world.client(case.scope, tenant=tenant, **case.claims) as narrow:
        answer = await narrow.get(f"{query}&_total=accurate")
        assert answer.status_code == 200, answer.text
        assert (answer.json()["total"], answer.json().get("entry", [])) == (0, [])


HIDDEN = [
    "Patient/other", "Observation/lab-other", "Observation/psy-other", "Binary/bin-other", "DocumentReference/doc-other", "Task/task-other",
    "Provenance/prov-other", "List/list-other", "Observation/gone-other", "Observation/moved-me/_history/1",
    "Observation/gone-other/_history/1",
]  # fmt: skip


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("who", ["patient", "citizen"])
async def test_the_hidden_is_absent_by_every_interaction(world: World, tenant: str, who: str, name: str) -> None:
    """Read, history, operations, patches, conditional and batched forms tell no more than of an id that never was."""
    case = CASES[who]
    rtype, fid = name.split("/")[:2]
    jp = {"content-type": "application/json-patch+json"}
    async with world.client(case.scope, tenant=tenant, **case.claims) as narrow:
        past = "_history" in name
        assert (await narrow.get(name)).status_code == 404
        if past and fid == "moved-me":
            shown = await narrow.get(f"{rtype}/{fid}/_history")
            assert shown.status_code == 200
            assert len(shown.json()["entry"]) == 1
            assert not _SECRET.findall(shown.text)
            return
        for path in (
            f"{rtype}/{fid}/_history",
            f"{rtype}/{fid}/_history/1",
            f"{rtype}/{fid}/$meta",
            f"{rtype}/{fid}/$validate",
        ):
            assert (await narrow.get(path)).status_code in (403, 404), path
        if rtype == "Patient":
            for path in (f"{rtype}/{fid}/$everything", f"{rtype}/{fid}/Observation", f"{rtype}/{fid}/$summary"):
                assert (await narrow.get(path)).status_code in (403, 404), path
        patch = b'[{"op": "test", "path": "/id", "value": "x"}]'
        assert (await narrow.patch(f"{rtype}/{fid}", content=patch, headers=jp)).status_code in (403, 404)
        assert (await narrow.patch(f"{rtype}?_id={fid}", content=patch, headers=jp)).status_code in (403, 404)
        assert (await narrow.delete(f"{rtype}?_id={fid}")).status_code in (204, 403)
        assert (await narrow.delete(f"{rtype}/{fid}")).status_code in (204, 403)
        removal = [{"name": "type", "valueCode": "delete"}, {"name": "path", "valueString": f"{rtype}.text"}]
        read, deleted, patched = [
            {"request": {"method": "GET", "url": f"{rtype}/{fid}"}},
            {"request": {"method": "DELETE", "url": f"{rtype}/{fid}"}},
            {"request": {"method": "PATCH", "url": f"{rtype}/{fid}"}, "resource": {"resourceType": "Parameters", "parameter": [
                {"name": "operation", "part": removal}]}},
        ]  # fmt: skip
        for kind in ("batch", "transaction"):
            for entry in (read, deleted, patched):
                answer = await narrow.post("", json={"resourceType": "Bundle", "type": kind, "entry": [entry]})
                assert not _SECRET.findall(answer.text), answer.text
                if answer.status_code == 200:
                    told = answer.json()["entry"][0]["response"]["status"][:3]
                    assert told in ("204", "403", "404"), answer.text
                else:
                    assert answer.status_code in (403, 404), answer.text
    async with world.client(tenant=tenant) as owner:
        assert (await owner.get(f"{rtype}/{fid}")).status_code == (410 if fid.startswith("gone") else 200), (
            "it was touched"
        )


async def test_a_write_steals_nothing_by_overwriting(world: World, tenant: str) -> None:
    """Putting one's own name on somebody else's record is no way to get it, alone, in a batch or in a transaction."""
    mine = observation("lab-other", "me")
    entry = {"resource": mine, "request": {"method": "PUT", "url": "Observation/lab-other"}}
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Observation.subject.reference"},
        {"name": "value", "valueString": "Patient/me"}]}]}  # fmt: skip
    patched = {"resource": parameters, "request": {"method": "PATCH", "url": "Observation/lab-other"}}
    moved = observation("", "other") | {"id": "vital-me"}
    async with world.client("patient/*.cruds", tenant=tenant, patient="me") as narrow:
        wanted = {"prefer": "return=representation"}
        assert (await narrow.put("Observation/lab-other", json=mine)).status_code == 404
        for one in (entry, patched):
            for kind in ("batch", "transaction"):
                answer = await narrow.post(
                    "", json={"resourceType": "Bundle", "type": kind, "entry": [one]}, headers=wanted
                )
                assert not _SECRET.findall(answer.text), answer.text
        assert (await narrow.put("Observation/vital-me", json=moved)).status_code == 403, "mine may not be given away"
        told = [
            await narrow.post(
                "Observation", json=observation("", "me") | {"id": "x", "focus": [_reference(f"Patient/{p}")]}
            )
            for p in ("other", "never")
        ]
        assert {t.status_code for t in told} == {422}
        assert told[0].text.replace("other", "X") == told[1].text.replace("never", "X"), "an error tells who exists"
    async with world.client(tenant=tenant) as owner:
        assert (await owner.get("Observation/lab-other")).json()["subject"]["reference"] == "Patient/other"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "Observation/$lastn?patient=other", None),
        ("GET", "Observation/$lastn?subject=Patient/other,Patient/me&max=10", None),
        ("POST", "Patient/$match", {"resourceType": "Patient", "identifier": [{"system": "urn:s", "value": "hidden-number"}]}),
        ("GET", "Patient/me/$everything?_count=500", None),
        ("GET", "Patient/me/$summary", None),
        ("GET", "Patient/$meta", None),
        ("GET", "Observation/$meta", None),
        ("GET", "$meta", None),
        ("POST", "Observation/_search?_count=200", {"subject": "Patient/other"}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("who", ["patient", "citizen"])
async def test_operations_tell_nothing_of_the_hidden(
    world: World, tenant: str, who: str, method: str, path: str, body: Any
) -> None:
    case = CASES[who]
    async with world.client(case.scope, tenant=tenant, **case.claims) as narrow:
        if "_search" in path:
            answer = await narrow.post(path, data=body)
        else:
            answer = await narrow.request(method, path, json=body)
        text = answer.text.replace("hidden-number", "") if answer.status_code != 200 else answer.text
        assert not _SECRET.findall(text), text
        assert "psy-other" not in text and "PSY" not in (text if path.endswith("$meta") else "")


async def test_an_export_holds_only_what_is_within_reach(world: World, tenant: str) -> None:
    async with world.client("patient/*.rs", tenant=tenant, patient="me") as narrow:
        for path in ("$export", "Patient/$export", "Patient/$export?patient=other", "Group/both/$export"):
            started = await narrow.get(path, headers={"prefer": "respond-async"})
            if started.status_code == 404:
                continue
            assert started.status_code == 202, started.text
            status = path_of(started.headers["content-location"])
            while (counted := await narrow.get(status)).status_code == 202:
                assert counted.headers["retry-after"]
            manifest = counted.json()
            for item in manifest["output"]:
                text = (await narrow.get(path_of(item["url"]))).text
                assert len(text.splitlines()) == item["count"]
                assert not _SECRET.findall(text), path


async def test_consent_withholds_on_every_way(world: World) -> None:
    """A citizen who has denied the App is absent from it, past included; others are not."""
    async with world.client() as owner:
        name = tenant_of(owner)
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in _resources()
        ]
        assert (
            await owner.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        ).status_code == 200
        await owner.put(
            "Observation/vital-other",
            json=observation("vital-other", "other", value=121) | {"note": [{"text": "hidden-second"}]},
        )
        consent = {
            "resourceType": "Consent", "id": "no", "status": "active", "patient": _reference("Patient/other"), "dateTime": "2026-01-01",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]},
            "provision": {"type": "deny"},
        }  # fmt: skip
        answer = await owner.put("Consent/no", json=consent)
        assert answer.status_code == 201, answer.text
    async with world.client(tenant=name) as app:
        for query in [*QUERIES, *LOOKING, "Patient/me/$everything?_count=300", "Observation/vital-other/_history",
                      "Observation/vital-other/_history/1",
                      "Binary/bin-other", "Task/task-other"]:  # fmt: skip
            _, seen, text = await _pages(app, query)
            # Demographics stay visible: without them nobody could be asked for consent.
            hidden = set(_SECRET.findall(text)) - {"hidden-number", "hidden-name"}
            assert not hidden, (query, hidden)
            assert not {n for n in _names([e for e in seen if "fullUrl" in e]) if n.endswith(("-other", "/other"))} - {
                "Patient/other"
            }, query
