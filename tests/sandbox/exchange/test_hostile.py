"""Hostile calls on both databases: what one driver swallows, the other may choke on. Answers stay in FHIR's shape."""

from __future__ import annotations

import os
import re

import httpx
import pytest

from tests.factories.exchange import World
from tests.factories.hostile import Facts, attacks

pytestmark = pytest.mark.asyncio(loop_scope="session")
# A longer run by hand: GOZAR_FUZZ_CALLS=20000 GOZAR_FUZZ_SEED=7 pytest tests/sandbox/exchange/test_hostile.py
CALLS = int(os.environ.get("GOZAR_FUZZ_CALLS", "500"))
SEED = int(os.environ.get("GOZAR_FUZZ_SEED", "7"))


async def facts_of(client: httpx.AsyncClient) -> Facts:
    entries = (
        await client.get("", params={"_type": "Patient,Observation,Practitioner,Organization", "_count": "30"})
    ).json()["entry"]
    rest = (await client.get("metadata")).json()["rest"][0]
    # The Tenant's own controls speak plain JSON, and one of them takes everything away.
    operations = [f"${o['name']}" for o in rest.get("operation", ()) if not o["name"].startswith("sandbox-")]
    for kind in rest["resource"]:
        names = [o["name"] for o in kind.get("operation", ())]
        operations += [f"{kind['type']}/{place}${name}" for name in names for place in ("", "{id}/")]
    return Facts([entry["resource"] for entry in entries], operations)


@pytest.mark.parametrize(
    ("scope", "claims"),
    [("system/*.cruds", {}), ("patient/*.cruds user/Observation.rs?category=laboratory", {"patient": "p1"})],
)
async def test_hostile_calls_fault_neither_database(world: World, scope: str, claims: dict[str, str]) -> None:
    async with world.client() as whole:
        facts = await facts_of(whole)
    async with world.client(scope, tenant=whole.headers["x-tenant"], **claims) as client:
        faults = []
        for number, attack in enumerate(attacks(SEED, CALLS, facts)):
            fields = [
                (n.encode(), re.sub(rb"[\r\n]", b" ", v.encode("latin-1", "replace")))
                for n, v in attack.headers.items()
            ]
            request = client.build_request(attack.method, "metadata", content=attack.body, headers=fields)
            raw = re.sub(rb"[\x00-\x20]", b"%20", attack.path.encode())
            if b".." in raw or b"sandbox-" in raw:
                continue  # above the FHIR base, and the controls again
            try:
                request.url = request.url.copy_with(raw_path=b"/fhir/R4/" + raw)
            except httpx.InvalidURL:
                continue
            answer = await client.send(request)
            if answer.status_code >= 500 and answer.status_code != 501:
                faults.append(f"#{number} {answer.status_code}: {attack}")
            elif (
                answer.status_code >= 400
                and attack.method != "HEAD"
                and b"OperationOutcome" not in answer.content[:200]
            ):
                faults.append(f"#{number} {answer.text[:200]}: {attack}")
    assert not faults, "\n".join(faults)[:8000]
