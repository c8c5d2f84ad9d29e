"""Every parameter type, modifier and prefix, over base and own layer, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.factories.exchange import World, observation, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOINC = "http://loinc.org"


def _extra() -> list[dict[str, Any]]:
    """What the shared Tenant writes on top of the base."""
    return [
        patient("p1", family="كريمي", given="علي", gender="male", birthDate="1961-01-15", active=True)
        | {"identifier": [{"system": "urn:oid:1.2.3", "value": "N-1"}], "telecom": [{"system": "phone", "value": "+98 912 000 0001"}]}
        | {"generalPractitioner": [{"identifier": {"system": "urn:gp", "value": "G-7"}}]},
        patient("new1", family="Smith-Jones", given="Anna", gender="female", birthDate="1990-05")
        | {
            "identifier": [
                {
                    "system": "urn:mrn",
                    "value": "12345",
                    "type": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]},
                }
            ],
            "meta": {"tag": [{"system": "urn:tag", "code": "blue"}], "profile": ["http://example.org/profile/a"]},
            "link": [{"other": {"reference": "Patient/p1"}, "type": "seealso"}],
            "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">unicorn</div>'},
        },
        observation("q1", "new1", code="29463-7", value=70)
        | {"valueQuantity": {"value": 70, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}}
        | {"effectivePeriod": {"start": "2026-01-01", "end": "2026-01-31"}, "note": [{"text": "zebra crossing"}]},
        observation("q2", "new1", code="8310-5", value=37.2)
        | {
            "component": [
                {
                    "code": {"coding": [{"system": LOINC, "code": "8480-6"}]},
                    "valueQuantity": {"value": 150, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
                },
                {
                    "code": {"coding": [{"system": LOINC, "code": "8462-4"}]},
                    "valueQuantity": {"value": 90, "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
                },
            ],
            "derivedFrom": [{"reference": "Observation/q1"}],
        },
        {
            "resourceType": "ValueSet", "id": "vs1", "status": "active", "url": "http://example.org/fhir/ValueSet/a/b",
        },
        {
            "resourceType": "List", "id": "l1", "status": "current", "mode": "working",
            "entry": [{"item": {"reference": "Patient/p2"}}, {"item": {"reference": "Patient/new1"}}],
        },
        {
            "resourceType": "RiskAssessment", "id": "r1", "status": "final", "subject": {"reference": "Patient/new1"},
            "prediction": [{"probabilityDecimal": 0.25}],
        },
        {
            "resourceType": "Provenance", "id": "pv1", "target": [{"reference": "Patient/new1"}],
            "recorded": "2026-02-01T00:00:00Z", "agent": [{"who": {"reference": "Patient/p1"}}],
        },
    ]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as made:
        entries = []
        for resource in _extra():
            if "effectivePeriod" in resource:
                del resource["effectiveDateTime"]
            url = f"{resource['resourceType']}/{resource['id']}"
            entries.append({"resource": resource, "request": {"method": "PUT", "url": url}})
        answer = await made.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        await made.delete("Patient/p8")
        yield made


async def ids(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(query)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    listed = [e["resource"]["id"] for e in found.get("entry", [])]
    assert len(listed) == len(set(listed)), "a resource came twice"
    if "total" in found and not any(e["search"]["mode"] == "include" for e in found.get("entry", [])):
        assert found["total"] == len(listed)
    return sorted(listed)


ALL = ["new1", "p1", "p2", "p3", "p4", "p5", "p6", "p7"]
ODD, EVEN = ["p3", "p5", "p7"], ["p2", "p4", "p6"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # string: folded start, Arabic and Persian letters alike, :exact, :contains, alternatives
        ("Patient?family=کریمی", ["p1", *ODD]),
        ("Patient?family=كريمي", ["p1", *ODD]),
        ("Patient?family:exact=كريمي", ["p1"]),
        ("Patient?family=smith", ["new1"]),
        ("Patient?family=jones", []),
        ("Patient?family:contains=JONES", ["new1"]),
        ("Patient?family=smith,احمدی", ["new1", *EVEN]),
        ("Patient?family=smith&given=anna", ["new1"]),
        ("Patient?family=smith&given=bob", []),
        ("Patient?name=علی", ["p1"]),
        ("Patient?family=100%25", []),
        ("Patient?family:contains=_", []),
        # token
        ("Patient?gender=female", ["new1", *EVEN]),
        ("Patient?gender=http://hl7.org/fhir/administrative-gender|female", ["new1", *EVEN]),
        ("Patient?gender=urn:none|female", []),
        ("Patient?gender:not=female", ["p1", *ODD]),
        ("Patient?gender:missing=true", []),
        ("Patient?telecom:missing=false", ["p1"]),
        ("Patient?identifier=urn:mrn|12345", ["new1"]),
        ("Patient?identifier=12345", ["new1"]),
        ("Patient?identifier=urn:mrn|", ["new1"]),
        ("Patient?identifier=|12345", []),
        ("Patient?identifier=urn:mrn|12345,urn:oid:1.2.3|N-2", ["new1", "p2"]),
        ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|12345", ["new1"]),
        ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|9", []),
        ("Patient?phone=%2B98 912 000 0001", ["p1"]),
        ("Patient?active=true", sorted(set(ALL) - {"new1"})),
        ("Patient?_tag=urn:tag|blue", ["new1"]),
        ("Patient?_profile=http://example.org/profile/a", ["new1"]),
        ("Patient?_id=p1,new1,nobody,p8", ["new1", "p1"]),
        ("Observation?code:text=systolic&subject=Patient/new1", ["q1", "q2"]),
        ("Observation?code:text=خون&subject=Patient/new1", ["q1", "q2"]),
        # date: 1990-05 is all of May; prefixes
        ("Patient?birthdate=1961-01-15", ["p1"]),
        ("Patient?birthdate=1961", ["p1"]),
        ("Patient?birthdate=1990-05", ["new1"]),
        ("Patient?birthdate=1990-05-10", []),
        ("Patient?birthdate=ap1990-05-10", ["new1"]),
        ("Patient?birthdate=gt1967", ["new1"]),
        ("Patient?birthdate=ge1967", ["new1", "p7"]),
        ("Patient?birthdate=lt1962", ["p1"]),
        ("Patient?birthdate=le1962-02-15", ["p1", "p2"]),
        ("Patient?birthdate=sa1967", ["new1"]),
        ("Patient?birthdate=eb1962", ["p1"]),
        ("Patient?birthdate=ne1961&gender=male", ODD),
        ("Patient?birthdate=ge1962&birthdate=lt1965", ["p2", "p3", "p4"]),
        ("Observation?date=2026-01&subject=Patient/new1", ["q1"]),
        ("Observation?date=lt2026-01-15&subject=Patient/new1", ["q1"]),
        ("Observation?date=sa2026-01-15&subject=Patient/new1", ["q2"]),
        ("Observation?date=2026-03-05T08:30:00%2B03:30&subject=Patient/new1", ["q2"]),
        ("Observation?date=2026-03-05T05:00:00Z&subject=Patient/new1", ["q2"]),
        # reference
        ("Observation?subject=Patient/p2", ["o2-1", "o2-2", "o2-3", "o2-4"]),
        ("Observation?subject=p2", ["o2-1", "o2-2", "o2-3", "o2-4"]),
        ("Observation?subject:Patient=p2", ["o2-1", "o2-2", "o2-3", "o2-4"]),
        ("Observation?patient=http://127.0.0.1:8300/sandbox/fhir/R4/Patient/new1", ["q1", "q2"]),
        ("Observation?subject=Group/p2", []),
        ("Patient?general-practitioner:identifier=urn:gp|G-7", ["p1"]),
        ("Patient?organization=Organization/org-1", sorted(set(ALL) - {"new1", "p1"})),
        ("Patient?organization:missing=true", ["new1", "p1"]),
        # quantity with precision, units and UCUM
        ("Observation?value-quantity=70|http://unitsofmeasure.org|kg", ["q1"]),
        ("Observation?value-quantity=70000|http://unitsofmeasure.org|g", ["q1"]),
        ("Observation?value-quantity=gt69999|http://unitsofmeasure.org|g", ["q1"]),
        ("Observation?value-quantity=70||kg", ["q1"]),
        ("Observation?value-quantity=37&subject=Patient/new1", ["q2"]),
        ("Observation?value-quantity=37.0&subject=Patient/new1", []),
        ("Observation?value-quantity=lt71&value-quantity=gt69", ["q1"]),
        ("Observation?value-quantity=70|http://unitsofmeasure.org|mg", []),
        # number, uri
        ("RiskAssessment?probability=0.25", ["r1"]),
        ("RiskAssessment?probability=gt0.2", ["r1"]),
        ("RiskAssessment?probability=lt0.2", []),
        ("ValueSet?url=http://example.org/fhir/ValueSet/a/b", ["vs1"]),
        ("ValueSet?url=http://example.org/fhir/ValueSet/a", []),
        ("ValueSet?url:below=http://example.org/fhir/ValueSet", ["vs1"]),
        ("ValueSet?url:above=http://example.org/fhir/ValueSet/a/b/c", ["vs1"]),
        # composite
        ("Observation?component-code-value-quantity=http://loinc.org|8480-6$gt140", ["q2"]),
        ("Observation?component-code-value-quantity=http://loinc.org|8480-6$lt100", []),
        ("Observation?component-code-value-quantity=8462-4$90|http://unitsofmeasure.org|mm[Hg]", ["q2"]),
        ("Observation?code-value-quantity=29463-7$70", ["q1"]),
        ("Observation?code-value-date=29463-7$2026", []),
        # chains and reverse chains, both layers
        ("Observation?subject:Patient.family=smith", ["q1", "q2"]),
        ("Observation?patient.identifier=urn:mrn|12345", ["q1", "q2"]),
        ("Observation?patient.organization.name=بیمارستان&code=8480-6&date=2026-01", [f"o{n}-1" for n in range(2, 8)]),
        ("Patient?_has:Observation:patient:code=29463-7", ["new1"]),
        ("Patient?_has:Observation:patient:value-quantity=gt139|http://unitsofmeasure.org|mm[Hg]&gender=male", ["p1", *ODD]),
        ("Observation?patient._has:Provenance:target:recorded=2026", ["q1", "q2"]),
        ("Patient?_has:Observation:patient:_has:Observation:derived-from:code=8310-5", ["new1"]),
        ("Patient?link:Patient.family=کریمی", ["new1"]),
        # special
        ("Patient?_list=l1", ["new1", "p2"]),
        ("Patient?_text=unicorn", ["new1"]),
        ("Observation?_content=zebra", ["q1"]),
        ("Patient?_lastUpdated=gt2026-01-01&gender=female", ["new1", *EVEN]),
        ("Patient?_lastUpdated=lt2026-01-01", []),
        ("Patient?name=", ALL),
        # compartments
        ("Patient/new1/Observation", ["q1", "q2"]),
        ("Patient/new1/Observation?code=29463-7", ["q1"]),
        ("Patient/p2/*?_type=Encounter", ["e2"]),
        ("?_type=RiskAssessment,List&_lastUpdated=gt2020", ["l1", "r1"]),
    ],
)  # fmt: skip
async def test_finds_exactly(client: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    path, mark, rest = query.partition("?")
    count = "_count=100"
    assert await ids(client, f"{path}?{rest}&{count}" if mark else f"{path}?{count}") == sorted(expected)


async def test_post_search_finds_the_same(client: httpx.AsyncClient) -> None:
    answer = await client.post("Patient/_search?gender=female", data={"family": "smith"})
    assert answer.status_code == 200
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == ["new1"]


@pytest.mark.parametrize(
    "query",
    [
        "Patient?name:nothing=x", "Patient?gender:exact=x", "Patient?nothing.name=x", "Patient?gender.name=x",
        "Observation?subject:Nothing.name=x", "Patient?_has:Observation=1", "Patient?_has:Observation:code:code=1",
        "Observation?value-quantity=abc", "Observation?value-quantity=1|2", "Observation?code-value-quantity=8480-6",
        "Patient?birthdate=1405-01-01", "Patient?birthdate=2026-02-30", "Patient?gender:missing=maybe",
        "Patient?identifier:of-type=MR|1", "Patient?_include=nothing", "Patient?_summary=maybe", "Patient?_total=maybe",
        "Patient?_count=abc", "RiskAssessment?probability=x", "Patient?_elements=id&_elements=name",
        "Observation?patient.organization.partof.partof.partof.partof.name=x", "Patient?family=a,,b",
        "Patient?_id:exact=1", "?_type=Nothing",
    ],
)  # fmt: skip
async def test_what_cannot_be_understood_is_400(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(query)
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["severity"] == "error"


async def test_lenient_handling_ignores_and_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.get("Patient?nothing=1&family=smith", headers={"prefer": "handling=lenient"})
    found = answer.json()
    assert [e["resource"]["id"] for e in found["entry"] if e["search"]["mode"] == "match"] == ["new1"]
    assert "nothing" not in found["link"][0]["url"]
    assert found["entry"][-1]["search"]["mode"] == "outcome"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?_sort=birthdate&family=کریمی", ["p1", "p3", "p5", "p7"]),
        ("Patient?_sort=-birthdate&family=کریمی", ["p7", "p5", "p3", "p1"]),
        ("Patient?_sort=gender,-birthdate", ["new1", "p6", "p4", "p2", "p7", "p5", "p3", "p1"]),
        ("Patient?_sort=_id", sorted(ALL)),
        ("Patient?_sort=-family,_id&gender=female", ["new1", "p2", "p4", "p6"]),
        ("Patient?_sort=organization,_id", ["p2", "p3", "p4", "p5", "p6", "p7", "new1", "p1"]),
        ("Observation?patient=p2&_sort=-date", ["o2-4", "o2-3", "o2-2", "o2-1"]),
    ],
)
async def test_sorts_and_pages_in_that_order(client: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    if query.startswith("Patient?_sort=-family"):
        expected = ["p2", "p4", "p6", "new1"]  # Persian letters come after Latin ones
    for count in (100, 1, 2, 3):
        assert await walk(client, f"{query}&_count={count}") == expected, count


async def walk(client: httpx.AsyncClient, query: str, relation: str = "next") -> list[str]:
    """Ids of all pages, following links."""
    found: list[str] = []
    url: str | None = query
    while url:
        page = (await client.get(url)).json()
        found += [e["resource"]["id"] for e in page.get("entry", [])]
        url = next((link["url"].split("/R4/")[1] for link in page["link"] if link["relation"] == relation), None)
    return found


async def test_pages_go_back_the_way_they_came(client: httpx.AsyncClient) -> None:
    first = (await client.get("Patient?_count=3&_sort=birthdate")).json()
    links = {link["relation"]: link["url"].split("/R4/")[1] for link in first["link"]}
    second = (await client.get(links["next"])).json()
    back = {link["relation"]: link["url"].split("/R4/")[1] for link in second["link"]}
    again = (await client.get(back["previous"])).json()
    assert [e["fullUrl"] for e in again["entry"]] == [e["fullUrl"] for e in first["entry"]]


async def test_includes_bring_what_is_referred_to_and_what_refers(client: httpx.AsyncClient) -> None:
    found = (await client.get("Observation?_id=q2&_include=Observation:patient&_include:iterate=Patient:link")).json()
    modes = {e["resource"]["id"]: e["search"]["mode"] for e in found["entry"]}
    assert modes == {"q2": "match", "new1": "include", "p1": "include"}
    assert found["total"] == 1
    found = (await client.get("Patient?_id=new1&_revinclude=Observation:subject&_revinclude=Provenance:target")).json()
    assert {e["resource"]["id"] for e in found["entry"]} == {"new1", "q1", "q2", "pv1"}
    found = (await client.get("Patient?_id=new1&_include=*")).json()
    assert {e["resource"]["id"] for e in found["entry"]} == {"new1", "p1"}
    found = (
        await client.get(
            "Observation?_id=q1&_revinclude:iterate=Observation:derived-from&_include=Observation:subject:Group"
        )
    ).json()
    assert {e["resource"]["id"] for e in found["entry"]} == {"q1", "q2"}


async def test_totals_and_counts(client: httpx.AsyncClient) -> None:
    assert (await client.get("Patient?_summary=count")).json() | {"link": 0} == {
        "resourceType": "Bundle", "type": "searchset", "total": 8, "link": 0,
    }  # fmt: skip
    assert (await client.get("Patient?_count=0")).json()["total"] == 8
    assert (await client.get("Patient?_count=2&_total=accurate")).json()["total"] == 8
    assert "total" not in (await client.get("Patient?_count=2&_total=none")).json()


async def test_summary_and_elements_show_parts_and_say_so(client: httpx.AsyncClient) -> None:
    shown = (await client.get("Patient?_id=new1&_elements=birthDate")).json()["entry"][0]["resource"]
    assert {"resourceType", "id", "meta", "birthDate"} <= set(shown)
    assert not {"name", "identifier", "text"} & set(shown)
    assert shown["meta"]["tag"][-1]["code"] == "SUBSETTED"
    text = (await client.get("Patient/new1?_summary=text")).json()
    assert "text" in text
    assert "birthDate" not in text
    data = (await client.get("Patient/new1?_summary=data")).json()
    assert "text" not in data
    assert "birthDate" in data
    summary = (await client.get("Observation/q1?_summary=true")).json()
    assert "note" not in summary
    assert "valueQuantity" in summary


async def test_a_cursor_serves_no_other_tenant_and_no_other_question(world: World, client: httpx.AsyncClient) -> None:
    page = (await client.get("Patient?_count=2")).json()
    url = next(link["url"].split("/R4/")[1] for link in page["link"] if link["relation"] == "next")
    async with world.client() as stranger:
        assert (await stranger.get(url)).status_code == 400
    assert (await client.get(url.replace("Patient?", "Patient?gender=male&"))).status_code == 400
    assert (await client.get(url)).status_code == 200
