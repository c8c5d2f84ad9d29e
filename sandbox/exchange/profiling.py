"""Resources judged by the profiles that they claim, or that somebody asks about: StructureDefinitions of the Tenant.

A profile that is not here forbids nothing: a resource may claim what this Tenant has never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.exchange.calls import Call
from sandbox.exchange.own_terms import OwnTerms
from sandbox.fhir.outcomes import Issue, NotFoundError
from sandbox.fhir.profiles import CORE, Profiles
from sandbox.fhir.terminology import Terminology
from sandbox.storage.encoding import plain

MAX_PROFILES = 10


def claimed_profiles(resource: Mapping[str, Any]) -> list[str]:
    """Canonicals in `meta.profile`."""
    meta = resource.get("meta")
    listed = meta.get("profile") if isinstance(meta, dict) else None
    return [url for url in listed if isinstance(url, str)][:MAX_PROFILES] if isinstance(listed, list) else []


async def by_profiles(call: Call, resource: dict[str, Any], urls: Sequence[str], *, demanded: bool) -> list[Issue]:
    """What keeps a resource from conforming. Raises `NotFoundError` for an unknown profile that was `demanded`."""
    if not demanded and not await _has_profiles(call):
        return []
    wanted = [url for url in urls if url != f"{CORE}{resource.get('resourceType')}"]
    if not wanted:
        return []
    own = OwnTerms(call, whole=True)
    await own.fetch(*(("StructureDefinition", url) for url in wanted))
    profiles = Profiles(Terminology(own.resolve))
    found: list[Issue] = []
    for url in wanted:
        try:
            found += profiles.judge(plain(resource), url)
        except NotFoundError as error:
            if demanded:
                raise
            issue = error.issues[0]
            found.append(Issue("information", "not-found", issue.text, ("meta.profile",), issue.rule, issue.hint))
    return found


async def _has_profiles(call: Call) -> bool:
    """Whether the Tenant holds any profile at all; most hold none, and need not look for those that resources claim."""
    number = call.services.store.dictionary.types["StructureDefinition"]
    sql = "SELECT 1 FROM version WHERE layer IN (?1, ?2) AND rtype=?3 AND live=1 LIMIT 1"
    return bool(await call.services.store.database.rows(sql, (call.tenant.layer, call.tenant.base_layer, number)))
