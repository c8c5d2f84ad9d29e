"""What the server says of itself: RFC 8414 metadata and SMART's `.well-known/smart-configuration`."""

from __future__ import annotations

from typing import Any

from portal.oauth.assertions import ALGORITHMS
from portal.oauth.authentication import METHODS

SCOPES = [
    "openid",
    "fhirUser",
    "launch",
    "launch/patient",
    "online_access",
    "offline_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
]


def authorization_server(public_url: str, environment: str, grant_types: list[str]) -> dict[str, Any]:
    """RFC 8414 document of `environment`'s issuer."""
    issuer = f"{public_url}/{environment}"
    methods = list(METHODS[environment])
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth/token",
        "jwks_uri": f"{issuer}/oauth/jwks",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "grant_types_supported": grant_types,
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS["smart"]),
        "revocation_endpoint_auth_methods_supported": methods,
        "introspection_endpoint_auth_methods_supported": [each for each in methods if each != "none"],
        "service_documentation": f"{public_url}/docs/",
    }


def smart_configuration(public_url: str, environment: str, grant_types: list[str]) -> dict[str, Any]:
    """SMART App Launch 2.2 conformance document of `environment`'s FHIR base."""
    known = authorization_server(public_url, environment, grant_types)
    names = (
        "issuer",
        "jwks_uri",
        "token_endpoint",
        "revocation_endpoint",
        "introspection_endpoint",
        "grant_types_supported",
        "scopes_supported",
        "response_types_supported",
        "token_endpoint_auth_methods_supported",
        "token_endpoint_auth_signing_alg_values_supported",
    )
    return {
        **{name: known[name] for name in names},
        "code_challenge_methods_supported": ["S256"],
        "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
    }
