"""Build the committed tables from HL7's own npm packages. Run by hand when the build rules change:

    npm pack hl7.fhir.r4.examples@4.0.1 hl7.fhir.r4.expansions@4.0.1
    python -m sandbox.fhir.data hl7.fhir.r4.examples-4.0.1.tgz hl7.fhir.r4.expansions-4.0.1.tgz

The "examples" package holds every published resource of the specification, definitions included, word for word; CC0.
The output is deterministic: archive order by name, no time stamp in the gzip header.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sandbox.fhir.data.terminologies import terminology

Resource = dict[str, Any]
CANONICAL = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = CANONICAL + "structuredefinition-fhir-type"
REGEX = CANONICAL + "regex"
BEST_PRACTICE = CANONICAL + "elementdefinition-bestpractice"
# Search parameters of sample profiles and extension packs: published as examples, not part of the core specification.
NOT_CORE = re.compile(r"^example|-extensions-|-genetic-|^filter$")
# Every element carries these two; repeating them 6,000 times would say nothing.
UNIVERSAL = {"ele-1", "ext-1"}


def packaged(archive: Path) -> Iterator[Resource]:
    """The resources of an npm package of FHIR definitions, in name order."""
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            name = member.name.rsplit("/", 1)[-1]
            stream = tar.extractfile(member) if name.endswith(".json") and "-" in name else None
            if stream is not None:
                yield json.load(stream)


def union_parts(expression: str) -> list[str]:
    """Split a FHIRPath expression at its top-level `|`."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, ch in enumerate(expression):
        if ch == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif ch in "([":
            depth += 1
        elif ch in ")]":
            depth -= 1
        elif ch == "|" and depth == 0:
            parts.append(expression[start:i].strip())
            start = i + 1
    return [*parts, expression[start:].strip()]


def search_parameters(resources: list[Resource], types: set[str]) -> list[list[Any]]:
    """Rows [url, code, type, base, expression for that base, targets, [[component url, expression]]]."""
    rows = []
    for r in resources:
        if r["resourceType"] != "SearchParameter" or NOT_CORE.search(r["id"]):
            continue
        parts = union_parts(r["expression"]) if "expression" in r else []
        roots = [re.match(r"\(*\s*(\w+)", p).group(1) for p in parts]  # type: ignore[union-attr]
        for base in r["base"]:
            own = [p for p, root in zip(parts, roots, strict=True) if root == base or root not in types]
            if parts and not own:
                raise ValueError(f"{r['id']}: no expression for {base}")
            components = [[c["definition"], c["expression"]] for c in r.get("component", [])]
            rows.append([r["url"], r["code"], r["type"], base, " | ".join(own), r.get("target", []), components])
    return sorted(rows, key=lambda row: (row[3], row[1]))


def compartments(resources: list[Resource]) -> dict[str, dict[str, list[str]]]:
    """Compartment -> member type -> codes of the search parameters that make a member."""
    return {
        r["code"]: {m["code"]: m["param"] for m in r["resource"] if "param" in m}
        for r in resources
        if r["resourceType"] == "CompartmentDefinition" and r["id"] != "example"
    }


def element_types(element: Resource) -> list[Any]:
    """Type codes; a Reference or canonical with its target types as [code, [targets]]."""
    types: list[Any] = []
    for t in element.get("type", []):
        code = next((e["valueUrl"] for e in t.get("extension", []) if e["url"] == FHIR_TYPE), t["code"])
        targets = sorted({p.removeprefix(CANONICAL) for p in t.get("targetProfile", [])})
        if code in {"BackboneElement", "Element"} and "." in element["path"]:
            code = element["path"]
        types.append([code, targets] if targets else code)
    return types


def constraint_keys(element: Resource, constraints: dict[str, list[str]], type_name: str) -> list[str]:
    """Record the element's constraints (by key, made unique by type where two types share one) and name them."""
    keys = []
    for c in element.get("constraint", []):
        severity = "advice" if any(e["url"] == BEST_PRACTICE for e in c.get("extension", [])) else c["severity"]
        body = [severity, c["human"], c.get("expression", "")]
        known = constraints.get(c["key"])
        key = c["key"] if known is None or known[2] == body[2] else f"{c['key']}@{type_name}"
        constraints[key] = body
        if key not in UNIVERSAL:
            keys.append(key)
    return keys


def structure(definition: Resource, types: Resource, constraints: dict[str, list[str]]) -> None:
    """Add one StructureDefinition: its type and a pseudo-type for each backbone, `Observation.component` and so on."""
    name = definition["name"]
    root, *elements = definition["snapshot"]["element"]
    base = definition.get("baseDefinition", "").removeprefix(CANONICAL)
    kind = "abstract" if definition["abstract"] else definition["kind"].removesuffix("-type")
    types[name] = {"kind": kind, "base": base, "elements": {}, "constraints": constraint_keys(root, constraints, name)}
    for e in elements:
        parent, _, field = e["path"].rpartition(".")
        owner = types.setdefault(
            parent, {"kind": "backbone", "base": "BackboneElement", "elements": {}, "constraints": []}
        )
        kinds = [e["contentReference"].removeprefix("#")] if "contentReference" in e else element_types(e)
        binding = e.get("binding", {})
        bound = [binding["strength"], binding.get("valueSet", "").split("|")[0]] if "valueSet" in binding else 0
        maximum = -1 if e["max"] == "*" else int(e["max"])
        marks = int(e.get("isSummary", False)) + 2 * int(e.get("isModifier", False))
        owner["elements"][field] = [e["min"], maximum, kinds, marks, bound, constraint_keys(e, constraints, name)]


def primitive_regex(definition: Resource) -> str:
    value = next(e for e in definition["snapshot"]["element"] if e["path"].endswith(".value"))
    found = [x["valueString"] for t in value["type"] for x in t.get("extension", []) if x["url"] == REGEX]
    return found[0] if found else ""


def elements(resources: list[Resource]) -> dict[str, Any]:
    types: Resource = {}
    constraints: dict[str, list[str]] = {}
    regexes = {}
    for r in resources:
        if r["resourceType"] != "StructureDefinition" or r.get("derivation") == "constraint" or r["kind"] == "logical":
            continue
        if r["kind"] == "primitive-type":
            regexes[r["name"]] = primitive_regex(r)
        structure(r, types, constraints)
    return {"types": types, "constraints": constraints, "regexes": regexes}


def required_codes(expansions: list[Resource], wanted: set[str]) -> dict[str, dict[str, list[str]]]:
    """Value set -> system -> codes, for the value sets of required bindings that HL7 expanded completely."""
    out: dict[str, dict[str, list[str]]] = {}
    for vs in expansions:
        if vs.get("url") in wanted and vs["expansion"].get("contains") and "extension" not in vs["expansion"]:
            systems: dict[str, list[str]] = {}
            for c in flattened(vs["expansion"].get("contains", [])):
                systems.setdefault(c.get("system", ""), []).append(c["code"])
            out[vs["url"]] = systems
    return out


def flattened(concepts: list[Resource]) -> Iterator[Resource]:
    for c in concepts:
        if "code" in c and not c.get("abstract"):
            yield c
        yield from flattened(c.get("contains", []))


def write(name: str, table: Any) -> None:
    text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode()
    target = Path(__file__).with_name(name)
    target.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"{name}: {len(text):,} bytes, {target.stat().st_size:,} packed")


def main(definitions: str, expanded: str) -> None:
    resources = list(packaged(Path(definitions)))
    expansions = list(packaged(Path(expanded)))
    structures = elements(resources)
    concrete = {n for n, t in structures["types"].items() if t["kind"] == "resource"}
    bound = {
        e[4][1] for t in structures["types"].values() for e in t["elements"].values() if e[4] and e[4][0] == "required"
    }
    write("search-parameters.json.gz", search_parameters(resources, concrete | {"Resource", "DomainResource"}))
    write("compartments.json.gz", compartments(resources))
    write("elements.json.gz", structures)
    write("terminology.json.gz", terminology(resources, expansions))
    codes = required_codes(expansions, bound)
    write("required-codes.json.gz", codes)
    print("required value sets without an expansion:", sorted(bound - set(codes)))


if __name__ == "__main__":
    main(*sys.argv[1:])
