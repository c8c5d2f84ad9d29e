"""Patient/$match: who a described person probably is. http://hl7.org/fhir/R4/patient-operation-match.html"""

from __future__ import annotations

from typing import Any

import orjson

from sandbox.exchange.calls import Call, json_response
from sandbox.exchange.operations import inputs
from sandbox.exchange.seams import Handler, OperationKey
from sandbox.fhir import searchvalues
from sandbox.fhir.folding import fold, fold_token
from sandbox.fhir.outcomes import BadRequestError, Text
from sandbox.kernel.http import Response
from sandbox.search import service
from sandbox.search.request import understand
from sandbox.storage.encoding import load

_GRADE = "http://hl7.org/fhir/StructureDefinition/match-grade"
_CANDIDATES = 100
# What each agreement is worth; an identifier alone makes a match certain.
_WEIGHTS = {"identifier": 0.9, "family": 0.25, "given": 0.2, "birthDate": 0.3, "gender": 0.05, "telecom": 0.2}
_GRADES = ((0.9, "certain"), (0.7, "probable"), (0.4, "possible"))


async def match(call: Call) -> Response:
    """Candidates with a score between 0 and 1, the best first."""
    call.access.need("Patient", "s")
    given = await inputs.read(call)
    given.allow(("resource", "onlyCertainMatches", "count"))
    wanted = given.resources.get("resource") or given.body
    if wanted is None or wanted.get("resourceType") != "Patient":
        raise BadRequestError(
            Text("The parameter resource must hold a Patient.", "پارامتر resource باید یک Patient داشته باشد."),
            code="required",
        )
    only_certain, most = given.flag("onlyCertainMatches"), given.number("count", 20, least=1, most=100)
    scored = []
    for body in (await _candidates(call, wanted)).values():
        score = _score(wanted, load(body))
        grade = next((name for least, name in _GRADES if score >= least), "")
        if grade and (grade == "certain" or not only_certain):
            scored.append((score, grade, body))
    scored.sort(key=lambda item: -item[0])
    return json_response(_bundle(call, scored[:most]))


async def _candidates(call: Call, wanted: dict[str, Any]) -> dict[int, bytes]:
    """Patients that agree in something selective, by version number."""
    store, found = call.services.store, dict[int, bytes]()
    for criteria in _questions(wanted):
        request = understand(("Patient",), criteria)
        request.count, request.total = _CANDIDATES, "none"
        compiler = call.services.compiler(call.access, call.now)
        question = service.compile_question(compiler, request, "Patient/$match")
        page = await service.find(store, call.tenant, request, question, call.services.cursors, call.now)
        found |= {row[0]: row[3] for row in page.rows}
    return found


def _questions(wanted: dict[str, Any]) -> list[list[tuple[str, str]]]:
    asked = []
    for identifier in _listed(wanted, "identifier")[:5]:
        if identifier.get("value"):
            system, value = str(identifier.get("system", "")), str(identifier["value"])
            token = searchvalues.escape(value)
            asked.append([("identifier", f"{searchvalues.escape(system)}|{token}" if system else token)])
    names = [str(n["family"]) for n in _listed(wanted, "name")[:3] if n.get("family")]
    born = wanted.get("birthDate")
    dated = [("birthdate", str(born))] if born else []
    asked += [[("family", searchvalues.escape(family)), *dated] for family in names]
    if born and not names:
        asked.append([("birthdate", str(born))])
    numbers = [str(t["value"]) for t in _listed(wanted, "telecom")[:3] if t.get("value")]
    return asked + [[("telecom", searchvalues.escape(number))] for number in numbers]


def _listed(resource: dict[str, Any], name: str) -> list[dict[str, Any]]:
    value = resource.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _score(wanted: dict[str, Any], found: dict[str, Any]) -> float:
    """Agreements weighed against disagreements; what one side does not say counts for nothing."""
    score = 0.0
    for name, weight in _WEIGHTS.items():
        asked, known = _facts(wanted, name), _facts(found, name)
        if asked and known:
            score += weight if asked & known else (-weight / 3 if name != "identifier" else -0.1)
    return max(0.0, min(1.0, round(score, 3)))


def _facts(patient: dict[str, Any], name: str) -> set[str]:
    match name:
        case "identifier":
            return {
                f"{i.get('system', '')}|{fold_token(str(i['value']))}" for i in _listed(patient, name) if i.get("value")
            }
        case "telecom":
            return {fold_token(str(t["value"])) for t in _listed(patient, name) if t.get("value")}
        case "family":
            return {fold(str(n["family"])) for n in _listed(patient, "name") if n.get("family")}
        case "given":
            return {fold(str(g)) for n in _listed(patient, "name") for g in n.get("given") or ()}
        case _:
            return {str(patient[name])} if patient.get(name) else set()


def _bundle(call: Call, scored: list[tuple[float, str, bytes]]) -> bytes:
    entries = []
    for score, grade, body in scored:
        fid = orjson.loads(body)["id"]
        entries.append(
            {
                "fullUrl": f"{call.services.base_url}/Patient/{fid}",
                "resource": orjson.Fragment(body),
                "search": {"extension": [{"url": _GRADE, "valueCode": grade}], "mode": "match", "score": score},
            }
        )
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return orjson.dumps(bundle | {"entry": entries} if entries else bundle)


OPERATIONS: dict[OperationKey, Handler] = {("Patient", "type", "match"): match}
