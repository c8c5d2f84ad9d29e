"""What one access token permits, as data: the search builder turns each `Limit` into SQL, so nothing escapes it.

SMART App Launch 2.2 scopes: https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from sandbox.fhir.definitions import RESOURCE_TYPES
from sandbox.fhir.outcomes import ForbiddenError, Text

Letter = Literal["c", "r", "u", "d", "s"]
_SCOPE = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(\*|read|write|c?r?u?d?s?)(?:\?(.+))?\Z")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class Limit:
    """One way of being permitted: inside `compartment` (kind, id) when given, and matching `query` when given."""

    compartment: tuple[str, str] | None = None
    query: str = ""


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

    def limits(self, rtype: str, letter: Letter) -> tuple[Limit, ...]:
        """Ways in which this caller may `letter` resources of `rtype`; empty when there is none."""
        return self.grants.get((rtype, letter), ())

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


@lru_cache(maxsize=4096)
def _grants(scope: str, patient: str) -> Mapping[tuple[str, str], tuple[Limit, ...]]:
    found: dict[tuple[str, str], set[Limit]] = {}
    for word in scope.split():
        match = _SCOPE.match(word)
        if match is None or not match[3]:
            continue
        level, named, verbs, query = match.groups()
        if level == "patient" and not patient:
            continue
        limit = Limit(("Patient", patient) if level == "patient" else None, query or "")
        for rtype in sorted(RESOURCE_TYPES) if named == "*" else [named]:
            for letter in _V1.get(verbs, verbs):
                found.setdefault((rtype, letter), set()).add(limit)
    whole = Limit()
    return {k: (whole,) if whole in v else tuple(sorted(v, key=repr)) for k, v in found.items()}


def access_of(claims: Mapping[str, Any], *, tenant: str) -> Access:
    """The caller that a verified token speaks for; `tenant` is used when the token names none (production)."""
    patient = str(claims.get("patient") or "")
    return Access(
        tenant=str(claims.get("tenant") or tenant),
        client=str(claims.get("client_id") or ""),
        app=str(claims.get("app") or ""),
        subject=str(claims.get("sub") or ""),
        user=str(claims.get("fhirUser") or ""),
        patient=patient,
        grants=_grants(str(claims.get("scope") or ""), patient),
    )
