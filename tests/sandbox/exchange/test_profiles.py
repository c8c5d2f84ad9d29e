"""Profiles of the Tenant's own: `$validate` judges by them, and a resource that claims one must conform.

http://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.factories.exchange import World, observation, patient

pytestmark = pytest.mark.asyncio(loop_scope="session")
BASE = "http://example.org/StructureDefinition"
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"


def _profile(
    name: str, kind: str, *elements: dict[str, Any], base: str = "", of: str = "differential"
) -> dict[str, Any]:
    complex_type = kind in ("Extension", "Quantity", "Identifier")
    return {
        "resourceType": "StructureDefinition", "id": name, "url": f"{BASE}/{name}", "name": name, "status": "active",
        "kind": "complex-type" if complex_type else "resource", "abstract": False, "type": kind, "derivation": "constraint",
        "baseDefinition": base or f"http://hl7.org/fhir/StructureDefinition/{kind}",
        **({"context": [{"type": "element", "expression": "Element"}]} if kind == "Extension" else {}),
        of: {"element": [{"id": e.pop("id", e["path"]), **e} for e in elements]},
    }  # fmt: skip


def _part(code: str) -> dict[str, Any]:
    return {"coding": [{"system": LOINC, "code": code}]}


PROFILES = [
    _profile(
        "national-patient", "Patient",
        {"path": "Patient.identifier", "min": 1, "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "open"}},
        {"id": "Patient.identifier:nid", "path": "Patient.identifier", "sliceName": "nid", "min": 1, "max": "1"},
        {"id": "Patient.identifier:nid.system", "path": "Patient.identifier.system", "min": 1, "fixedUri": "urn:nid"},
        {"id": "Patient.identifier:nid.value", "path": "Patient.identifier.value", "min": 1, "maxLength": 10,
         "constraint": [{"key": "nid-1", "severity": "error", "human": "Ten digits", "expression": "matches('^[0-9]{10}$')"}]},
        {"path": "Patient.name", "min": 1, "max": "1"},
        {"path": "Patient.gender", "min": 1, "binding": {"strength": "required", "valueSet": "http://example.org/vs/two"}},
        {"path": "Patient.photo", "max": "0"},
        {"id": "Patient.extension:blood", "path": "Patient.extension", "sliceName": "blood", "max": "1",
         "type": [{"code": "Extension", "profile": [f"{BASE}/blood"]}]},
        {"path": "Patient.deceased[x]", "type": [{"code": "boolean"}]},
        {"path": "Patient.generalPractitioner",
         "type": [{"code": "Reference", "targetProfile": ["http://hl7.org/fhir/StructureDefinition/Organization"]}]},
    ),
    _profile(
        "strict-patient", "Patient", {"path": "Patient.birthDate", "min": 1}, base=f"{BASE}/national-patient",
    ),
    _profile(
        "blood", "Extension",
        {"path": "Extension.url", "fixedUri": f"{BASE}/blood"}, {"path": "Extension.value[x]", "min": 1, "type": [{"code": "code"}]},
    ),
    _profile(
        "pressure", "Observation",
        {"path": "Observation", "constraint": [
            {"key": "bp-1", "severity": "error", "human": "Systolic above diastolic", "source": f"{BASE}/pressure",
             "expression": "component.where(code.coding.code='8480-6').value.value.first() > "
                           "component.where(code.coding.code='8462-4').value.value.first()"}]},
        {"path": "Observation.code", "patternCodeableConcept": _part("85354-9")},
        {"path": "Observation.value[x]", "max": "0"},
        {"path": "Observation.component", "min": 2,
         "slicing": {"discriminator": [{"type": "pattern", "path": "code"}], "rules": "closed"}},
        *(
            item
            for name, code in (("systolic", "8480-6"), ("diastolic", "8462-4"))
            for item in (
                {"id": f"Observation.component:{name}", "path": "Observation.component", "sliceName": name, "min": 1, "max": "1"},
                {"id": f"Observation.component:{name}.code", "path": "Observation.component.code", "patternCodeableConcept": _part(code)},
                {"id": f"Observation.component:{name}.value[x]", "path": "Observation.component.value[x]", "min": 1,
                 "type": [{"code": "Quantity"}]},
                {"id": f"Observation.component:{name}.value[x].code", "path": "Observation.component.value[x].code", "min": 1,
                 "fixedCode": "mm[Hg]"},
            )
        ),
    ),
    _profile(
        "typed", "Observation",
        {"path": "Observation.value[x]", "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"}},
        {"id": "Observation.value[x]:valueQuantity", "path": "Observation.value[x]", "sliceName": "valueQuantity", "min": 1,
         "type": [{"code": "Quantity"}]},
        {"id": "Observation.value[x]:valueQuantity.unit", "path": "Observation.value[x].unit", "min": 1},
        of="differential",
    ),
]  # fmt: skip
TWO = {
    "resourceType": "ValueSet", "id": "two", "url": "http://example.org/vs/two", "status": "active",
    "compose": {"include": [{"system": "http://hl7.org/fhir/administrative-gender", "concept": [{"code": "male"}, {"code": "female"}]}]},
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client() as made:
        for resource in (*PROFILES, TWO):
            answer = await made.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
            assert answer.status_code == 201, answer.text
        yield made


def _person(**more: Any) -> dict[str, Any]:
    person = patient("x", gender="female", identifier=[{"system": "urn:nid", "value": "0123456789"}]) | more
    return {k: v for k, v in person.items() if v is not None}


def _pressure(systolic: float = 120, diastolic: float = 80, **more: Any) -> dict[str, Any]:
    made = observation("x", "p1", code="85354-9")
    del made["valueQuantity"]
    unit = {"unit": "mmHg", "system": UCUM, "code": "mm[Hg]"}
    parts = [
        {"code": _part("8480-6"), "valueQuantity": {"value": systolic} | unit},
        {"code": _part("8462-4"), "valueQuantity": {"value": diastolic} | unit},
    ]
    return made | {"component": parts} | more


_BLOOD = f"{BASE}/blood"
_NID = {"system": "urn:nid", "value": "0123456789"}
_FIRST = _pressure()["component"][0]
_RATE = {"code": _part("8867-4"), "valueInteger": 1}
_KPA = {"code": _part("8462-4"), "valueQuantity": {"value": 8, "system": UCUM, "code": "kPa"}}
_BARE = {"code": _part("8462-4"), "valueInteger": 80}
_TWICE = [{"url": _BLOOD, "valueCode": "A"}, {"url": _BLOOD, "valueCode": "B"}]
_DOCTOR = [{"reference": "Practitioner/d"}]
CASES = [
    ("national-patient", _person(), {}),
    ("national-patient", _person(identifier=None), {"profile-minimum": "Patient.identifier"}),
    ("national-patient", _person(identifier=[{"system": "urn:other", "value": "1"}]), {"profile-minimum": "Patient.identifier"}),
    ("national-patient", _person(identifier=[{"system": "urn:nid", "value": "12"}]), {"nid-1": "Patient.identifier[0].value"}),
    ("national-patient", _person(identifier=[_NID | {"value": "01234567890"}]), {"profile-length": "Patient.identifier[0].value"}),
    ("national-patient", _person(identifier=[_NID] * 2), {"profile-maximum": "Patient.identifier"}),
    ("national-patient", _person(identifier=[_NID, {"system": "urn:x", "value": "y"}]), {}),
    ("national-patient", _person(name=[{"family": "a"}, {"family": "b"}]), {"profile-maximum": "Patient.name"}),
    ("national-patient", _person(gender=None), {"profile-minimum": "Patient.gender"}),
    ("national-patient", _person(gender="other"), {"profile-binding": "Patient.gender"}),
    ("national-patient", _person(photo=[{"title": "t"}]), {"profile-maximum": "Patient.photo"}),
    ("national-patient", _person(extension=[{"url": _BLOOD, "valueCode": "A+"}]), {}),
    ("national-patient", _person(extension=[{"url": _BLOOD, "valueString": "A+"}]), {"profile-type": "Patient.extension[0].value"}),
    ("national-patient", _person(extension=_TWICE), {"profile-maximum": "Patient.extension"}),
    ("national-patient", _person(deceasedDateTime="2020"), {"profile-type": "Patient.deceased"}),
    ("national-patient", _person(generalPractitioner=[{"reference": "Organization/org-1"}]), {}),
    ("national-patient", _person(generalPractitioner=_DOCTOR), {"profile-target": "Patient.generalPractitioner[0]"}),
    ("strict-patient", _person(birthDate="1990-01-01"), {}),
    ("strict-patient", _person(), {"profile-minimum": "Patient.birthDate"}),
    ("strict-patient", _person(birthDate="1990-01-01", gender="other"), {"profile-binding": "Patient.gender"}),
    ("pressure", _pressure(), {}),
    ("pressure", _pressure(80, 120), {"bp-1": "Observation"}),
    ("pressure", _pressure(code=_part("8480-6")), {"profile-pattern": "Observation.code"}),
    ("pressure", _pressure(component=_pressure()["component"][:1]), {"profile-minimum": "Observation.component"}),
    ("pressure", _pressure(component=[*_pressure()["component"], _RATE]), {"profile-slice": "Observation.component[2]"}),
    ("pressure", _pressure(component=[_FIRST, _BARE]), {"profile-type": "Observation.component[1].value"}),
    ("pressure", _pressure(component=[_FIRST, _KPA]),
     {"profile-fixed": "Observation.component[1].value.code"}),
    ("typed", observation("x", "p1"), {}),
    ("typed", observation("x", "p1") | {"valueQuantity": {"value": 1}}, {"profile-minimum": "Observation.value.unit"}),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "resource", "expected"), CASES)
async def test_what_a_profile_asks_for_is_told(
    client: httpx.AsyncClient, profile: str, resource: dict[str, Any], expected: dict[str, str]
) -> None:
    answer = await client.post(f"{resource['resourceType']}/$validate?profile={BASE}/{profile}", json=resource)
    assert answer.status_code == 200, answer.text
    found = {}
    for issue in answer.json()["issue"]:
        if issue["severity"] == "error" and "reference-exists" not in str(issue):
            rule = issue["details"]["coding"][0]["code"] if "coding" in issue.get("details", {}) else ""
            found[rule] = issue["expression"][0]
    missing = {k: v for k, v in expected.items() if found.get(k) != v}
    assert not missing, (missing, answer.text)
    assert bool(found) == bool(expected), answer.text


async def test_a_resource_that_claims_a_profile_must_conform_to_it(client: httpx.AsyncClient) -> None:
    claim = {"meta": {"profile": [f"{BASE}/national-patient"]}}
    good = await client.post("Patient", json=_person() | claim)
    assert good.status_code == 201, good.text
    bad = await client.post("Patient", json=_person(gender="other") | claim, headers={"accept-language": "fa"})
    assert bad.status_code == 422
    assert "Patient.gender" in bad.text
    assert "نمایه" in bad.text
    unknown = await client.post("Patient", json=_person() | {"meta": {"profile": ["http://nowhere/profile"]}})
    assert unknown.status_code == 201, "a profile that is not here forbids nothing"
    entry = {"resource": _person(gender="other") | claim, "request": {"method": "POST", "url": "Patient"}}
    together = await client.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert together.status_code == 422


async def test_modes_and_unknown_profiles_of_validate(client: httpx.AsyncClient) -> None:
    unknown = await client.post("Patient/$validate?profile=http://nowhere/p", json=_person())
    assert unknown.status_code == 404
    assert "http://nowhere/p" in unknown.text
    wrong = await client.post(f"Patient/$validate?profile={BASE}/pressure", json=_person())
    assert wrong.json()["issue"][0]["severity"] == "error"
    assert (await client.post("Patient/$validate?mode=profile", json=_person())).status_code == 400
    core = "http://hl7.org/fhir/StructureDefinition/Patient"
    assert (await client.post(f"Patient/$validate?profile={core}", json=_person())).json()["issue"][0][
        "severity"
    ] == "information"
    update = await client.post("Patient/p1/$validate?mode=update", json=_person())
    assert "update" in update.json()["issue"][0]["details"]["text"].lower()
    assert (await client.post("Patient/p1/$validate?mode=delete")).status_code == 200
