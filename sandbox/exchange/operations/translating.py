"""$translate: codes of one system in the terms of another, by the Tenant's ConceptMaps.

http://hl7.org/fhir/R4/conceptmap-operation-translate.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.operations import inputs
from sandbox.exchange.operations.inputs import Inputs
from sandbox.exchange.own_terms import OwnTerms, bodies
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir import searchvalues
from sandbox.fhir.outcomes import BadRequestError, NotFoundError, Text, unknown_resource
from sandbox.kernel.http import Response
from sandbox.storage.encoding import dump, load

_NAMES = (
    "url", "conceptMap", "conceptMapVersion", "code", "system", "version", "source", "coding", "codeableConcept", "target",
    "targetsystem", "reverse", "dependency",
)  # fmt: skip
_MAPS = 50
_MAX_HOPS = 5
_UNRELATED = frozenset({"unmatched", "disjoint"})
Coding = tuple[str, str]
"""(system, code); system "" is any."""
Match = tuple[str, str, str, str, str]
"""(equivalence, system, code, display, the map's URL)."""


async def translate(call: Call) -> Response:
    """Parameters with `result`, and a `match` for each mapping."""
    given = await inputs.read(call)
    given.allow(_NAMES)
    codings = list(_codings(given))
    if not codings:
        raise BadRequestError(
            Text(
                "Give code and system, coding or codeableConcept.",
                "code و system یا coding یا codeableConcept را بدهید.",
            ),
            code="required",
            rule="operation-parameter",
        )
    own = OwnTerms(call)
    found: list[Match] = []
    for concept_map in await _maps(call, given, codings, own):
        for coding in codings:
            found += await _matches(own, concept_map, coding, backwards=given.flag("reverse"), hops=0)
    wanted = given.one("targetsystem")
    found = [m for m in dict.fromkeys(found) if not wanted or m[1] == wanted]
    return json_response(dump(_answer(call, found, codings)))


async def _maps(call: Call, given: Inputs, codings: list[Coding], own: OwnTerms) -> list[Mapping[str, Any]]:
    """The map that is named, or sent along; else those that know the code and run between the value sets named."""
    sent = given.resources.get("conceptMap")
    if call.fid:
        stored = await visible(call)
        if stored is None or stored.deleted:
            raise unknown_resource(call.rtype, call.fid)
        sent = load(stored.body)
    if sent is not None:
        return [sent]
    url = given.one("url").partition("|")[0]
    if url:
        await own.fetch(("ConceptMap", url))
        named = own.resolve("ConceptMap", url)
        if named is None:
            raise NotFoundError(
                Text(f"The concept map {url} is not known here.", f"نگاشت {url} در اینجا شناخته نیست."),
                rule="map-unknown",
            )
        return [named]
    call.access.need("ConceptMap", "s")
    parameter = "target-code" if given.flag("reverse") else "source-code"
    criteria = [(parameter, ",".join(searchvalues.escape(code) for _, code in codings))]
    found = await bodies(call, "ConceptMap", criteria, _MAPS)
    return [m for m in found if all(_runs(m, name, given.one(name)) for name in ("source", "target"))]


def _runs(concept_map: Mapping[str, Any], name: str, value_set: str) -> bool:
    """Whether a map says that it runs from (`source`) or to (`target`) a value set; none named fits all."""
    said = concept_map.get(f"{name}Uri") or concept_map.get(f"{name}Canonical") or ""
    return not value_set or str(said).partition("|")[0] == value_set.partition("|")[0]


def _codings(given: Inputs) -> Iterator[Coding]:
    if given.one("code"):
        yield given.one("system"), given.one("code")
    if given.one("coding"):
        system, _, code = given.one("coding").rpartition("|")
        yield system, code
    concept, coding = given.parts.get("codeableConcept"), given.parts.get("coding")
    rows = concept.get("coding") if isinstance(concept, dict) else [coding]
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and row.get("code"):
            yield str(row.get("system") or ""), str(row["code"])


async def _matches(
    own: OwnTerms, concept_map: Mapping[str, Any], coding: Coding, *, backwards: bool, hops: int
) -> list[Match]:
    system, code = coding
    url = str(concept_map.get("url", ""))
    found: list[Match] = []
    for group in concept_map.get("group") or ():
        source, target = str(group.get("source", "")), str(group.get("target", ""))
        if system and system != (target if backwards else source):
            continue
        mapped = list(_mapped(group, code, url, backwards=backwards))
        found += mapped
        if not mapped and not backwards:
            found += await _unmapped(own, group, coding, url, hops)
    return found


def _mapped(group: Mapping[str, Any], code: str, url: str, *, backwards: bool) -> Iterator[Match]:
    for element in group.get("element") or ():
        for target in element.get("target") or ():
            told = str(target.get("equivalence", ""))
            if not backwards and element.get("code") == code and target.get("code"):
                yield told, str(group.get("target", "")), str(target["code"]), str(target.get("display") or ""), url
            if backwards and target.get("code") == code and element.get("code"):
                opposite = {
                    "wider": "narrower",
                    "narrower": "wider",
                    "subsumes": "specializes",
                    "specializes": "subsumes",
                }
                shown = str(element.get("display") or "")
                yield opposite.get(told, told), str(group.get("source", "")), str(element["code"]), shown, url


async def _unmapped(own: OwnTerms, group: Mapping[str, Any], coding: Coding, url: str, hops: int) -> list[Match]:
    """http://hl7.org/fhir/R4/conceptmap-definitions.html#ConceptMap.group.unmapped"""
    rest = group.get("unmapped") or {}
    target = str(group.get("target", ""))
    match rest.get("mode"):
        case "provided":
            return [("equal", target, coding[1], "", url)]
        case "fixed" if rest.get("code"):
            return [("inexact", target, str(rest["code"]), str(rest.get("display") or ""), url)]
        case "other-map" if rest.get("url") and hops < _MAX_HOPS:
            other = str(rest["url"]).partition("|")[0]
            await own.fetch(("ConceptMap", other))
            further = own.resolve("ConceptMap", other)
            return [] if further is None else await _matches(own, further, coding, backwards=False, hops=hops + 1)
    return []


def _answer(call: Call, found: list[Match], codings: list[Coding]) -> dict[str, Any]:
    result = any(m[0] not in _UNRELATED for m in found)
    parameters: list[dict[str, Any]] = [{"name": "result", "valueBoolean": result}]
    if not result:
        named = ", ".join(f"{system}|{code}" if system else code for system, code in codings)
        told = Text(f"No map translates {named}.", f"هیچ نگاشتی «{named}» را ترجمه نمی‌کند.")
        parameters.append({"name": "message", "valueString": told.in_(call.language)})
    for equivalence, system, code, display, url in found:
        coding = {k: v for k, v in (("system", system), ("code", code), ("display", display)) if v}
        part: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": equivalence or "relatedto"}]
        part.append({"name": "concept", "valueCoding": coding})
        if url:
            part.append({"name": "source", "valueUri": url})
        parameters.append({"name": "match", "part": part})
    return {"resourceType": "Parameters", "parameter": parameters}


OPERATIONS: dict[OperationKey, Handler] = {
    ("ConceptMap", "type", "translate"): translate,
    ("ConceptMap", "instance", "translate"): translate,
}
