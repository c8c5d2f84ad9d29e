"""De-identified export: by scope only, never with an identifier of its source, and without those who said no."""

from __future__ import annotations

import re
from typing import Any

import httpx
import orjson
import pytest

from sandbox.workflows import personas
from tests.factories.exchange import World, path_of, tenant_of
from tests.sandbox.workflows.calls import PATIENT, do, text_of

pytestmark = pytest.mark.asyncio(loop_scope="session")
SCOPE = "system/Population.r"
NAME, CODE, PHONE = "نام‌بسیارویژه", "0499370899", "+989121112233"


async def export(client: httpx.AsyncClient, path: str = "$export") -> dict[str, list[dict[str, Any]]]:
    """Files of an export by type."""
    started = await client.get(path, headers={"prefer": "respond-async"})
    assert started.status_code == 202, started.text
    where = path_of(started.headers["content-location"])
    answer = await client.get(where)
    while answer.status_code == 202:
        answer = await client.get(where)
    manifest = answer.json()
    assert manifest["requiresAccessToken"] is True
    files = {}
    for output in manifest["output"]:
        body = await client.get(path_of(output["url"]))
        assert body.status_code == 200 and body.headers["content-type"] == "application/fhir+ndjson"
        files[output["type"]] = [orjson.loads(line) for line in body.content.splitlines()]
    return files


def strings(node: Any) -> set[str]:
    """Every text in a JSON value."""
    if isinstance(node, dict):
        return set().union(*(strings(value) for value in node.values())) if node else set()
    if isinstance(node, list):
        return set().union(*(strings(value) for value in node)) if node else set()
    return {node} if isinstance(node, str) else set()


def naming(resource: dict[str, Any]) -> set[str]:
    """Texts of a resource that name somebody: ids, identifiers, names, telecoms, addresses below the province."""
    found = {resource["id"]}
    for name in ("identifier", "name", "telecom", "photo", "contact", "alias"):
        found |= strings(resource.get(name, []))
    for address in resource.get("address", []) if isinstance(resource.get("address"), list) else []:
        found |= strings({k: v for k, v in address.items() if k not in {"state", "country", "use", "type"}})
    return {text for text in found if len(text) > 3 and not text.startswith("http") and text not in _WORDS}


_WORDS = {"official", "usual", "mobile", "phone", "home", "work", "family"}


async def test_no_identifier_of_the_source_occurs_anywhere_in_the_output(clinic: World) -> None:
    async with clinic.client() as app:
        tenant = tenant_of(app)
        patient = {
            "resourceType": "Patient",
            "name": [{"text": NAME, "family": NAME}],
            "identifier": [{"system": "https://gozar.example/fhir/sid/national-code", "value": CODE}],
            "telecom": [{"system": "phone", "value": PHONE}],
        }
        made = (await app.post("Patient", json=patient)).json()["id"]
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": f"Patient/{made}", "display": NAME},
            "code": {"text": f"{NAME} {CODE}", "coding": [{"system": "urn:mine", "code": CODE}]},
            "valueString": PHONE,
            "note": [{"text": f"{NAME} {PHONE}"}],
        }
        assert (await app.post("Observation", json=observation)).status_code == 201
    async with clinic.client(SCOPE, tenant=tenant) as analyst:
        files = await export(analyst)
    assert {"Patient", "Observation", "Condition", "MedicationRequest", "Encounter"} <= set(files)
    assert not {"Practitioner", "Organization", "Consent", "RelatedPerson", "AuditEvent", "Communication"} & set(files)
    text = orjson.dumps(files).decode()
    sources: set[str] = {NAME, CODE, PHONE, made}
    for resource in personas.resources():
        sources |= naming(resource)
    words = strings(files)
    assert not [source for source in sources if source in words], "a value of the source stands in the output"
    assert not [source for source in sources if len(source) > 5 and source in text]
    bare = re.sub(r'"id":"\w+"|/\w{32}"', "", text)
    assert not re.findall(r"(?<![\d.])\d{10}", bare), "nothing looks like a national code"
    for rows in files.values():
        for row in rows:
            assert {"PSEUDED", "REDACTED"} <= {label["code"] for label in row["meta"]["security"]}


async def test_references_fit_inside_an_export_and_two_apps_cannot_compare_theirs(clinic: World) -> None:
    async with clinic.client(SCOPE, app="app-1", client_id="app-1") as one:
        first, again = await export(one), await export(one)
        ids = {row["id"] for row in first["Patient"]}
        assert first == again and len(ids) == len(first["Patient"])
        assert {row["subject"]["reference"].partition("/")[2] for row in first["Condition"]} <= ids
        async with clinic.client(SCOPE, tenant=tenant_of(one), app="app-2", client_id="app-2") as two:
            second = await export(two)
        theirs = {row["id"] for rows in second.values() for row in rows}
        assert not theirs & {row["id"] for rows in first.values() for row in rows}

        def years(rows: list[dict[str, Any]]) -> list[str]:
            return sorted(row["effectiveDateTime"] for row in rows if "effectiveDateTime" in row)

        assert years(first["Observation"]) != years(second["Observation"])


async def test_the_scope_opens_nothing_but_the_masked_export(clinic: World) -> None:
    async with clinic.client(SCOPE) as analyst:
        for path in (
            PATIENT,
            "Patient",
            "Group/persona-cohort-chronic",
            "Observation?_count=1",
            f"{PATIENT}/$everything",
        ):
            assert (await analyst.get(path)).status_code == 403, path
    async with clinic.client("system/Slot.rs") as other:
        refused = await other.get("$export?_type=Patient", headers={"prefer": "respond-async"})
        assert refused.status_code == 403
    async with clinic.client(f"{SCOPE} system/*.rs") as both:
        files = await export(both, "$export?_type=Patient")
        assert all("name" not in row for row in files["Patient"]), "the mask outweighs whatever else the token may read"


async def test_groups_are_exported_unless_they_are_too_small(clinic: World) -> None:
    async with clinic.client(SCOPE) as analyst:
        files = await export(analyst, "Group/persona-cohort-chronic/$export")
        assert len(files["Patient"]) == 7, "the eighth member withholds everything from every App"
        small = await analyst.get("Group/persona-cohort-small/$export", headers={"prefer": "respond-async"})
        assert small.status_code == 403 and "fewer than 5 members" in text_of(small.json())
        absent = await analyst.get("Group/nobody/$export", headers={"prefer": "respond-async"})
        assert absent.status_code == 404


@pytest.mark.parametrize(
    "query",
    ["_typeFilter=Patient%3Fidentifier=1", "patient=Patient/persona-healthy", "_elements=id", "_type=Practitioner"],
)
async def test_what_could_single_somebody_out_is_refused(clinic: World, query: str) -> None:
    async with clinic.client(SCOPE) as analyst:
        refused = await analyst.get(f"$export?{query}", headers={"prefer": "respond-async"})
        assert refused.status_code in (400, 403) and refused.json()["resourceType"] == "OperationOutcome"


async def test_those_who_withhold_revoke_or_opt_out_are_not_in_it_and_a_new_refusal_counts_at_once(
    clinic: World,
) -> None:
    async with clinic.client() as app, clinic.client(SCOPE, tenant=tenant_of(app)) as analyst:
        before = await export(analyst, "$export?_type=Patient,Observation")
        granted = await do(app, "Consent/$request", patient=PATIENT, purpose="HRESCH")
        await do(app, f"Consent/{granted['id']}/$revoke")
        after = await export(analyst, "$export?_type=Patient,Observation")
        gone = {row["id"] for row in before["Patient"]} - {row["id"] for row in after["Patient"]}
        assert len(gone) == 1
        assert {row["subject"]["reference"] for row in before["Observation"]} - {
            row["subject"]["reference"] for row in after["Observation"]
        } == {f"Patient/{next(iter(gone))}"}
        opted = {
            "resourceType": "Consent",
            "status": "active",
            "scope": {
                "coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]
            },
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": "Patient/persona-cancer"},
            "policyRule": {"coding": [{"code": "OPTOUT"}]},
            "provision": {"type": "deny"},
        }
        assert (await app.post("Consent", json=opted)).status_code == 201
        last = await export(analyst, "$export?_type=Patient")
        assert len(last["Patient"]) == len(after["Patient"]) - 1
