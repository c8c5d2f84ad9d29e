"""The search page of the specification, case by case: every prefix, precision, modifier and form, on both databases.

http://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from sandbox.fhir.outcomes import BadRequestError, GoneError
from sandbox.search.cursors import Cursors
from tests.factories.exchange import BASE_URL, World, observation, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
LOINC, UCUM, ICD10 = "http://loinc.org", "http://unitsofmeasure.org", "http://hl7.org/fhir/sid/icd-10"
ATC = "http://www.whocc.no/atc"
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


def _when(fid: str, **effective: Any) -> dict[str, Any]:
    made = observation(fid, "dp")
    del made["effectiveDateTime"]
    return made | effective


def _amount(fid: str, value: float, **unit: Any) -> dict[str, Any]:
    return observation(fid, "dp") | {
        "code": {"coding": [{"system": "urn:q", "code": "q"}]},
        "valueQuantity": {"value": value} | unit,
    }


def _condition(fid: str, system: str, code: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": fid,
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "subject": {"reference": "Patient/dp"},
        "code": {"coding": [{"system": system, "code": code}]},
    } | more


def _organization(fid: str, name: str, above: str = "") -> dict[str, Any]:
    made = {"resourceType": "Organization", "id": fid, "name": name}
    return made | ({"partOf": {"reference": f"Organization/{above}"}} if above else {})


def _location(fid: str, latitude: float, longitude: float) -> dict[str, Any]:
    position = {"latitude": latitude, "longitude": longitude}
    return {"resourceType": "Location", "id": fid, "name": fid, "position": position}


def _value_set(fid: str, *include: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "ValueSet", "id": fid, "status": "active", "url": f"http://example.org/vs/{fid}",
        "compose": {"include": list(include)},
    }  # fmt: skip


_MG = {"unit": "mg", "system": UCUM, "code": "mg"}
_MARRIED = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M"}],
    "text": "متأهل",
}
RESOURCES = [
    patient("dp", family="Date", given="Person", birthDate="1980-02-29", deceasedDateTime="2020-01-01T10:00:00+03:30"),
    patient("n1", family="كاظمی\u200cنژاد", given="مُحَمَّد"),
    patient("n2", family="کاظمي نژاد", given="محمد"),
    patient("n3", family="کاظمینژاد", given="محـــمد"),
    patient("n4", family="Łukasz", given="José"),
    patient("n5", family="O'Brien, Jr|x$y", given="A"),
    patient("n6", family="رؤیا", given="آرش"),
    patient("n7", family="Müller", given="Ärger")
    | {"address": [{"city": "تهران", "line": ["خیابان ولی‌عصر ۱۲"], "postalCode": "۱۲۳۴۵"}]},
    patient("t1", family="Tok", gender="male", maritalStatus=_MARRIED)
    | {
        "identifier": [{"system": "urn:a", "value": "ABC-1"}],
        "telecom": [{"system": "email", "value": "X@Y.ir"}, {"system": "phone", "value": "0912-345"}],
    },
    patient("t2", family="Tok", identifier=[{"value": "ABC-1"}]),
    patient("t3", family="Tok", identifier=[{"system": "urn:b", "value": "a|b,c$d\\e"}], deceasedBoolean=True),
    _when("d-year", effectiveDateTime="2020"),
    _when("d-month", effectiveDateTime="2020-06"),
    _when("d-day", effectiveDateTime="2020-06-15"),
    _when("d-min", effectiveDateTime="2020-06-15T10:00:00+03:30"),
    _when("d-sec", effectiveDateTime="2020-06-15T10:30:15Z"),
    _when("d-inst", effectiveInstant="2020-06-15T10:30:15.123Z"),
    _when("d-per", effectivePeriod={"start": "2020-03-01", "end": "2020-09-30"}),
    _when("d-open", effectivePeriod={"start": "2021-01-01"}),
    _when("d-past", effectivePeriod={"end": "2010-01-01"}),
    _when("d-tim", effectiveTiming={"event": ["2022-01-01", "2022-02-01"]}),
    _when("d-timb", effectiveTiming={"repeat": {"boundsPeriod": {"start": "2023-01-01", "end": "2023-12-31"}}}),
    _amount("q100", 100, **_MG),
    _amount("q100p", 100.4, **_MG),
    _amount("qgram", 0.1, unit="g", system=UCUM, code="g"),
    _amount("q54", 5.4),
    _amount("q540", 5.40),
    _amount("q0", 0),
    _amount("qneg", -5),
    _amount("qlt", 5, comparator="<"),
    _amount("qpuff", 7, unit="puff"),
    _organization("oa", "A", "ob"),
    _organization("ob", "B", "oc"),
    _organization("oc", "C"),
    _location("near-1", 35.70, 51.40),
    _location("near-2", 35.80, 51.40),
    _location("fiji", -35.80, 179.99),
    {
        "resourceType": "HealthcareService", "id": "hs", "name": "Here",
        "location": [{"reference": "Location/near-1"}],
    },
    _condition("c1", ICD10, "E11.9"),
    _condition("c2", ICD10, "E11"),
    _condition("c3", ICD10, "E10"),
    _condition("c5", ATC, "A10BA02"),
    {k: v for k, v in _condition("c4", "", "").items() if k != "code"}
    | {"clinicalStatus": {"coding": [{"system": CLINICAL, "code": "relapse"}]}},
    _value_set("few", {"system": LOINC, "concept": [{"code": "8480-6"}]}),
    _value_set("whole", {"system": ICD10}),
    _value_set("kinds", {"system": ICD10, "filter": [{"property": "concept", "op": "is-a", "value": "E11"}]}),
    {
        "resourceType": "CodeSystem", "id": "cs", "url": "http://example.org/cs", "status": "active", "content": "complete",
        "concept": [{"code": "animal", "concept": [{"code": "dog", "concept": [{"code": "poodle"}]}, {"code": "cat"}]}],
    },
    _condition("c6", "http://example.org/cs", "poodle"),
    {
        "resourceType": "List", "id": "list", "status": "current", "mode": "working",
        "entry": [{"item": {"reference": "Patient/t1"}}, {"item": {"reference": "Patient/t3"}}],
    },
]  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as made:
        entries = [
            {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in RESOURCES
        ]
        answer = await made.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert answer.status_code == 200, answer.text
        yield made


async def found(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(query)
    assert answer.status_code == 200, answer.text
    return sorted(e["resource"]["id"] for e in answer.json().get("entry", []))


JUNE = ["d-day", "d-inst", "d-min", "d-sec"]
LATER = ["d-open", "d-tim", "d-timb"]
DATES = {
    "2020": ["d-month", "d-per", "d-year", *JUNE],
    "eq2020-06": ["d-month", *JUNE],
    "2020-06-15": JUNE,
    "2020-06-15T10:30:15Z": ["d-inst", "d-sec"],
    "2020-06-15T14:00:15+03:30": ["d-inst", "d-sec"],
    "2020-06-15T10:00:00+03:30": ["d-min"],
    "2020-06-15T06:30:00Z": ["d-min"],
    "2020-06-15T10:30Z": ["d-inst", "d-sec"],
    "2020-06-15T10:30:15.123Z": ["d-inst"],
    "2020-06-15T10:30:15.12Z": ["d-inst"],
    "ne2020": ["d-past", *LATER],
    "gt2020": LATER,
    "gt2020-06-15": ["d-month", "d-per", "d-year", *LATER],
    "ge2021": LATER,
    "ge2020-06-15": ["d-month", "d-per", "d-year", *JUNE, *LATER],
    "lt2020-06-15": ["d-month", "d-past", "d-per", "d-year"],
    "le2020-06-15": ["d-month", "d-past", "d-per", "d-year", *JUNE],
    "sa2020-06-14": [*JUNE, *LATER],
    "sa2020": LATER,
    "eb2020": ["d-past"],
    "eb2020-06-16": [*JUNE, "d-past"],
    "2022-01": [],
    "2022": ["d-tim"],
    "2023": ["d-timb"],
    "2020-06-15,2022": [*JUNE, "d-tim"],
    "ge2020-06&date=lt2020-07": ["d-month", "d-per", "d-year", *JUNE],
}


@pytest.mark.parametrize(("value", "expected"), DATES.items())
async def test_date_prefixes_and_precisions(client: httpx.AsyncClient, value: str, expected: list[str]) -> None:
    value = value.replace("+", "%2B")
    assert await found(client, f"Observation?code=8480-6&patient=dp&_count=100&date={value}") == sorted(expected)


QUANTITIES = {
    "100": ["q100", "q100p"],
    f"100|{UCUM}|mg": ["q100", "q100p", "qgram"],
    f"100.0|{UCUM}|mg": ["q100", "qgram"],
    f"0.1|{UCUM}|g": ["q100", "q100p", "qgram"],
    "1e2||mg": ["q100", "q100p", "qgram"],
    "5.4": ["q54", "q540"],
    "5.40": ["q54", "q540"],
    "5": ["q54", "q540"],
    "0": ["q0", "qgram"],
    "-5": ["qneg"],
    "gt100": ["q100p"],
    "ge100": ["q100", "q100p"],
    "lt0": ["qlt", "qneg"],
    "lt4": ["q0", "qgram", "qlt", "qneg"],
    "le-5": ["qlt", "qneg"],
    "ap100||mg": ["q100", "q100p", "qgram"],
    "gt99||mg": ["q100", "q100p", "qgram"],
    "sa100.0": ["q100p"],
    "eb0": ["qneg"],
    "7||puff": ["qpuff"],
    f"7|{UCUM}|puff": [],
    "5.4,7||puff": ["q54", "q540", "qpuff"],
}


@pytest.mark.parametrize(("value", "expected"), QUANTITIES.items())
async def test_quantity_prefixes_precisions_and_units(
    client: httpx.AsyncClient, value: str, expected: list[str]
) -> None:
    assert await found(client, f"Observation?code=urn:q|q&_count=100&value-quantity={value}") == sorted(expected)


STRINGS = {
    "family=کاظمی نژاد": ["n1", "n2", "n3"],
    "family=كاظمي‌نژاد": ["n1", "n2", "n3"],
    "given=محمد": ["n1", "n2", "n3"],
    "given=مُحمّد": ["n1", "n2", "n3"],
    "family=lukasz": ["n4"],
    "given=jose": ["n4"],
    "family:exact=Łukasz": ["n4"],
    "family:exact=łukasz": [],
    "family=o'brien\\, jr": ["n5"],
    "family=O'Brien\\, Jr\\|x\\$y": ["n5"],
    "family=رویا": ["n6"],
    "given=ارش": ["n6"],
    "family=MULLER": ["n7"],
    "family:contains=ULL": ["n7"],
    "address-city=تهران": ["n7"],
    "address=خیابان": ["n7"],
    "address-postalcode=12345": ["n7"],
    "address:contains=عصر 12": ["n7"],
    "address:contains=عصر ١٢": ["n7"],
    "name:contains=jr": ["n5"],
    "name=muller,lukasz": ["n4", "n7"],
    "name:exact=Müller,A": ["n5", "n7"],
    "family:missing=true": [],
    "_id=n1,n2": ["n1", "n2"],
    "_id=Patient/n1": ["n1"],
}
TOKENS = {
    "identifier=ABC-1": ["t1", "t2"],
    "identifier=abc-1": ["t1", "t2"],
    "identifier=|ABC-1": ["t2"],
    "identifier=urn:a|": ["t1"],
    "identifier=urn:a|ABC-1": ["t1"],
    "identifier=urn:b|a\\|b\\,c\\$d\\\\e": ["t3"],
    "identifier=urn:a|ABC-1&identifier=urn:b|x": [],
    "family=tok&identifier:not=urn:a|ABC-1": ["t2", "t3"],
    "family=tok&identifier:not=urn:a|ABC-1,|ABC-1": ["t3"],
    "family=tok&gender:not=male": ["t2", "t3"],
    "family=tok&gender:missing=true": ["t2", "t3"],
    "family=tok&telecom:missing=false": ["t1"],
    "email=x@y.ir": ["t1"],
    "phone=0912345": ["t1"],
    "phone=۰۹۱۲-۳۴۵": ["t1"],
    "telecom=phone|0912-345": ["t1"],
    "family=tok&deceased=true": ["t3"],
    "family=tok&deceased=false": ["t1", "t2"],
    "_id=dp&deceased=true": ["dp"],
    "_id=dp&death-date=2020-01-01": ["dp"],
    "_list=list": ["t1", "t3"],
    "_list=list&gender=male": ["t1"],
    "_list=nobody": [],
    "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender&family=tok": ["t1"],
    "gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender&family=tok": ["t2", "t3"],
}


@pytest.mark.parametrize(("query", "expected"), [*STRINGS.items(), *TOKENS.items()])
async def test_strings_fold_and_tokens_match_whole(client: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    assert await found(client, f"Patient?{quote(query, safe='=&,|:$')}") == sorted(expected)


TERMS = {
    "code:in=http://example.org/vs/whole": ["c1", "c2", "c3"],
    "code:in=http://example.org/vs/kinds": ["c1", "c2"],
    "code:not-in=http://example.org/vs/kinds": ["c3", "c4", "c5", "c6"],
    f"code:below={ICD10}|E11": ["c1", "c2"],
    f"code:above={ICD10}|E11.9": ["c1", "c2"],
    f"code:below={ICD10}|E1": ["c1", "c2", "c3"],
    f"code:below={ATC}|A10": ["c5"],
    f"code:above={ATC}|A10BA02": ["c5"],
    f"code:above={ATC}|A10": [],
    f"code:below={ICD10}|E10,{ATC}|A": ["c3", "c5"],
    f"clinical-status:below={CLINICAL}|active&code:missing=true": ["c4"],
    f"clinical-status:below={CLINICAL}|inactive": [],
    "code:below=http://example.org/cs|animal": ["c6"],
    "code:below=http://example.org/cs|cat": [],
    "code:above=http://example.org/cs|poodle": ["c6"],
    "subject:Patient._id=dp&code:below=http://example.org/cs|dog": ["c6"],
}


@pytest.mark.parametrize(("query", "expected"), TERMS.items())
async def test_value_sets_and_hierarchies_shipped_and_own(
    client: httpx.AsyncClient, query: str, expected: list[str]
) -> None:
    assert await found(client, f"Condition?patient=dp&{query}") == sorted(expected)


async def test_a_chain_reaches_a_value_set_of_the_tenant(client: httpx.AsyncClient) -> None:
    assert await found(client, "Patient?_has:Observation:subject:code:in=http://example.org/vs/few&_id=dp") == ["dp"]
    assert await found(client, "Observation?code:in=ValueSet/few&date=2022") == ["d-tim"]


REFERENCES = {
    "Organization?partof=Organization/ob": ["oa"],
    "Organization?partof=ob": ["oa"],
    f"Organization?partof={BASE_URL}/Organization/ob": ["oa"],
    "Organization?partof:Organization=ob": ["oa"],
    "Organization?partof=http://elsewhere/Organization/ob": [],
    "Organization?partof=Organization/ob/_history/1": ["oa"],
    "Organization?partof=ob,oc": ["oa", "ob"],
    "Organization?partof.name=b": ["oa"],
    "Organization?partof.name=b,c": ["oa", "ob"],
    "Organization?partof._id=ob": ["oa"],
    "Organization?partof.partof.name=c": ["oa"],
    "Organization?partof:Organization.partof:Organization.name=c": ["oa"],
    "Organization?partof.partof:missing=true&_id=oa,ob,oc": ["ob"],
    "Organization?_has:Organization:partof:name=a": ["ob"],
    "Organization?_has:Organization:partof:_has:Organization:partof:name=a": ["oc"],
    "Organization?partof:missing=true&name=c": ["oc"],
    "Observation?subject:Patient.birthdate=1980-02-29&date=2022": ["d-tim"],
    "Observation?patient.name=date&date=2022": ["d-tim"],
    "Patient/dp/Condition?code=E11": ["c2"],
    "?_type=Organization,Location&_id=oa,near-1": ["near-1", "oa"],
    "?_type=Organization,Location&name=near-1": ["near-1"],
    "Organization?_id=oa&_include=Organization:partof": ["oa", "ob"],
    "Organization?_id=oa&_include=Organization:partof:Organization": ["oa", "ob"],
    "Organization?_id=oa&_include:iterate=Organization:partof": ["oa", "ob", "oc"],
    "Organization?_id=oc&_revinclude:iterate=Organization:partof": ["oa", "ob", "oc"],
    "Organization?_id=oa&_include=*": ["oa", "ob"],
    "Organization?_id=oc&_revinclude=*": ["ob", "oc"],
    "Organization?_id=oc&_revinclude=Organization:*": ["ob", "oc"],
    "?_type=Organization&_id=oa&_include=*": ["oa", "ob"],
}


@pytest.mark.parametrize(("query", "expected"), REFERENCES.items())
async def test_references_chains_and_includes(client: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    assert await found(client, query) == sorted(expected)


PLACES = {
    "Location?near=35.70|51.40|1|km": ["near-1"],
    "Location?near=35.70|51.40|12|km": ["near-1", "near-2"],
    "Location?near=35.70|51.40|11.1|km": ["near-1"],
    "Location?near=35.70|51.40|11.2|km": ["near-1", "near-2"],
    "Location?near=35.70|51.40": ["near-1", "near-2"],
    "Location?near=35.70|51.40|12": ["near-1", "near-2"],
    "Location?near=35.7|51.4|5000|m": ["near-1"],
    "Location?near=35.70|51.40|20|[mi_i]": ["near-1", "near-2"],
    "Location?near=35.70|51.40|0|km": ["near-1"],
    "Location?near=-35.8|-179.99|5|km": ["fiji"],
    "Location?near=0|0|1|km": [],
    "Location?near=0|0|1|km,-35.8|179.99|1|km": ["fiji"],
    "Location?near=0|0|30000|km": ["fiji", "near-1", "near-2"],
    "HealthcareService?location.near=35.70|51.40|1|km": ["hs"],
    "HealthcareService?location.near=0|0|1|km": [],
}


@pytest.mark.parametrize(("query", "expected"), PLACES.items())
async def test_near_finds_places_within_the_distance(
    client: httpx.AsyncClient, query: str, expected: list[str]
) -> None:
    assert await found(client, query) == expected


REFUSED = [
    *(
        f"Observation?date={value}"
        for value in (
            "13", "2020-13", "2020-02-30", "abc", "2020-06-15T25:00:00Z", "1399-01-01", "۱۳۹۹/۰۱/۰۱", "2020-6-5", "xx2020",
            "gt", "2020-06-15T10", "2020-06-15T10:00:00%2B99:00",
        )
    ),
    *(f"Observation?value-quantity={value}" for value in ("abc", "1|2", "1|||", f"|{UCUM}|mg", "1e999", "NaN", "0x10")),
    *(f"Location?near={value}" for value in ("abc", "95|0|1|km", "35|51|-1|km", "35|51|1|parsec", "35", "nan|0")),
    "Location?near:exact=1|1", "Condition?code:below=E11", "Condition?code:below=http://snomed.info/sct|1",
    "Observation?code:in=http://nowhere/vs", "Patient?foo=bar", "Patient?name:foo=x", "Patient?gender:exact=male",
    "Patient?_has:x=1", "Patient?_sort=foo", "Patient?_include=Patient:foo", "Patient?_count=-1",
    "Patient?_summary=true&_summary=text", "Patient?_filter=name eq x", "Patient?_query=x",
]  # fmt: skip


@pytest.mark.parametrize("query", REFUSED)
async def test_what_has_no_meaning_is_refused_with_the_parameters_name(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(query)
    assert answer.status_code == 400, answer.text
    parameter = query.partition("?")[2].partition("=")[0].partition(":")[0]
    issue = answer.json()["issue"][0]
    told = issue["details"]["text"]
    assert parameter in told or "value set" in told or "hierarchy" in told, told


@pytest.mark.parametrize(
    "query", ["Patient?_contained=true", "Patient?_containedType=container", "Patient?_list=$current-problems"]
)
async def test_what_is_not_supported_says_so(client: httpx.AsyncClient, query: str) -> None:
    assert (await client.get(query)).status_code == 501


async def test_a_compartment_is_searched_by_post_too(client: httpx.AsyncClient) -> None:
    answer = await client.post("Patient/dp/Condition/_search", data={"code": "E11"})
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == ["c2"]
    assert (await client.post("Patient/nobody/Condition/_search", data={"code": "E11"})).status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Organization?_sort=name&_id=oa,ob,oc", ["oa", "ob", "oc"]),
        ("Organization?_sort=-name&_id=oa,ob,oc", ["oc", "ob", "oa"]),
        ("Patient?family=tok&_sort=gender,_id", ["t1", "t2", "t3"]),
        ("Patient?family=tok&_sort=-gender,-_id", ["t1", "t3", "t2"]),
        ("Observation?code=8480-6&patient=dp&date=2020-06-15&_sort=date", ["d-day", "d-min", "d-sec", "d-inst"]),
    ],
)
async def test_sorts_with_missing_values_last(client: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    answer = await client.get(query)
    assert [e["resource"]["id"] for e in answer.json()["entry"]] == expected


async def test_pages_hold_while_others_write(world: World) -> None:
    """Following `next` meets each resource that was there all along exactly once, whatever is written meanwhile."""
    async with world.client() as own:
        for n in range(12):
            await own.put(f"Organization/s{n:02}", json=_organization(f"s{n:02}", f"stable {n:02}"))
        for query in ("Organization?name=stable&_count=3", "Organization?name=stable&_count=3&_sort=name"):
            met: list[str] = []
            url, turn = query, 0
            while url:
                page = (await own.get(url)).json()
                met += [e["resource"]["id"] for e in page["entry"]]
                turn += 1
                await own.post("Organization", json={"resourceType": "Organization", "name": f"stable 0{turn} new"})
                await own.put("Organization/s11", json=_organization("s11", "gone"))
                url = next((k["url"].removeprefix(BASE_URL + "/") for k in page["link"] if k["relation"] == "next"), "")
            assert len(met) == len(set(met)), query
            assert {f"s{n:02}" for n in range(11)} <= set(met), query
            await own.put("Organization/s11", json=_organization("s11", "stable 11"))


def _cursors() -> Cursors:
    return Cursors(b"secret")


async def test_a_page_link_expires_and_cannot_be_changed() -> None:
    now = 1_000_000_000_000_000
    link = _cursors().make([5, "x"], tenant="t", question=b"q", now=now)
    assert _cursors().read(link, tenant="t", question=b"q", now=now) == (False, [5, "x"])
    with pytest.raises(GoneError):
        _cursors().read(link, tenant="t", question=b"q", now=now + 3_601_000_000)
    for tenant, question, text in (
        ("u", b"q", link),
        ("t", b"r", link),
        ("t", b"q", link[:-2]),
        ("t", b"q", "!"),
        ("t", b"q", ""),
    ):
        with pytest.raises(BadRequestError):
            _cursors().read(text, tenant=tenant, question=question, now=now)
