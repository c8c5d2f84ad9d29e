"""Consent on every call: what the Tenant's Consents keep from the calling App, woven into its limits.

The Consents of a Tenant are read when one of them was written since (the Tenant's row counts the writes, and every call reads that
row), or when the clock passed the start or end of a period. So a revoked consent is felt by the very next call.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any, Final

from sandbox.exchange.services import Services
from sandbox.fhir import definitions
from sandbox.kernel.clock import micros, moment_of
from sandbox.security.access import Access, Apart, Limit, Withheld
from sandbox.storage.encoding import load
from sandbox.tenants.service import Tenant
from sandbox.workflows import consent
from sandbox.workflows.codes import ACT_CODE, CATEGORY, Resource, code_of, has_code
from sandbox.workflows.records import id_of, parse_instant

# Demographics stay visible: without them nobody could be asked for consent, or broken the glass for.
_EXEMPT: Final = frozenset({"Patient", "Consent"})
_FOREVER: Final = 2**62
_MAX_KEPT: Final = 5_000
_OWN: Final = "SELECT body FROM version WHERE layer=?1 AND rtype=?2 AND live=1 LIMIT 2000"
_NAMED: Final = (
    "SELECT v.body FROM idx_token t JOIN version v ON v.vid=t.vid WHERE t.layer=?1 AND t.param=?2 AND t.code=?3 "
    "AND v.live=1 AND NOT EXISTS (SELECT 1 FROM shadow s WHERE s.layer=?4 AND s.vid=t.vid) LIMIT 2000"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What consent keeps from one App in one state of a Tenant; it holds until `until`."""

    state: tuple[int, int]
    until: int
    withheld: Withheld | None


class ConsentGate:
    """The exchange's seam for consents."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._known: dict[tuple[str, str], _Known] = {}

    async def __call__(self, access: Access, tenant: Tenant, now: int) -> Access:
        key, state = (tenant.tenant, access.app or access.client), (tenant.revision, tenant.consents)
        known = self._known.get(key)
        if known is None or known.state != state or now >= known.until:
            known = await self._learn(tenant, key[1], now)
            if len(self._known) >= _MAX_KEPT:
                self._known.clear()
            self._known[key] = known
        return access if known.withheld is None else replace(access, withheld=known.withheld)

    async def _learn(self, tenant: Tenant, app: str, now: int) -> _Known:
        consents = await self._consents(tenant)
        by_patient: dict[str, list[Resource]] = defaultdict(list)
        for one in consents:
            patient = id_of(str(one.get("patient", {}).get("reference", "")), "Patient")
            if patient:
                by_patient[patient].append(one)
        moment = moment_of(now)
        found = {p: consent.withheld(theirs, app, moment) for p, theirs in by_patient.items()}
        kept = {p: what for p, what in found.items() if what != consent.NOTHING}
        return _Known((tenant.revision, tenant.consents), _boundary(consents, now), _withheld(kept) if kept else None)

    async def _consents(self, tenant: Tenant) -> list[Resource]:
        """Privacy Consents the Tenant wrote itself, and grants to Apps that its base holds.

        What else the base population consented to is about care centres, not about Apps.
        """
        store = self._services.store
        number = store.dictionary.types["Consent"]
        own = await store.database.rows(_OWN, (tenant.layer, number))
        param = store.dictionary.params["Consent.category"]
        base = await store.database.rows(_NAMED, (tenant.base_layer, param, consent.GRANT, tenant.layer))
        bodies: list[Any] = [load(row[0]) for row in (*own, *base)]
        mine = [c for c in bodies[: len(own)] if _is_privacy(c)]
        return [*mine, *(c for c in bodies[len(own) :] if has_code(c.get("category", ()), CATEGORY, consent.GRANT))]


def _is_privacy(document: Resource) -> bool:
    scope = code_of(document.get("scope", {}), "http://terminology.hl7.org/CodeSystem/consentscope")
    return scope in {"patient-privacy", ""}


def _boundary(consents: list[Resource], now: int) -> int:
    """The next start or end of any period: what is known holds until then."""
    edges = [_FOREVER]
    for one in consents:
        for name, text in one.get("provision", {}).get("period", {}).items():
            if name in {"start", "end"}:
                edge = micros(parse_instant(text)) + (86_400_000_000 if name == "end" and len(text) == 10 else 0)
                edges.append(edge if edge > now else _FOREVER)
    return min(edges)


def _withheld(kept: dict[str, consent.Withheld]) -> Withheld:
    """Limits with what is apart, worked out once for each type and set of limits."""
    cache: dict[tuple[str, tuple[Limit, ...]], tuple[Limit, ...]] = {}
    members = {*definitions.compartment_types("Patient"), *definitions.naming_patients()} - _EXEMPT

    def limited(rtype: str, granted: tuple[Limit, ...]) -> tuple[Limit, ...]:
        if rtype not in members:
            return granted
        found = cache.get((rtype, granted))
        if found is None:
            apart = tuple(_aparts(kept, rtype))
            found = tuple(replace(limit, apart=apart) for limit in granted) if apart else granted
            if len(cache) < _MAX_KEPT:
                cache[(rtype, granted)] = found
        return found

    return limited


def _aparts(kept: dict[str, consent.Withheld], rtype: str) -> list[Apart]:
    found = []
    for patient, what in sorted(kept.items()):
        if what.everything or rtype in what.types:
            found.append(Apart(patient))
        elif what.labels:
            found.append(Apart(patient, tuple(f"{ACT_CODE}|{label}" for label in sorted(what.labels))))
    return found
