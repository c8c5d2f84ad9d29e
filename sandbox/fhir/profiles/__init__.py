"""Validation against profiles: StructureDefinitions that constrain a type further, as a Tenant stores them.

http://hl7.org/fhir/R4/profiling.html. The base definition of the type is judged elsewhere (`sandbox.fhir.validation`); here come
cardinalities, types, fixed values and patterns, bindings, invariants, reference targets and slices of the profile and of what it
derives from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.fhir.outcomes import BadRequestError, Issue, NotFoundError, Text
from sandbox.fhir.profiles.checks import Judge
from sandbox.fhir.profiles.rules import CORE, Rule, rules_of, targets_of
from sandbox.fhir.terminology import Terminology

__all__ = ["CORE", "Profiles", "targets_of"]

MAX_LINEAGE = 10


class Profiles:
    """Profiles that a `Terminology` resolves, together with the value sets that they bind to."""

    def __init__(self, terms: Terminology) -> None:
        self._terms = terms
        self._known: dict[str, Rule | None] = {}

    def judge(self, resource: Mapping[str, Any], canonical: str) -> list[Issue]:
        """What keeps a resource from conforming. Raises `NotFoundError` for an unknown profile, `BadRequestError` for a broken one."""
        named = str(resource.get("resourceType", ""))
        if canonical == CORE + named:
            return []
        definition = self._terms.own("StructureDefinition", canonical.partition("|")[0])
        if definition is None:
            raise unknown_profile(canonical)
        if definition.get("type") != named:
            text = Text(
                f"The profile {canonical} is about {definition.get('type')}, not {named}.",
                f"نمایهٔ {canonical} دربارهٔ {definition.get('type')} است، نه {named}.",
            )
            return [Issue("error", "invalid", text, (named,), "profile-type")]
        rule = self.rule(canonical)
        if rule is None:
            raise unknown_profile(canonical)
        return Judge(self._terms, self.rule, dict(resource), canonical).issues(rule)

    def rule(self, canonical: str) -> Rule | None:
        """The tree of rules of a profile and all that it derives from; None for one that is unknown or the core's own."""
        url = canonical.partition("|")[0]
        if url not in self._known:
            self._known[url] = None  # while it is being read: a profile that derives from itself ends here
            self._known[url] = self._read(url)
        return self._known[url]

    def _read(self, url: str) -> Rule | None:
        lineage: list[Mapping[str, Any]] = []
        seen: set[str] = set()
        while url and url not in seen and len(lineage) < MAX_LINEAGE:
            seen.add(url)
            definition = self._terms.own("StructureDefinition", url)
            if definition is None:
                break
            lineage.append(definition)
            url = str(definition.get("baseDefinition", "")).partition("|")[0]
        if not lineage:
            return None
        try:
            return rules_of(lineage)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise BadRequestError(
                Text(
                    f"The profile {lineage[0].get('url')} cannot be understood: {error}.",
                    f"نمایهٔ {lineage[0].get('url')} فهمیده نمی‌شود.",
                ),
                rule="profile-malformed",
            ) from error


def unknown_profile(canonical: str) -> NotFoundError:
    return NotFoundError(
        Text(f"The profile {canonical} is not known here.", f"نمایهٔ {canonical} در اینجا شناخته نیست."),
        rule="profile-unknown",
        hint=Text(
            "Store its StructureDefinition in this Tenant first.",
            "نخست StructureDefinition آن را در همین فضای آزمایشی ذخیره کنید.",
        ),
    )
