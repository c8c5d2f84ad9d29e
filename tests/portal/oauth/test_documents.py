"""What the server says of itself, and who may read it from a browser."""

from __future__ import annotations

from typing import Any

import pytest

from tests.factories.oauth import PUBLIC_URL, authorization_form, code_form


@pytest.mark.parametrize("environment", ["sandbox", "production"])
async def test_smart_configuration_has_what_smart_requires(world: Any, environment: str) -> None:
    answer = await world.http.get(f"/{environment}/fhir/R4/.well-known/smart-configuration")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["access-control-allow-origin"] == "*"
    document = answer.json()
    base = f"{PUBLIC_URL}/{environment}"
    assert document["issuer"] == base
    assert document["authorization_endpoint"] == f"{base}/oauth/authorize"
    assert document["token_endpoint"] == f"{base}/oauth/token"
    assert document["introspection_endpoint"] == f"{base}/oauth/introspect"
    assert document["revocation_endpoint"] == f"{base}/oauth/revoke"
    assert document["management_endpoint"] == f"{base}/permissions"
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert {"authorization_code", "client_credentials"} <= set(document["grant_types_supported"])
    needed = {"launch-ehr", "launch-standalone", "authorize-post", "permission-v1", "permission-v2", "client-public"}
    assert needed <= set(document["capabilities"])
    assert ("client-confidential-symmetric" in document["capabilities"]) is (environment == "sandbox")


async def test_openid_configuration_is_found_below_the_issuer(world: Any) -> None:
    document = (await world.http.get("/sandbox/.well-known/openid-configuration")).json()
    assert document["issuer"] == f"{PUBLIC_URL}/sandbox"
    assert "RS256" in document["id_token_signing_alg_values_supported"]
    assert document["authorization_response_iss_parameter_supported"] is True


async def test_every_endpoint_the_metadata_names_answers(world: Any) -> None:
    document = (await world.http.get("/.well-known/oauth-authorization-server/sandbox")).json()
    for name, url in document.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            answer = await world.http.get(url.removeprefix(PUBLIC_URL))
            assert answer.status_code != 404, name


async def test_brands_bundle_points_at_the_fhir_base(world: Any) -> None:
    answer = await world.http.get("/sandbox/user-access-brands.json")
    assert answer.headers["content-type"] == "application/fhir+json"
    resources = {entry["resource"]["resourceType"]: entry["resource"] for entry in answer.json()["entry"]}
    assert resources["Endpoint"]["address"] == f"{PUBLIC_URL}/sandbox/fhir/R4"
    assert resources["Organization"]["endpoint"] == [{"reference": "Endpoint/sandbox-endpoint"}]


async def test_browser_app_reads_tokens_on_its_own_origin_only(world: Any) -> None:
    app = await world.app(public=True)
    back = await world.approve(authorization_form(app.client_id))
    form = code_form(app.client_id, back["code"])
    preflight = await world.http.options("/sandbox/oauth/token", headers={"origin": "https://app.test"})
    assert preflight.status_code == 204
    assert "dpop" in preflight.headers["access-control-allow-headers"]
    own = await world.token(form, origin="https://app.test")
    assert own.headers["access-control-allow-origin"] == "https://app.test"
    foreign = await world.token(form, origin="https://evil.test")
    assert "access-control-allow-origin" not in foreign.headers
    assert "access-control-allow-credentials" not in own.headers


async def test_refused_browser_app_can_read_why(world: Any) -> None:
    app = await world.app(public=True)
    form = code_form(app.client_id, "gzc_nonsense")
    await world.token(form)
    answer = await world.token(form, origin="https://app.test")
    assert answer.json()["error"] == "invalid_grant"
    assert answer.headers["access-control-allow-origin"] == "https://app.test"


async def test_a_page_on_the_developers_own_machine_reads_every_answer_of_the_sandbox(world: Any) -> None:
    for address in ("http://localhost:3000", "http://127.0.0.1:5173", "http://[::1]:8080"):
        answer = await world.token({"grant_type": "client_credentials"}, origin=address)
        assert answer.status_code == 401 and answer.headers["access-control-allow-origin"] == address
        assert "Retry-After" in answer.headers["access-control-expose-headers"]
        live = await world.token({"grant_type": "client_credentials"}, environment="production", origin=address)
        assert "access-control-allow-origin" not in live.headers
    for address in ("http://localhost.evil.test", "https://localhost", "http://127.0.0.1:80:80", "null"):
        answer = await world.token({"grant_type": "client_credentials"}, origin=address)
        assert "access-control-allow-origin" not in answer.headers


async def test_userinfo_is_read_by_pages_of_the_app_alone(world: Any) -> None:
    app = await world.app(public=True)
    token = (await world.tokens_for(app, scope="openid fhirUser"))["access_token"]
    for address, shown in (("https://app.test", True), ("https://evil.test", False)):
        headers = {"authorization": f"Bearer {token}", "origin": address}
        answer = await world.http.get("/sandbox/oauth/userinfo", headers=headers)
        assert answer.status_code == 200, answer.text
        assert ("access-control-allow-origin" in answer.headers) is shown
