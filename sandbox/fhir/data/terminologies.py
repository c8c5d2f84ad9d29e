"""Build rules for `terminology.json.gz`: HL7's own code systems, and value sets by what they include."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Resource = dict[str, Any]
# Systems of other owners stay out even where the specification quotes some of their concepts.
HL7 = ("http://hl7.org/", "http://terminology.hl7.org/")
CURRENCIES = "http://hl7.org/fhir/ValueSet/currencies"
CURRENCY_SYSTEM = "urn:iso:std:iso:4217"


def nested(concepts: list[Resource], parent: str = "") -> Iterator[tuple[Resource, str]]:
    for concept in concepts:
        yield concept, parent
        yield from nested(concept.get("concept", []), concept["code"])


def unselectable(concept: Resource) -> int:
    """1 for what groups other concepts or is deprecated: known, but no member of a value set."""
    properties = {
        p["code"]: next(v for k, v in p.items() if k.startswith("value")) for p in concept.get("property", [])
    }
    return int(properties.get("notSelectable") is True or properties.get("status") == "deprecated")


def code_system(r: Resource) -> Resource:
    """Concepts as [code, display, definition, parent codes, unselectable]; v2 and v3 definitions are long and left out."""
    terse = "/v3-" in r["url"] or "/v2-" in r["url"]
    concepts: dict[str, list[Any]] = {}
    for concept, parent in nested(r.get("concept", [])):
        definition = "" if terse else concept.get("definition", "")
        row = concepts.setdefault(
            concept["code"], [concept["code"], concept.get("display", ""), definition, [], unselectable(concept)]
        )
        supers = [p["valueCode"] for p in concept.get("property", []) if p["code"] == "subsumedBy" and "valueCode" in p]
        row[3] += [p for p in (parent, *supers) if p and p not in row[3]]
    return {
        "name": r.get("title") or r.get("name", ""),
        "version": r.get("version", ""),
        "caseSensitive": r.get("caseSensitive", False),
        "valueSet": r.get("valueSet", ""),
        "concepts": list(concepts.values()),
    }


def part(include: Resource) -> Resource:
    """One include or exclude. Lists of other owners' codes are dropped: the system remains, marked as external."""
    made: Resource = {k: include[k] for k in ("system", "valueSet") if k in include}
    if "filter" in include:
        made["filter"] = [[f["property"], f["op"], f["value"]] for f in include["filter"]]
    if "concept" in include:
        if include["system"].startswith(HL7):
            made["concept"] = [[c["code"], c.get("display", "")] for c in include["concept"]]
        else:
            made["external"] = True
    return made


def value_set(r: Resource) -> Resource:
    compose = r.get("compose", {})
    return {
        "name": r.get("title") or r.get("name", ""),
        "version": r.get("version", ""),
        "include": [part(i) for i in compose.get("include", [])],
        "exclude": [part(i) for i in compose.get("exclude", [])],
    }


def terminology(resources: list[Resource], expansions: list[Resource]) -> Resource:
    systems = {
        r["url"]: code_system(r)
        for r in resources
        if r["resourceType"] == "CodeSystem"
        and r["content"] == "complete"
        and r["url"].startswith(HL7)
        and "/example" not in r["url"]
    }
    currencies = next(v for v in expansions if v.get("url") == CURRENCIES)["expansion"]["contains"]
    systems[CURRENCY_SYSTEM] = {
        "name": "ISO 4217 currency codes", "version": "", "caseSensitive": True, "valueSet": CURRENCIES,
        "concepts": [[c["code"], c.get("display", ""), "", [], 0] for c in currencies],
    }  # fmt: skip
    sets = {
        r["url"]: value_set(r)
        for r in resources
        if r["resourceType"] == "ValueSet" and r.get("url", "").startswith(HL7)
    }
    return {"codeSystems": systems, "valueSets": sets}
