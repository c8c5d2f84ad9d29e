"""The server and the corpus of the exchange benchmark; run as a module it serves both the exchange and its baseline."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from litestar import Litestar, get

from sandbox.app import Application
from sandbox.kernel.clock import SystemClock
from sandbox.settings import SandboxSettings

PORT = int(os.environ.get("BENCH_PORT", "8310"))
ISSUER = f"http://127.0.0.1:{PORT}/sandbox"
BASE_URL = f"{ISSUER}/fhir/R4"
KEY = ECKey.import_key(
    {
        "kty": "EC", "crv": "P-256", "kid": "bench", "alg": "ES256", "use": "sig",
        "x": "WKn-ZIGevcwGIyyrzFoZNBdaq9_TsqzGl96oc0CWuis", "y": "y77t-RvAHRKTsSGdIYUfweuOvwrvDD-Q3Hv5J0fSKbE",
        "d": "Hndv7ZZjs_ke8o9zXYo3iq-Yr8SewI5vrqd0pAvEPqg",
    }
)  # fmt: skip
RICH, PER_RICH, PER_POOR = 200, 60, int(os.environ.get("BENCH_PER_POOR", "4"))
"""So many patients have PER_RICH laboratory Observations, whatever the corpus's size; the others have PER_POOR."""
_CODES = [("718-7", "Hemoglobin", "g/dL"), ("2345-7", "Glucose", "mg/dL"), ("2160-0", "Creatinine", "mg/dL")]
_NOTE = "نمونه در شرایط استاندارد گرفته شد و نتیجه پس از بازبینی پزشک آزمایشگاه تأیید گردید. " * 5


def token(scope: str = "system/*.cruds", tenant: str = "bench") -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": BASE_URL, "sub": "bench", "client_id": "bench", "app": "bench", "tenant": tenant,
        "scope": scope, "jti": "1", "iat": now, "exp": now + 36_000, "epoch": 0, "env": "sandbox",
    }  # fmt: skip
    return jwt.encode({"alg": "ES256", "kid": "bench", "typ": "at+jwt"}, claims, KEY)


def observation(fid: str, patient: str, n: int) -> dict[str, Any]:
    """About 1.9 KB of laboratory result."""
    code, display, unit = _CODES[n % 3]
    at = (datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n)).isoformat()
    category = "laboratory" if n % 8 else "vital-signs"
    return {
        "resourceType": "Observation",
        "id": fid,
        "identifier": [{"system": "https://gozar.example/sid/result", "value": f"R-{fid}"}],
        "status": "final",
        "category": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": category}]}
        ],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": display}], "text": display},
        "subject": {"reference": f"Patient/{patient}"},
        "encounter": {"reference": f"Encounter/e-{patient}"},
        "effectiveDateTime": at,
        "issued": at,
        "performer": [{"reference": "Organization/org-1"}],
        "valueQuantity": {"value": 5 + n % 90, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit},
        "note": [{"text": _NOTE}],
        "referenceRange": [{"low": {"value": 3, "unit": unit}, "high": {"value": 60, "unit": unit}}],
    }


def corpus(patients: int) -> Iterator[bytes]:
    """Patients with their Observations; the RICH ones lie evenly among the others."""
    step = max(1, patients // RICH)
    yield orjson.dumps({"resourceType": "Organization", "id": "org-1", "name": "آزمایشگاه"})
    for n in range(patients):
        fid = f"p{n}"
        yield orjson.dumps(
            {
                "resourceType": "Patient",
                "id": fid,
                "active": True,
                "identifier": [{"system": "https://gozar.example/sid/national-code", "value": f"{n:010}"}],
                "name": [{"family": ["احمدی", "کریمی", "رضایی", "موسوی"][n % 4], "given": [f"نام{n % 500}"]}],
                "gender": ["male", "female"][n % 2],
                "birthDate": f"{1940 + n % 80}-0{1 + n % 9}-1{n % 9}",
            }
        )
        yield orjson.dumps(
            {
                "resourceType": "Encounter",
                "id": f"e-{fid}",
                "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
                "subject": {"reference": f"Patient/{fid}"},
            }
        )
        count = PER_RICH if n % step == 0 and n // step < RICH else PER_POOR
        for m in range(count):
            yield orjson.dumps(observation(f"{fid}-o{m}", fid, m))


def rich(patients: int) -> list[int]:
    step = max(1, patients // RICH)
    return [n * step for n in range(min(RICH, patients))]


async def jwks() -> dict[str, Any]:
    return {"keys": [KEY.as_dict(private=False)]}


@get("/baseline")
async def baseline() -> dict[str, Any]:
    return {"status": "ok", "number": 42, "items": ["a", "b", "c"]}


def application(database_url: str, patients: int) -> Any:
    litestar = Litestar([baseline], openapi_config=None)
    settings = SandboxSettings(database_url, BASE_URL, ISSUER)
    exchange = Application(settings, clock=SystemClock(), jwks=jwks, population=lambda: corpus(patients))

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/baseline":
            await litestar(scope, receive, send)
        else:
            await exchange(scope, receive, send)

    return serve


def main(database_url: str, patients: int) -> None:
    uvicorn.run(
        application(database_url, patients),
        port=PORT,
        log_level="warning",
        access_log=False,
        loop="uvloop",
        http="httptools",
    )


async def load(database_url: str, patients: int) -> None:
    """Fill the database without serving; prints resources a second, the making of the corpus left out."""
    settings = SandboxSettings(database_url, BASE_URL, ISSUER)
    began: list[float] = []
    making, count = 0.0, 0

    def stream() -> Iterator[bytes]:
        nonlocal making, count
        began.extend((time.perf_counter(), time.process_time()))
        bodies = corpus(patients)
        while True:
            before = time.thread_time()
            body = next(bodies, None)
            making += time.thread_time() - before
            if body is None:
                return
            count += 1
            yield body

    app = Application(settings, clock=SystemClock(), jwks=jwks, population=stream)
    await app.start()
    wall, cpu = time.perf_counter() - began[0] - making, time.process_time() - began[1] - making
    await app.stop()
    print(
        f"bulk load: {count} resources, {count / wall:.0f}/s of wall time, {count / cpu:.0f}/s of CPU time, indexes included"
    )


if __name__ == "__main__":
    if sys.argv[1] == "load":
        asyncio.run(load(sys.argv[2], int(sys.argv[3])))
    else:
        main(sys.argv[1], int(sys.argv[2]))
