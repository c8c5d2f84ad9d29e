"""A running exchange for tests: real database, real tokens, a small literal base population, one Tenant a test."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from joserfc import jwt
from joserfc.jwk import ECKey

from sandbox.app import Application
from sandbox.kernel.clock import FixedClock
from sandbox.settings import SandboxSettings

ISSUER = "http://127.0.0.1:8300/sandbox"
BASE_URL = f"{ISSUER}/fhir/R4"
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
KEY = ECKey.generate_key("P-256", {"kid": "test", "use": "sig", "alg": "ES256"})
_numbers = itertools.count(1)


async def jwks() -> Mapping[str, Any]:
    return {"keys": [KEY.as_dict(private=False)]}


@dataclass
class World:
    """An exchange and the means to call it."""

    app: Application
    clock: FixedClock
    environment: str = "sandbox"
    names: Iterator[int] = field(default_factory=lambda: _numbers)

    def token(self, scope: str = "system/*.cruds", *, tenant: str, audience: str = BASE_URL, **claims: Any) -> str:
        now = int(self.clock.now().timestamp())
        payload = {
            "iss": ISSUER, "aud": audience, "sub": "app-1", "client_id": "app-1", "app": "app-1", "tenant": tenant,
            "scope": scope, "jti": f"t{next(_numbers)}", "iat": now, "exp": now + 36_000, "epoch": 0, "env": "sandbox",
        }  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": "test", "typ": "at+jwt"}, payload | claims, KEY)

    def client(self, scope: str = "system/*.cruds", *, tenant: str = "", **claims: Any) -> httpx.AsyncClient:
        """A client of a Tenant, by default a fresh one."""
        named = tenant or f"tenant-{next(_numbers)}"
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=True),
            base_url="http://127.0.0.1:8300/fhir/R4/",
            headers={"authorization": f"Bearer {self.token(scope, tenant=named, **claims)}", "x-tenant": named},
        )

    def admin(self) -> httpx.AsyncClient:
        token = self.token("exchange.admin", tenant="", audience="urn:gozar:exchange:sandbox")
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://127.0.0.1:8300/admin/",
            headers={"authorization": f"Bearer {token}"},
        )


def tenant_of(client: httpx.AsyncClient) -> str:
    return client.headers["x-tenant"]


def path_of(url: str) -> str:
    """A link of a Bundle as a path for the test client."""
    assert url.startswith(BASE_URL)
    return url.removeprefix(BASE_URL).removeprefix("/")


async def start(database_url: str, *, population: Iterable[bytes] | None = None, **settings: Any) -> World:
    clock = FixedClock(START)
    options = {"population_size": 0} | settings
    app = Application(
        SandboxSettings(database_url, BASE_URL, ISSUER, **options),
        clock=clock,
        jwks=jwks,
        population=lambda: population or [orjson.dumps(resource) for resource in base_population()],
    )
    await app.start()
    return World(app, clock)


# --- a small base population, literal so that tests can be read ---------------------------------------------------------


def patient(fid: str, family: str = "احمدی", given: str = "علی", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": fid, "name": [{"family": family, "given": [given]}], **more}


def observation(fid: str, subject: str, code: str = "8480-6", value: float = 120, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": fid,
        "status": "final",
        "category": [{"coding": [{"system": _CATEGORY, "code": "vital-signs"}]}],
        "code": {"coding": [{"system": "http://loinc.org", "code": code, "display": "Systolic"}], "text": "فشار خون"},
        "subject": {"reference": f"Patient/{subject}"},
        "effectiveDateTime": "2026-03-05T08:30:00+03:30",
        "valueQuantity": {"value": value, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"},
    } | more


_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def base_population() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"resourceType": "Organization", "id": "org-1", "name": "بیمارستان مهر", "active": True}
    ]
    for n in range(1, 9):
        found.append(
            patient(
                f"p{n}",
                family=["احمدی", "کریمی"][n % 2],
                given=f"نام{n}",
                gender=["female", "male"][n % 2],
                birthDate=f"19{60 + n}-0{n}-15",
                identifier=[{"system": "urn:oid:1.2.3", "value": f"N-{n}"}],
                managingOrganization={"reference": "Organization/org-1"},
                active=True,
            )
        )
        found += [
            observation(f"o{n}-{m}", f"p{n}", value=100 + 10 * m, effectiveDateTime=f"2026-0{m}-10T10:00:00+03:30")
            for m in range(1, 5)
        ]
        encounter = {"resourceType": "Encounter", "id": f"e{n}", "status": "finished", "class": {"code": "AMB"}}
        found.append(encounter | {"subject": {"reference": f"Patient/p{n}"}})
    return found
