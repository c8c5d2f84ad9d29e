"""The CapabilityStatement, made from the tables that route and search, so that it cannot promise what is not there.

http://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from typing import Any

import orjson

from sandbox.exchange.routes import ROUTES
from sandbox.exchange.seams import OperationKey
from sandbox.fhir import definitions
from sandbox.fhir.indexing import indexed_parameters
from sandbox.kernel.clock import instant

_INSTANCE = ("read", "vread", "update", "patch", "delete", "history-instance", "history-type", "create", "search-type")
_DEFINITION = "http://hl7.org/fhir/OperationDefinition/"
_SPECIAL = frozenset({"near"})
_UNINDEXED = ("_id", "_lastUpdated", "_text", "_content", "_list")


def _interactions() -> list[str]:
    known = {route.interaction for route in ROUTES.values()}
    return [code for code in _INSTANCE if code.partition("-")[0] in {k.partition("-")[0] for k in known}]


def _parameters(rtype: str) -> list[dict[str, str]]:
    found = []
    for code, parameter in sorted(definitions.search_parameters(rtype).items()):
        if parameter.type != "special" and (code in indexed_parameters(rtype) or code in _UNINDEXED):
            found.append({"name": code, "definition": parameter.url, "type": parameter.type})
        elif code in _UNINDEXED or code in _SPECIAL:
            found.append({"name": code, "definition": parameter.url, "type": "special"})
    return found


def _resource(rtype: str) -> dict[str, Any]:
    references = sorted(c for c, p in definitions.search_parameters(rtype).items() if p.type == "reference")
    made = {
        "type": rtype,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{rtype}",
        "interaction": [{"code": code} for code in _interactions()],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": ["*", *(f"{rtype}:{code}" for code in references)],
        "searchRevInclude": ["*", *_reverse(rtype)],
        "searchParam": _parameters(rtype),
    }
    return {name: value for name, value in made.items() if value != []}  # FHIR has no empty arrays


@cache
def _reverse(rtype: str) -> list[str]:
    return [
        f"{source}:{code}"
        for source in sorted(definitions.RESOURCE_TYPES)
        for code, parameter in sorted(definitions.search_parameters(source).items())
        if parameter.type == "reference" and rtype in parameter.targets
    ]


def _listed(operations: list[dict[str, str]]) -> dict[str, Any]:
    return {"operation": operations} if operations else {}


_BULK = {"system": "export", "type": "patient-export", "instance": "group-export"}
_GENERIC = frozenset({"validate", "meta", "meta-add", "meta-delete"})
_OFFICIAL = frozenset({"everything", "match", "lastn", "expand", "lookup", "validate-code", "subsumes", "translate"})


def _operations(known: Collection[OperationKey], base_url: str, rtype: str) -> list[dict[str, str]]:
    """Operations of a type ("" for the system), with the definition each one follows."""
    found = {}
    for kind, level, name in sorted(known):
        if kind != rtype or name in ("export-status", "export-file"):
            continue
        if name == "export":
            found[name] = f"http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{_BULK[level]}"
        elif name in _GENERIC:
            found[name] = f"{_DEFINITION}Resource-{name}"
        elif name in _OFFICIAL:
            found[name] = f"{_DEFINITION}{kind}-{name}"
        else:
            found[name] = f"{base_url}/OperationDefinition/{kind}-{name}".replace("/-", "/")
    return [{"name": name, "definition": definition} for name, definition in found.items()]


def statement(base_url: str, issuer: str, started: int, operations: Collection[OperationKey] = ()) -> bytes:
    """The statement as JSON; `started` is when this exchange began to serve, microseconds."""
    security = {
        "cors": True,
        "service": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
                        "code": "SMART-on-FHIR",
                    }
                ],
                "text": "OAuth 2 with SMART on FHIR scopes",
            }
        ],
        "extension": [
            {
                "url": "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris",
                "extension": [
                    {"url": "token", "valueUri": f"{issuer}/oauth/token"},
                    {"url": "authorize", "valueUri": f"{issuer}/oauth/authorize"},
                    {"url": "introspect", "valueUri": f"{issuer}/oauth/introspect"},
                    {"url": "revoke", "valueUri": f"{issuer}/oauth/revoke"},
                ],
            }
        ],
    }
    rest = {
        "mode": "server",
        "security": security,
        "resource": [
            _resource(rtype) | _listed(_operations(operations, base_url, rtype))
            for rtype in sorted(definitions.RESOURCE_TYPES)
        ],
        "interaction": [{"code": code} for code in ("transaction", "batch", "search-system", "history-system")],
        "compartment": [
            f"http://hl7.org/fhir/CompartmentDefinition/{kind.lower()}"
            for kind in ("Patient", "Encounter", "Practitioner", "RelatedPerson", "Device")
        ],
    }
    rest |= _listed(_operations(operations, base_url, ""))
    return orjson.dumps(
        {
            "resourceType": "CapabilityStatement",
            "id": "gozar",
            "url": f"{base_url}/metadata",
            "name": "GozarExchange",
            "title": "Gozar FHIR exchange",
            "status": "active",
            "experimental": False,
            "date": instant(started),
            "publisher": "Gozar",
            "kind": "instance",
            "software": {"name": "Gozar", "version": "0.1.0"},
            "implementation": {"description": "Gozar FHIR exchange", "url": base_url},
            "fhirVersion": definitions.FHIR_VERSION,
            "format": ["json", "xml"],
            "patchFormat": ["application/json-patch+json", "application/merge-patch+json", "application/fhir+json"],
            "rest": [rest],
        }
    )
