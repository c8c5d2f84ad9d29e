"""$expand, $validate-code, $lookup and $subsumes, over the shipped code systems and the Tenant's own.

http://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from typing import Any

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.operations import inputs
from sandbox.exchange.operations.inputs import Inputs
from sandbox.exchange.own_terms import OwnTerms
from sandbox.exchange.reading import visible
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir.codesystems import ValueSet, code_system_of, value_set_of
from sandbox.fhir.outcomes import BadRequestError, Text, unknown_resource
from sandbox.fhir.terminology import Terminology
from sandbox.kernel.clock import instant
from sandbox.kernel.http import Response
from sandbox.storage.encoding import dump, load

# Meant for servers with several versions and languages of a system; accepted, as leaving them out changes nothing here.
_WITHOUT_EFFECT = (
    "activeOnly", "abstract", "date", "displayLanguage", "excludeNested", "includeDefinition", "systemVersion", "version",
    "valueSetVersion",
)  # fmt: skip


async def _named_set(call: Call, given: Inputs, own: OwnTerms) -> ValueSet | None:
    """The value set that an operation is about: the instance, the one sent along, or the one named by `url`."""
    resource = given.resources.get("valueSet") or (
        given.body if given.body and given.body["resourceType"] == "ValueSet" else None
    )
    if call.fid:
        found = await visible(call)
        if found is None or found.deleted:
            raise unknown_resource(call.rtype, call.fid)
        resource = load(found.body)
    if resource is not None:
        own.add(resource)
        await own.fetch()
        return value_set_of(resource)
    url = given.one("url")
    if not url:
        return None
    await own.fetch(("ValueSet", url))
    return Terminology(own.resolve).value_set(url)


def _needed(name: str, fa: str) -> BadRequestError:
    return BadRequestError(Text(f"Give {name}.", f"{fa} را بدهید."), code="required", rule="operation-parameter")


async def expand(call: Call) -> Response:
    """http://hl7.org/fhir/R4/valueset-operation-expand.html"""
    given = await inputs.read(call)
    given.allow(("url", "valueSet", "filter", "offset", "count", "includeDesignations", *_WITHOUT_EFFECT))
    own = OwnTerms(call)
    named = await _named_set(call, given, own)
    if named is None:
        raise _needed("url or valueSet", "url یا valueSet")
    count = given.number("count", -1)
    expanded = Terminology(own.resolve).expand(
        named,
        now=instant(call.now),
        text=given.one("filter"),
        offset=given.number("offset", 0),
        count=None if count < 0 else count,
        designations=given.flag("includeDesignations"),
    )
    return json_response(dump(expanded))


async def validate_in_set(call: Call) -> Response:
    """http://hl7.org/fhir/R4/valueset-operation-validate-code.html"""
    given = await inputs.read(call)
    given.allow(("url", "valueSet", "code", "system", "display", "coding", *_WITHOUT_EFFECT))
    own = OwnTerms(call)
    named = await _named_set(call, given, own)
    if named is None:
        raise _needed("url or valueSet", "url یا valueSet")
    return await _validated(call, given, own, named)


async def validate_in_system(call: Call) -> Response:
    """http://hl7.org/fhir/R4/codesystem-operation-validate-code.html"""
    given = await inputs.read(call)
    given.allow(("url", "codeSystem", "code", "display", "coding", *_WITHOUT_EFFECT))
    own, system = OwnTerms(call), given.one("url")
    resource = given.resources.get("codeSystem")
    if call.fid:
        found = await visible(call)
        if found is None or found.deleted:
            raise unknown_resource(call.rtype, call.fid)
        resource = load(found.body)
    if resource is not None:
        own.add(resource)
        system = code_system_of(resource).url
    return await _validated(call, given, own, None, system)


async def _validated(call: Call, given: Inputs, own: OwnTerms, named: ValueSet | None, system: str = "") -> Response:
    codings = _codings(given, system)
    if not codings:
        raise _needed("code, coding or codeableConcept", "code، coding یا codeableConcept")
    await own.fetch(*(("CodeSystem", coded) for coded, _, _ in codings))
    terminology = Terminology(own.resolve)
    answer: dict[str, Any] = {}
    for coded, code, display in codings:
        answer = terminology.validate_code(
            code=code, system=coded, display=display, value_set=named, language=call.language
        )
        if answer["parameter"][0]["valueBoolean"]:
            break
    return json_response(dump(answer))


def _codings(given: Inputs, system: str) -> list[tuple[str, str, str]]:
    """(system, code, display) of every form in which a code may come."""
    if given.one("code"):
        return [(given.one("system") or system, given.one("code"), given.one("display"))]
    if given.one("coding"):
        coded, bar, code = given.one("coding").rpartition("|")
        return [(coded if bar else system, code, given.one("display"))]
    concept, coding = given.parts.get("codeableConcept"), given.parts.get("coding")
    rows = concept.get("coding") if isinstance(concept, dict) else [coding]
    return [
        (str(row.get("system") or system), str(row["code"]), str(row.get("display") or ""))
        for row in (rows if isinstance(rows, list) else ())
        if isinstance(row, dict) and row.get("code")
    ]


async def lookup(call: Call) -> Response:
    """http://hl7.org/fhir/R4/codesystem-operation-lookup.html"""
    given = await inputs.read(call)
    given.allow(("code", "system", "coding", "property", *_WITHOUT_EFFECT))
    codings = _codings(given, "")
    if not codings or not codings[0][0]:
        raise _needed("code and system, or coding", "code و system یا coding")
    own = OwnTerms(call)
    await own.fetch(("CodeSystem", codings[0][0]))
    return json_response(dump(Terminology(own.resolve).lookup(*codings[0][:2], frozenset(given.words("property")))))


async def subsumes(call: Call) -> Response:
    """http://hl7.org/fhir/R4/codesystem-operation-subsumes.html"""
    given = await inputs.read(call)
    given.allow(("codeA", "codeB", "system", *_WITHOUT_EFFECT))
    codes = [given.one("codeA"), given.one("codeB")]
    systems = [given.one("system")] * 2
    for i, name in enumerate(("codingA", "codingB")):
        coding = given.parts.get(name)
        if isinstance(coding, dict):
            codes[i], systems[i] = str(coding.get("code") or ""), str(coding.get("system") or "")
    if not all(codes) or not all(systems) or systems[0] != systems[1]:
        raise _needed("codeA, codeB and one system", "codeA، codeB و یک system مشترک")
    own = OwnTerms(call)
    await own.fetch(("CodeSystem", systems[0]))
    return json_response(dump(Terminology(own.resolve).subsumes(systems[0], *codes)))


OPERATIONS: dict[OperationKey, Handler] = {
    ("ValueSet", "type", "expand"): expand,
    ("ValueSet", "instance", "expand"): expand,
    ("ValueSet", "type", "validate-code"): validate_in_set,
    ("ValueSet", "instance", "validate-code"): validate_in_set,
    ("CodeSystem", "type", "validate-code"): validate_in_system,
    ("CodeSystem", "instance", "validate-code"): validate_in_system,
    ("CodeSystem", "type", "lookup"): lookup,
    ("CodeSystem", "type", "subsumes"): subsumes,
}
