"""What the server says of itself: RFC 8414 metadata and SMART's `.well-known/smart-configuration`."""

from __future__ import annotations

from typing import Any

from portal.oauth.assertions import ALGORITHMS
from portal.oauth.authentication import METHODS
from portal.oauth.dpop import ALGORITHMS as DPOP_ALGORITHMS

CAPABILITIES = [
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
]
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
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
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
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query"],
        "authorization_response_iss_parameter_supported": True,
        "require_pushed_authorization_requests": False,
        "dpop_signing_alg_values_supported": list(DPOP_ALGORITHMS),
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "subject_types_supported": ["public"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "at_hash", "nonce", "fhirUser"],
        "prompt_values_supported": ["login", "consent", "select_account"],
        "ui_locales_supported": ["fa", "en"],
        "service_documentation": f"{public_url}/docs/",
    }


def smart_configuration(public_url: str, environment: str, grant_types: list[str]) -> dict[str, Any]:
    """SMART App Launch 2.2 conformance document of `environment`'s FHIR base."""
    issuer = f"{public_url}/{environment}"
    known = authorization_server(public_url, environment, grant_types)
    names = (
        "issuer",
        "jwks_uri",
        "authorization_endpoint",
        "token_endpoint",
        "code_challenge_methods_supported",
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
        "management_endpoint": f"{issuer}/permissions",
        "user_access_brand_bundle": f"{issuer}/user-access-brands.json",
        "user_access_brand_identifier": {"system": "urn:ietf:rfc:3986", "value": issuer},
        "capabilities": [
            *CAPABILITIES,
            *(["client-confidential-symmetric"] if "client_secret_basic" in METHODS[environment] else []),
        ],
    }
