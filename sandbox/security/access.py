"""What one access token permits, as data: the search builder turns each `Limit` into SQL, so nothing escapes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from sandbox.fhir import definitions, references
from sandbox.fhir.outcomes import ForbiddenError, Text
from sandbox.security.scopes import Letter, Permission, permissions

__all__ = ["Access", "Apart", "Letter", "Limit", "access_of"]


@dataclass(frozen=True, slots=True)
class Apart:
    """What a citizen's consent keeps from the caller: resources in the compartment of `patient`, all or those of a label."""

    patient: str
    labels: tuple[str, ...] = ()
    """`system|code` of meta.security; none means every resource."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One way of being permitted: inside `compartment` (kind, id) when given, and matching `query` when given.

    What lies `apart` is never permitted.
    """

    compartment: tuple[str, str] | None = None
    query: str = ""
    apart: tuple[Apart, ...] = ()


# The limits of a type, with what consent keeps from the caller set apart.
Withheld = Callable[[str, tuple[Limit, ...]], tuple[Limit, ...]]


@dataclass(frozen=True, slots=True)
class Access:
    """A verified caller. `limits` are alternatives: a resource is reachable when one of them lets it through."""

    tenant: str
    client: str
    app: str
    subject: str
    user: str = ""
    patient: str = ""
    grants: Mapping[tuple[str, str], tuple[Limit, ...]] = field(default_factory=dict)
    withheld: Withheld | None = None
    """Sets apart what consent keeps from this caller, for all that is not creating; None when nothing is kept."""

    population: bool = False
    """Whether exports to this caller are de-identified: the token has `system/Population.r`."""

    def limits(self, rtype: str, letter: Letter) -> tuple[Limit, ...]:
        """Ways in which this caller may `letter` resources of `rtype`; empty when there is none."""
        granted = self.grants.get((rtype, letter), ())
        if self.withheld is None or letter == "c":
            return granted
        return self.withheld(rtype, granted)

    def need(self, rtype: str, letter: Letter) -> tuple[Limit, ...]:
        """As `limits`. Raises `ForbiddenError` when there is no way at all."""
        found = self.limits(rtype, letter)
        if not found:
            raise ForbiddenError(
                Text(
                    f"The access token has no scope for {_VERBS[letter][0]} {rtype}.",
                    f"توکن دسترسی دامنه‌ای برای {_VERBS[letter][1]} {rtype} ندارد.",
                ),
                hint=Text(
                    f"Ask for a scope such as system/{rtype}.{letter}.",
                    f"دامنه‌ای مانند system/{rtype}.{letter} درخواست کنید.",
                ),
                headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )
        return found


_VERBS = {
    "c": ("creating", "ایجاد"),
    "r": ("reading", "خواندن"),
    "u": ("updating", "به‌روزرسانی"),
    "d": ("deleting", "حذف"),
    "s": ("searching", "جست‌وجوی"),
}


_WHOLE = Limit()
_POPULATION = frozenset({"system/Population.r", "system/Population.rs", "system/Population.read"})


def _compartment(permission: Permission, patient: str, user: str) -> tuple[str, str] | None:
    """The compartment that bounds a permission; ("", "") is one that contains nothing.

    `patient/` reaches the patient in context, `user/` what the user may see: a citizen the own record, staff the Tenant.
    """
    if permission.level == "patient":
        return ("Patient", patient) if patient else ("", "")
    if permission.level == "user":
        who = references.parse(user)
        if who.type in {"Patient", "RelatedPerson"}:
            return who.type, who.id
    return None


# What a patient's record refers to and everybody may know; no compartment holds it.
_SHARED = frozenset(
    {
        "ActivityDefinition", "CodeSystem", "Endpoint", "HealthcareService", "Location", "Medication",
        "MedicationKnowledge", "Organization", "PlanDefinition", "Practitioner", "PractitionerRole", "Questionnaire",
        "StructureDefinition", "Substance", "ValueSet",
    }
)  # fmt: skip


def _within(compartment: tuple[str, str] | None, permission: Permission) -> Limit | None:
    """A permission inside a compartment; None when that type is never inside.

    CompartmentDefinition leaves out types such as Task that still name their patient: those are held to that reference.
    Shared reference data may be read.
    """
    rtype, query = permission.resource_type, permission.query
    if rtype == "Binary":
        return Limit(compartment, query)  # guarded as its security context: the search builder sees to it
    if compartment is None or rtype in definitions.compartment_types(compartment[0]):
        return Limit(compartment, query)
    parameter = definitions.search_parameters(rtype).get("patient")
    if compartment[0] == "Patient" and parameter is not None and parameter.type == "reference":
        own = urlencode({"patient": f"Patient/{compartment[1]}"})
        return Limit(None, f"{query}&{own}" if query else own)
    return Limit(None, query) if rtype in _SHARED else None


@lru_cache(maxsize=4096)
def _grants(scope: str, patient: str, user: str) -> Mapping[tuple[str, str], tuple[Limit, ...]]:
    found: dict[tuple[str, str], set[Limit]] = {}
    for permission in permissions(scope):
        compartment = _compartment(permission, patient, user)
        if compartment == ("", ""):
            continue
        limit = _within(compartment, permission)
        if limit is None:
            continue
        for letter in permission.letters:
            if compartment is None or limit.compartment or limit.query != permission.query or letter in "rs":
                found.setdefault((permission.resource_type, letter), set()).add(limit)
    return MappingProxyType({k: (_WHOLE,) if _WHOLE in v else tuple(sorted(v, key=repr)) for k, v in found.items()})


def access_of(claims: Mapping[str, Any], *, tenant: str) -> Access:
    """The caller that a verified token speaks for; `tenant` is used when the token names none (production)."""
    named = [str(claims.get(name) or "") for name in ("client_id", "app", "sub", "fhirUser", "patient", "scope")]
    return _access(str(claims.get("tenant") or tenant), *named)


@lru_cache(maxsize=4096)
def _access(tenant: str, client: str, app: str, subject: str, user: str, patient: str, scope: str) -> Access:
    patient = patient if references.is_id(patient) else ""
    grants = _grants(scope, patient, user)
    population = not _POPULATION.isdisjoint(scope.split(" "))
    return Access(tenant, client, app, subject, user, patient, grants, population=population)
