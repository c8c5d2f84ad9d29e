"""Who can sign in and whose record can be chosen: a port, answered by the exchange's own Patients and Practitioners."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import httpx
import msgspec

from portal.kernel.clock import Clock
from portal.kernel.errors import Conflict
from portal.oauth.interactions import Person
from portal.oauth.tokens import AccessTokens

SHOWN = 20
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_SCOPE = "system/Patient.rs system/Practitioner.rs system/Encounter.rs"


class PeopleUnavailable(Conflict):
    code = "exchange-unavailable"
    title = "The health record exchange does not answer now; try again shortly"
    title_fa = "سامانهٔ تبادل پروندهٔ سلامت اکنون پاسخ نمی‌دهد؛ کمی بعد دوباره بکوشید"


class People(Protocol):
    """What sign-in and pickers ask. Every call may raise `PeopleUnavailable`."""

    async def search(self, environment: str, tenant: str, kind: str, name: str = "") -> Sequence[Person]:
        """Up to `SHOWN` people of `kind` (`Patient` or `Practitioner`), by part of a name when given."""
        ...

    async def find(self, environment: str, tenant: str, reference: str) -> Person | None:
        """One person by reference, or None."""
        ...

    async def encounters(self, environment: str, tenant: str, patient: str) -> Sequence[Person]:
        """Encounters of a patient, as references with a name to choose by."""
        ...

    async def by_national_code(self, environment: str, tenant: str, national_code: str) -> Person | None:
        """The Patient with this national code, or None when there is none, or more than one."""
        ...


class NoPeople:
    """The twin for tests and for servers without an exchange: a fixed list."""

    def __init__(self, people: Sequence[Person] = (), encounters: Sequence[Person] = ()) -> None:
        self._people, self._encounters = people, encounters

    async def search(self, environment: str, tenant: str, kind: str, name: str = "") -> Sequence[Person]:
        return [each for each in self._people if each.reference.startswith(f"{kind}/") and name in each.name][:SHOWN]

    async def find(self, environment: str, tenant: str, reference: str) -> Person | None:
        return next((each for each in self._people if each.reference == reference), None)

    async def encounters(self, environment: str, tenant: str, patient: str) -> Sequence[Person]:
        return self._encounters

    async def by_national_code(self, environment: str, tenant: str, national_code: str) -> Person | None:
        return next((each for each in self._people if each.note == national_code), None)


class ExchangePeople:
    """Searches the exchange of each Environment, inside one Tenant, with a token of the authorization server's own."""

    def __init__(self, clients: Mapping[str, httpx.AsyncClient], tokens: AccessTokens, clock: Clock) -> None:
        self._clients, self._tokens, self._clock = clients, tokens, clock

    async def search(self, environment: str, tenant: str, kind: str, name: str = "") -> Sequence[Person]:
        query = {"_count": str(SHOWN), **({"name": name} if name else {})}
        bundle = await self._get(environment, tenant, kind, query)
        return [_person(resource) for resource in _resources(bundle, kind)]

    async def find(self, environment: str, tenant: str, reference: str) -> Person | None:
        kind, _, identifier = reference.partition("/")
        if kind not in ("Patient", "Practitioner") or not _ID.fullmatch(identifier):
            return None
        resource = await self._get(environment, tenant, f"{kind}/{identifier}", {})
        return _person(resource) if resource.get("resourceType") == kind else None

    async def encounters(self, environment: str, tenant: str, patient: str) -> Sequence[Person]:
        if not _ID.fullmatch(patient):
            return ()
        query = {"patient": patient, "_count": str(SHOWN), "_sort": "-date"}
        return [
            _encounter(each)
            for each in _resources(await self._get(environment, tenant, "Encounter", query), "Encounter")
        ]

    async def by_national_code(self, environment: str, tenant: str, national_code: str) -> Person | None:
        if not re.fullmatch(r"[0-9]{10}", national_code):
            return None
        bundle = await self._get(environment, tenant, "Patient", {"identifier": national_code, "_count": "2"})
        found = [_person(resource) for resource in _resources(bundle, "Patient")]
        return found[0] if len(found) == 1 else None

    async def _get(self, environment: str, tenant: str, path: str, query: dict[str, str]) -> dict[str, Any]:
        token = self._tokens.mint(
            environment, client_id="gozar", app="gozar", tenant=tenant, epoch=0, scope=_SCOPE, now=self._clock.now()
        )
        headers = {"authorization": f"Bearer {token}", "accept": "application/fhir+json"}
        try:
            answer = await self._clients[environment].get(f"/fhir/R4/{path}", params=query, headers=headers, auth=None)
            if answer.status_code in (404, 410):
                return {}
            answer.raise_for_status()
            found = msgspec.json.decode(answer.content)
        except (httpx.HTTPError, msgspec.DecodeError, KeyError) as error:
            raise PeopleUnavailable from error
        return found if isinstance(found, dict) else {}


def _resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    entries = bundle.get("entry", [])
    return [entry["resource"] for entry in entries if entry.get("resource", {}).get("resourceType") == kind]


def _person(resource: dict[str, Any]) -> Person:
    names = resource.get("name") or [{}]
    chosen = next((name for name in names if name.get("use") == "official"), names[0])
    spelled = chosen.get("text") or " ".join(
        [*chosen.get("prefix", []), *chosen.get("given", []), chosen.get("family", "")]
    )
    identifier = str(resource.get("id", ""))
    return Person(
        reference=f"{resource['resourceType']}/{identifier}",
        name=spelled.strip() or identifier,
        birth_date=str(resource.get("birthDate", "")),
        gender=str(resource.get("gender", "")),
    )


def _encounter(resource: dict[str, Any]) -> Person:
    start = str(resource.get("period", {}).get("start", ""))[:10]
    kinds = resource.get("type") or [{}]
    coded = (kinds[0].get("coding") or [{}])[0]
    kind = kinds[0].get("text") or coded.get("display") or resource.get("class", {}).get("display", "")
    return Person(
        reference=f"Encounter/{resource.get('id', '')}", name=" · ".join(filter(None, (start, kind))) or "Encounter"
    )
