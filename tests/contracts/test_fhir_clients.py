"""Other people's FHIR clients work with the exchange as they are.

Python: fhirclient, fhirpy, smart-fetch. JavaScript: fhir-kit-client, @medplum/core's MedplumClient.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle
from fhirclient.models.condition import Condition
from fhirclient.models.fhirdate import FHIRDate
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException, FHIRPermissionDeniedException, FHIRUnauthorizedException
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import MultipleResourcesFound, OperationOutcome, ResourceNotFound
from joserfc import jwt
from joserfc.jwk import ECKey
from requests import HTTPError

from portal.kernel.ids import new_id
from tests.factories.clients import NODE, Live, needs_node

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")


def assertion(live: Live) -> str:
    """A SMART backend client's proof, as `fhirclient` wants it handed over."""
    setting = live.setting
    key, now = ECKey.import_key(setting["privateKey"]), int(time.time())
    client = setting["keyClientId"]
    claims = {"iss": client, "sub": client, "aud": f"{live.base}/sandbox/oauth/token", "exp": now + 120}
    header = {"alg": "ES384", "kid": setting["privateKey"]["kid"]}
    return jwt.encode(header, {**claims, "jti": new_id("jti")}, key, algorithms=["ES384"])


@pytest.fixture
def smart(live: Live) -> FHIRClient:
    """SMART's own Python client, authorised as a backend by a signed assertion."""
    client = FHIRClient(
        settings={
            "app_id": live.setting["keyClientId"],
            "api_base": live.fhir,
            "scope": "system/*.cruds",
            "jwt_token": assertion(live),
        }
    )
    client.wants_patient = False
    client.prepare()
    client.authorize()
    return client


def test_fhirclient_creates_reads_updates_and_deletes_through_its_models(smart: FHIRClient) -> None:
    server = smart.server
    patient = Patient({"gender": "female", "name": [{"family": "رضایی", "given": ["مینا"]}]})
    patient.birthDate = FHIRDate("1991-01-01")
    made = Patient(patient.create(server))
    read = Patient.read(made.id, server)
    assert read.name[0].family == "رضایی" and read.birthDate.isostring == "1991-01-01"
    assert read.meta.versionId == "1"
    read.name.append(HumanName({"family": "Rezaei", "use": "official"}))
    read.update(server)
    assert [name.family for name in Patient.read(made.id, server).name] == ["رضایی", "Rezaei"]
    read.delete(server)
    with pytest.raises(HTTPError, match="410"):
        Patient.read(made.id, server)
    with pytest.raises(FHIRNotFoundException):
        Patient.read("never-there", server)


def test_fhirclient_searches_includes_and_follows_pages(smart: FHIRClient) -> None:
    server = smart.server
    pages = list(Patient.where({"_count": "5", "_total": "accurate"}).perform_iter(server))
    found = {entry.resource.id for page in pages for entry in page.entry or []}
    assert isinstance(pages[0], Bundle) and len(pages) > 2 and len(found) == pages[0].total
    search = Observation.where({"category": "vital-signs", "_count": "3"}).include("subject")
    first = next(search.perform_iter(server))
    kinds = {entry.search.mode: entry.resource.resource_type for entry in first.entry}
    assert kinds == {"match": "Observation", "include": "Patient"}
    subject = next(entry.resource for entry in first.entry if entry.search.mode == "match").subject
    one = next(Observation.where({"patient": subject.reference}).perform_resources_iter(server))
    assert one.subject.resolved(Patient) is None or one.subject.reference == subject.reference
    born = Patient.where({"birthdate": {"$and": ["gt1900-01-01", "lt2030-01-01"]}, "_summary": "count"})
    assert next(born.perform_iter(server)).total == pages[0].total


def test_fhirclient_launches_for_a_citizen_and_renews(live: Live) -> None:
    setting = live.setting
    client = FHIRClient(
        settings={
            "app_id": setting["publicClientId"],
            "api_base": live.fhir,
            "redirect_uri": setting["redirectUri"],
            "scope": "launch/patient patient/*.rs openid fhirUser offline_access",
        }
    )
    client.prepare()
    client.handle_callback(live.person(client.authorize_url))
    assert client.ready and client.patient is not None
    citizen = client.patient.id
    mine = list(Condition.where({"_count": "50"}).perform_resources_iter(client.server))
    assert mine and {item.subject.reference for item in mine} == {f"Patient/{citizen}"}
    with pytest.raises(FHIRPermissionDeniedException):
        Patient({"gender": "male"}).create(client.server)
    assert client.reauthorize()
    assert Patient.read(citizen, client.server).id == citizen
    client.server.auth.access_token = "x" + client.server.auth.access_token
    with pytest.raises(FHIRUnauthorizedException):
        Patient.read(citizen, client.server)


@pytest.fixture
def fhirpy_client(live: Live) -> SyncFHIRClient:
    return SyncFHIRClient(live.fhir, authorization=f"Bearer {live.token()}")


def test_fhirpy_saves_refreshes_patches_and_deletes(fhirpy_client: SyncFHIRClient) -> None:
    client = fhirpy_client
    made = client.resource("Patient", name=[{"family": "نوری"}], gender="male").save()
    assert made.id and made["meta"]["versionId"] == "1"
    again = client.reference("Patient", made.id).to_resource()
    again["birthDate"] = "1980-05-06"
    again.update()
    assert made.refresh()["birthDate"] == "1980-05-06"
    before = made["meta"]["versionId"]
    assert made.refresh()["meta"]["versionId"] == before, "an unchanged resource is answered with 304"
    patched = client.patch(f"Patient/{made.id}", gender="other", birthDate=None)
    assert patched["gender"] == "other" and "birthDate" not in patched and patched["name"][0]["family"] == "نوری"
    assert made.is_valid()
    assert not client.resource("Patient", gender="wrong").is_valid()
    with pytest.raises(OperationOutcome, match="gender"):
        client.resource("Patient", gender="wrong").save()
    made.delete()
    with pytest.raises(ResourceNotFound):
        client.get("Patient", made.id)


def test_fhirpy_writes_by_condition(fhirpy_client: SyncFHIRClient) -> None:
    client = fhirpy_client
    system, value = "http://example.org/fhirpy", new_id("x")
    match = {"identifier": f"{system}|{value}"}
    named = client.resource("Patient", identifier=[{"system": system, "value": value}], name=[{"family": "A"}])
    first, made = client.resources("Patient").search(**match).get_or_create(named)
    same, made_again = client.resources("Patient").search(**match).get_or_create(named)
    assert made and not made_again and same.id == first.id
    changed = client.resource("Patient", identifier=named["identifier"], name=[{"family": "B"}])
    updated, created = client.resources("Patient").search(**match).update(changed)
    assert not created and updated.id == first.id and updated["name"][0]["family"] == "B"
    patched = client.resources("Patient").search(**match).patch(gender="female")
    assert patched.id == first.id and patched["gender"] == "female"
    assert client.resources("Patient").search(**match).get().id == first.id
    with pytest.raises(MultipleResourcesFound):
        client.resources("Patient").get()
    client.delete(f"Patient/{first.id}")
    assert client.resources("Patient").search(**match).count() == 0


def test_fhirpy_searches_sorts_includes_and_reads_all_pages(fhirpy_client: SyncFHIRClient) -> None:
    client = fhirpy_client
    born = client.resources("Patient").search(birthdate__gt="1900-01-01")
    dates = [p["birthDate"] for p in born.sort("-birthdate").limit(4).fetch_all()]
    assert dates == sorted(dates, reverse=True) and len(dates) == born.count() > 4
    vitals = client.resources("Observation").search(category="vital-signs").limit(5)
    bundle = vitals.include("Observation", "subject").fetch_raw()
    assert {e["resource"]["resourceType"] for e in bundle["entry"]} == {"Observation", "Patient"}
    one = vitals.first()
    person = one["subject"].to_resource()
    back = client.resources("Patient").search(_id=person.id).revinclude("Condition", "subject").fetch_raw()
    assert {e["search"]["mode"] for e in back["entry"]} <= {"match", "include"}
    with_vitals = client.resources("Patient").has("Observation", "patient", category="vital-signs")
    assert person.id in {p.id for p in with_vitals.fetch_all()}
    names = client.resources("Patient").elements("name").limit(2).fetch()
    assert {key for p in names for key in p} <= {"resourceType", "id", "meta", "name", "active"}


async def test_fhirpy_works_asynchronously(live: Live) -> None:
    client = AsyncFHIRClient(live.fhir, authorization=f"Bearer {live.token()}")
    made = await client.resource("Patient", name=[{"family": "async"}]).save()
    assert (await client.resources("Patient").search(family="async").first()).id == made.id
    await made.patch(gender="female")
    assert (await client.get("Patient", made.id))["gender"] == "female"
    count = 0
    async for _ in client.resources("Patient").limit(5):
        count += 1
    assert count == await client.resources("Patient").count()
    await client.delete(made)
    with pytest.raises(ResourceNotFound):
        await client.get("Patient", made.id)


def rows(folder: Path, kind: str) -> list[dict[str, Any]]:
    """All resources of a type that smart-fetch wrote below `folder`."""
    found = []
    for path in folder.rglob(f"*{kind}*.ndjson*"):
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        found += [json.loads(line) for line in content.splitlines()]
    return found


@pytest.mark.parametrize("mode", ["bulk", "crawl"])
def test_smart_fetch_exports_as_a_backend_service(live: Live, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "out"
    tool = Path(sys.executable).parent / "smart-fetch"
    command = [str(tool), "export", str(out), "--export-mode", mode, "--fhir-url", live.fhir]
    command += ["--smart-client-id", live.setting["keyClientId"], "--smart-key", str(jwks_file(live, tmp_path))]
    command += ["--type", "Patient,Condition,AllergyIntolerance", "--hydration-tasks", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with live.http() as http:
        total = http.get("Patient", params={"_summary": "count"}).json()["total"]
    patients = {row["id"] for row in rows(out, "Patient")}
    assert len(patients) >= 12 and abs(len(patients) - total) < 10
    assert {row["subject"]["reference"].removeprefix("Patient/") for row in rows(out, "Condition")} <= patients


def jwks_file(live: Live, folder: Path) -> Path:
    """The private key as a key set, the form that SMART clients are given."""
    path = folder / "keys.jwks"
    path.write_text(json.dumps({"keys": [{**live.setting["privateKey"], "key_ops": ["sign"]}]}))
    return path


@pytest.mark.node
@pytest.mark.parametrize("case", ["fhir-kit-client", "medplum"])
def test_npm_fhir_client(live: Live, case: str) -> None:
    needs_node()
    command = ["node", str(NODE / "fhir.mjs"), json.dumps(live.setting), case]
    environ = {**os.environ, "NODE_NO_WARNINGS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environ)
    assert done.stdout.splitlines()[-1:] == ["DONE"], done.stderr[-3000:]
