"""Whatever is sent to the FHIR API is answered at once, in FHIR's shape, without a fault of the server and without its insides."""

from __future__ import annotations

import os
import re
import time
from typing import Any

import httpx

from tests.factories.clients import Live
from tests.factories.hostile import Attack, Facts, attacks

# A longer run by hand: GOZAR_FUZZ_CALLS=30000 GOZAR_FUZZ_SEED=7 pytest tests/contracts/test_hostile_fhir.py
CALLS = int(os.environ.get("GOZAR_FUZZ_CALLS", "700"))
SEED = int(os.environ.get("GOZAR_FUZZ_SEED", "1405"))
TYPES = "Patient Observation Condition Encounter MedicationRequest Appointment Slot Consent Task Practitioner Claim Coverage"
INSIDES = re.compile(
    rb'Traceback|sqlite|asyncpg|site-packages|File \\"|\.py\b|OperationalError|AttributeError|TypeError: '
)
PATIENCE = 10.0
# Answered by the HTTP server itself, before there is any FHIR.
NOT_HTTP = b"Invalid HTTP request received."


def facts_of(http: httpx.Client) -> Facts:
    """What the server tells anybody with a token."""
    resources = []
    for rtype in TYPES.split():
        page = http.get(rtype, params={"_count": "4", "_sort": "_id"}).json()
        resources += [entry["resource"] for entry in page.get("entry", ())]
    rest = http.get("metadata").json()["rest"][0]
    operations = [f"${o['name']}" for o in rest.get("operation", ()) if not o["name"].startswith("sandbox-")]
    for kind in rest["resource"]:
        if kind["type"] in TYPES:
            for operation in kind.get("operation", ()):
                operations += [f"{kind['type']}/${operation['name']}", f"{kind['type']}/{{id}}/${operation['name']}"]
    return Facts(resources, operations)


def sent(http: httpx.Client, attack: Attack) -> httpx.Response:
    """The answer; what no HTTP client may send (control characters, names with spaces) is sent with them replaced."""
    fields = [
        (name.encode(), re.sub(rb"[\r\n]", b" ", text.encode("latin-1", "replace")))
        for name, text in attack.headers.items()
    ]
    request = http.build_request(attack.method, "metadata", content=attack.body, headers=fields)
    base = httpx.URL(http.base_url).raw_path
    request.extensions["target"] = base + re.sub(rb"[\x00-\x20]", b"%20", attack.path.encode())
    return http.send(request)


def fault(attack: Attack, answer: httpx.Response, took: float) -> str:
    """What is wrong with an answer; "" when nothing is."""
    refused = answer.status_code >= 400 and attack.method != "HEAD" and NOT_HTTP not in answer.content
    if answer.status_code >= 500 and answer.status_code != 501:
        return f"status {answer.status_code}"
    if refused and INSIDES.search(answer.content[:50_000].replace(attack.path.encode(), b"")):
        return "tells its insides"
    if refused and b"OperationOutcome" not in answer.content[:200] and ".well-known" not in attack.path:
        return f"not an OperationOutcome: {answer.text[:200]}"
    return f"{took:.1f} seconds" if took > PATIENCE else ""


def test_hostile_calls_are_answered_in_the_shape_of_fhir(live: Live) -> None:
    faults: list[str] = []
    seen: dict[int, int] = {}
    http = live.http()
    facts = facts_of(http)
    for number, attack in enumerate(attacks(SEED, CALLS, facts)):
        if number % 2000 == 1999:
            http.close()
            http = live.http()
        begun: Any = time.monotonic()
        try:
            answer = sent(http, attack)
        except httpx.LocalProtocolError:
            continue
        wrong = fault(attack, answer, time.monotonic() - begun)
        seen[answer.status_code] = seen.get(answer.status_code, 0) + 1
        if wrong:
            faults.append(f"#{number} {wrong}: {attack}")
    http.close()
    assert not faults, "\n".join(faults)[:8000]
    assert {200, 400, 404, 415, 422} <= seen.keys(), f"the calls reach every kind of answer: {seen}"
