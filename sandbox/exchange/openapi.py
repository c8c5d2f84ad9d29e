"""The FHIR API as an OpenAPI 3.1 document, made from the tables that route, search and validate, as the CapabilityStatement is.

https://spec.openapis.org/oas/v3.1.0. What OpenAPI cannot say is said in words: a search parameter may carry a modifier
(`name:exact`), a chain (`patient.name`) or `_has`, and a primitive may be replaced by its `_name` sibling.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import orjson

from sandbox.exchange.openapi_schemas import DATES, components, reference
from sandbox.exchange.routes import ROUTES, Route, Shape
from sandbox.exchange.seams import OperationKey
from sandbox.fhir import definitions
from sandbox.fhir.indexing import indexed_parameters

Node = dict[str, Any]
_JSON = "application/fhir+json"
_ID = {"$ref": "#/components/parameters/id"}
_TYPE = {"$ref": "#/components/parameters/type"}
_VERSION = {"$ref": "#/components/parameters/version"}
_PLACES: dict[Shape, tuple[str, list[Node]]] = {
    "type": ("/{type}", []),
    "search": ("/{type}/_search", []),
    "instance": ("/{type}/{id}", [_ID]),
    "version": ("/{type}/{id}/_history/{version}", [_ID, _VERSION]),
}
_RESULTS: dict[str, tuple[Node, str]] = {
    "_count": ({"type": "integer", "minimum": 0, "maximum": 1000}, "Entries on a page."),
    "_sort": ({"type": "string"}, "Parameters to sort by, comma separated, `-` for descending."),
    "_include": ({"type": "string"}, "Referenced resources to add: `Type:parameter[:Target]`."),
    "_revinclude": ({"type": "string"}, "Referring resources to add: `Type:parameter[:Target]`."),
    "_summary": ({"enum": ["true", "false", "text", "data", "count"]}, "How much of each resource is shown."),
    "_elements": ({"type": "string"}, "Elements to show, comma separated."),
    "_total": ({"enum": ["none", "estimate", "accurate"]}, "Whether the total is counted."),
    "_id": ({"type": "string"}, "Ids, comma separated."),
    "_lastUpdated": ({"type": "string"}, "When it was last written, with a prefix."),
    "_since": (DATES["instant"], "Only what was written since."),
    "_at": (DATES["dateTime"], "Only what was current at that time."),
}
_ALWAYS = ("_id", "_lastUpdated", "_count", "_sort", "_include", "_revinclude", "_summary", "_elements", "_total")
_HEADERS: dict[str, str] = {
    "If-Match": 'Write only if the version is still this one: `W/"3"`.',
    "If-None-Match": 'Answer 304 while the version is still this one: `W/"3"`.',
    "If-None-Exist": "Create only if this search finds nothing.",
    "Prefer": "`return=minimal`, `return=representation` or `return=OperationOutcome`; `handling=strict` or `lenient`.",
}


def document(base_url: str, issuer: str, operations: Collection[OperationKey], types: Iterable[str] = ()) -> bytes:
    """The document as JSON; `types` narrows it to some resource types (all when empty)."""
    chosen = sorted(set(types) or definitions.RESOURCE_TYPES)
    paths: Node = {}
    for rtype in chosen:
        paths |= _paths_of(rtype)
    paths |= _system_paths()
    for kind, level, name in sorted(operations):
        if kind == "" or kind in chosen:
            head = kind or "{type}"
            place = {"system": "", "type": f"/{head}", "instance": f"/{head}/{{id}}"}[level]
            paths[f"{place}/${name}"] = _operation(kind, level, name)
    return orjson.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Gozar FHIR R4 API",
                "version": definitions.FHIR_VERSION,
                "description": "Made from the tables that the exchange routes, searches and validates by."
                " Add `?_type=Patient,Observation` to have only some resource types.",
            },
            "servers": [{"url": base_url}],
            "security": [{"smart": []}],
            "paths": paths,
            "components": _shared(issuer) | {"schemas": components(chosen)},
        }
    )


def _shared(issuer: str) -> Node:
    parameters: Node = {
        "id": _parameter("id", "path", {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}, "Logical id."),
        "type": _parameter("type", "path", {"enum": sorted(definitions.RESOURCE_TYPES)}, "Resource type."),
        "version": _parameter("version", "path", {"type": "string", "pattern": "^[1-9][0-9]{0,7}$"}, "Version id."),
    }
    parameters |= {name: _parameter(name, "query", schema, text) for name, (schema, text) in _RESULTS.items()}
    parameters |= {name: _parameter(name, "header", {"type": "string"}, text) for name, text in _HEADERS.items()}
    flows = {"clientCredentials": {"tokenUrl": f"{issuer}/oauth/token", "scopes": {}}}
    flows["authorizationCode"] = {
        "authorizationUrl": f"{issuer}/oauth/authorize",
        "tokenUrl": f"{issuer}/oauth/token",
        "scopes": {},
    }
    return {"parameters": parameters, "securitySchemes": {"smart": {"type": "oauth2", "flows": flows}}}


def _parameter(name: str, place: str, schema: Node, text: str) -> Node:
    return {"name": name, "in": place, "required": place == "path", "schema": schema, "description": text}


def _refs(*names: str) -> list[Node]:
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]


def _paths_of(rtype: str) -> Node:
    paths: Node = {}
    for shape, (path, place) in _PLACES.items():
        item: Node = {"parameters": place} if place else {}
        for route in ROUTES.values():
            if route.shape == shape and not (shape == "search" and route.method == "GET"):
                item[route.method.lower()] = _interaction(route, rtype)
        paths[path.replace("{type}", rtype)] = item
    paths[f"/{rtype}/_history"] = {"get": _history(rtype, "history-type")}
    paths[f"/{rtype}/{{id}}/_history"] = {"parameters": [_ID], "get": _history(rtype, "history-instance")}
    return paths


def _interaction(route: Route, rtype: str) -> Node:
    """One route on one type; the four that act by a condition are told apart by having no id in their path."""
    name = route.interaction + ("-conditional" if route.shape == "type" and route.method in _CONDITIONAL else "")
    name += "-post" if route.shape == "search" else ""
    made: Node = {"operationId": f"{rtype}.{name}", "tags": [rtype], "summary": f"{name} {rtype}"}
    match route.method:
        case "GET" if route.shape == "type":
            made |= {"parameters": [*_searches(rtype)], "responses": _answers({"200": "Bundle"})}
        case "GET":
            made |= {"parameters": _refs("If-None-Match"), "responses": _answers({"200": rtype, "304": ""})}
        case "POST" if route.shape == "search":
            made |= {"requestBody": _form(rtype), "responses": _answers({"200": "Bundle"})}
        case "POST":
            made |= {"parameters": _refs("If-None-Exist", "Prefer"), "requestBody": _body(rtype)}
            made["responses"] = _answers({"200": rtype, "201": rtype}, links=_links(rtype))
        case "PUT":
            made |= {"parameters": _refs("If-Match", "Prefer"), "requestBody": _body(rtype)}
            made["responses"] = _answers({"200": rtype, "201": rtype})
        case "PATCH":
            made |= {"parameters": _refs("If-Match", "Prefer"), "requestBody": _patch()}
            made["responses"] = _answers({"200": rtype})
        case _:
            made |= {"parameters": _refs("If-Match"), "responses": _answers({"200": "OperationOutcome", "204": ""})}
    if route.shape == "type" and route.method in _CONDITIONAL:
        made["parameters"] = [*made["parameters"], *_searches(rtype, bare=True)]
    return made


_CONDITIONAL = ("PUT", "PATCH", "DELETE")


def _searches(rtype: str, *, bare: bool = False) -> list[Node]:
    indexed = indexed_parameters(rtype)
    found = [
        _parameter(code, "query", {"type": "string"}, f"{parameter.type}, {parameter.url}")
        for code, parameter in sorted(definitions.search_parameters(rtype).items())
        if code in indexed and code not in _ALWAYS
    ]
    return [*found, *_refs(*(("_id",) if bare else _ALWAYS))]


def _form(rtype: str) -> Node:
    properties = {code: {"type": "string"} for code in sorted(indexed_parameters(rtype)) if code not in _ALWAYS}
    properties |= {name: _RESULTS[name][0] for name in _ALWAYS}
    return {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object", "properties": properties}}}}


def _body(kind: str) -> Node:
    return {"required": True, "content": {_JSON: {"schema": reference(kind)}}}


def _patch() -> Node:
    steps = {"type": "array", "items": {"type": "object", "required": ["op", "path"]}}
    return {
        "required": True,
        "content": {
            "application/json-patch+json": {"schema": steps},
            "application/merge-patch+json": {"schema": {"type": "object"}},
            _JSON: {"schema": reference("Parameters")},
        },
    }


def _history(rtype: str, name: str) -> Node:
    return {
        "operationId": f"{rtype}.{name}".lstrip("."),
        "tags": [rtype or "system"],
        "summary": f"{name} {rtype}".strip(),
        "parameters": _refs("_count", "_since", "_at"),
        "responses": _answers({"200": "Bundle"}),
    }


def _answers(expected: dict[str, str], *, links: Node | None = None) -> Node:
    """Responses by status: a resource of the named type, or nothing for ""; every refusal is an OperationOutcome."""
    made: Node = {}
    for status, kind in expected.items():
        made[status] = {"description": kind or "Nothing"}
        if kind:
            # `Prefer: return=` may turn the resource into an outcome, or into nothing at all.
            schema = reference(kind) if kind in ("Bundle", "OperationOutcome") else _either(kind)
            made[status]["content"] = {_JSON: {"schema": schema}}
        if links and status == "201":
            made[status]["links"] = links
    made["4XX"] = {"description": "Refused", "content": {_JSON: {"schema": reference("OperationOutcome")}}}
    return made


def _either(kind: str) -> Node:
    return {"anyOf": [reference(kind), reference("OperationOutcome")]}


def _links(rtype: str) -> Node:
    """A created resource leads to what may be done with it."""
    names = ("read", "update", "patch", "delete", "history-instance")
    return {name: {"operationId": f"{rtype}.{name}", "parameters": {"path.id": "$response.body#/id"}} for name in names}


def _system_paths() -> Node:
    public: Node = {
        "operationId": "capabilities",
        "tags": ["system"],
        "summary": "CapabilityStatement",
        "security": [],
        "responses": _answers({"200": "CapabilityStatement"}),
    }
    bundle = {
        "operationId": "transaction",
        "tags": ["system"],
        "summary": "batch or transaction",
        "requestBody": {"required": True, "content": {_JSON: {"schema": reference("Bundle")}}},
        "responses": _answers({"200": "Bundle"}),
    }
    member = {
        "operationId": "search-compartment",
        "tags": ["system"],
        "summary": "search in a compartment",
        "parameters": [
            _parameter("compartment", "path", {"enum": list(_COMPARTMENTS)}, "Type of the compartment."),
            _ID,
            _parameter("member", "path", {"type": "string", "pattern": "^[A-Z][A-Za-z]{1,63}$"}, "Type to search."),
            *_refs("_count", "_summary", "_total"),
        ],
        "responses": _answers({"200": "Bundle"}),
    }
    search = {
        "operationId": "search-system",
        "tags": ["system"],
        "summary": "search several types",
        "parameters": [
            _parameter("_type", "query", {"type": "string"}, "Types, comma separated."),
            *_refs("_id", "_lastUpdated", "_count", "_summary", "_elements"),
        ],
        "responses": _answers({"200": "Bundle"}),
    }
    return {
        "/metadata": {"get": public},
        "/": {"get": search, "post": bundle},
        "/_history": {"get": _history("", "history-system")},
        "/{compartment}/{id}/{member}": {"get": member},
    }


_COMPARTMENTS = ("Patient", "Encounter", "Practitioner", "RelatedPerson", "Device")


def _operation(kind: str, level: str, name: str) -> Node:
    """An operation by GET and POST; its parameters are told by its OperationDefinition and the documentation."""
    schema = {"type": "object"}
    answers = {
        "2XX": {"description": "What the operation answers", "content": {_JSON: {"schema": schema}}},
        "4XX": {"description": "Refused", "content": {_JSON: {"schema": reference("OperationOutcome")}}},
    }
    words = f"{kind}.{level}.${name}".lstrip(".")
    place = [*([] if kind or level == "system" else [_TYPE]), *([_ID] if level == "instance" else [])]
    made: Node = {"parameters": place} if place else {}
    for method in ("get", "post"):
        made[method] = {
            "operationId": f"{words}.{method}",
            "tags": [kind or "system"],
            "summary": f"${name}",
            "responses": answers,
        }
    made["post"]["requestBody"] = {"required": False, "content": {_JSON: {"schema": reference("Parameters")}}}
    return made
