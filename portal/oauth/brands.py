"""The user-access brands bundle (SMART App Launch 2.2, "User-Access Brands and Endpoints"): how Apps name and find this operator."""

from __future__ import annotations

from typing import Any

NAMES = {
    "sandbox": ("Gozar sandbox, electronic health operator", "محیط آزمایشی گذر، اپراتور سلامت الکترونیک"),
    "production": ("Gozar, electronic health operator", "گذر، اپراتور سلامت الکترونیک"),
}
# The bundle changes only with a release.
STAMP = "2026-11-22T00:00:00Z"
_STRUCTURE = "http://hl7.org/fhir/smart-app-launch/StructureDefinition"


def bundle(public_url: str, environment: str) -> dict[str, Any]:
    """A FHIR Bundle of one Brand (Organization) and its Endpoint."""
    issuer, (english, persian) = f"{public_url}/{environment}", NAMES[environment]
    endpoint: dict[str, Any] = {
        "resourceType": "Endpoint",
        "id": f"{environment}-endpoint",
        "meta": {"profile": [f"{_STRUCTURE}/user-access-endpoint"]},
        "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version", "valueCode": "4.0.1"},
        ],
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "name": english,
        "contact": [{"system": "url", "value": f"{public_url}/docs/"}],
        "payloadType": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "none"}]}
        ],
        "address": f"{issuer}/fhir/R4",
    }
    brand: dict[str, Any] = {
        "resourceType": "Organization",
        "id": f"{environment}-brand",
        "meta": {"profile": [f"{_STRUCTURE}/user-access-brand"]},
        "extension": [
            {
                "url": f"{_STRUCTURE}/organization-portal",
                "extension": [
                    {"url": "portalName", "valueString": english},
                    {"url": "portalUrl", "valueUrl": f"{issuer}/permissions"},
                    {"url": "portalEndpoint", "valueReference": {"reference": f"Endpoint/{environment}-endpoint"}},
                ],
            }
        ],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": issuer}],
        "active": True,
        "name": english,
        "alias": [persian],
        "telecom": [{"system": "url", "value": public_url}],
        "address": [{"country": "IR"}],
        "endpoint": [{"reference": f"Endpoint/{environment}-endpoint"}],
    }
    entries: list[tuple[str, dict[str, Any]]] = [("Organization", brand), ("Endpoint", endpoint)]
    return {
        "resourceType": "Bundle",
        "id": f"{environment}-user-access-brands",
        "meta": {"profile": [f"{_STRUCTURE}/user-access-brands-bundle"]},
        "type": "collection",
        "timestamp": STAMP,
        "entry": [
            {"fullUrl": f"{issuer}/fhir/R4/{kind}/{resource['id']}", "resource": resource} for kind, resource in entries
        ],
    }
