"""client_credentials at the token endpoint."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select, update

from portal.apps.models import AccessStatus, App, AppEnvironment, Credential
from portal.companies.models import Company, CompanyStatus
from portal.kernel.database import transaction
from tests.factories.oauth import (
    NOW,
    PUBLIC_URL,
    assertion,
    assertion_form,
    claims_of,
    header_of,
    new_key,
)

GRANT = {"grant_type": "client_credentials"}


async def test_secret_gives_a_token_with_the_promised_claims(world: Any) -> None:
    app = await world.app()
    answer = await world.token({**GRANT, "scope": "system/Patient.rs"}, **app.basic)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    body = answer.json()
    token = body.pop("access_token")
    assert body == {"token_type": "Bearer", "expires_in": 300, "scope": "system/Patient.rs"}
    claims = claims_of(token)
    assert header_of(token)["typ"] == "at+jwt"
    assert header_of(token)["alg"] == "ES256"
    assert claims.pop("jti")
    assert claims.pop("tenant").startswith("tnt_")
    assert claims == {
        "iss": f"{PUBLIC_URL}/sandbox",
        "aud": f"{PUBLIC_URL}/sandbox/fhir/R4",
        "sub": app.client_id,
        "client_id": app.client_id,
        "app": app.app_id,
        "scope": "system/Patient.rs",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 300,
        "epoch": 1,
        "env": "sandbox",
    }


async def test_token_verifies_with_the_published_keys_alone(world: Any) -> None:
    token = await world.client_token(await world.app())
    jwks = (await world.http.get("/sandbox/oauth/jwks")).json()
    assert {key["alg"] for key in jwks["keys"]} == {"ES256", "RS256"}
    assert not any("d" in key or "p" in key for key in jwks["keys"])
    jwt.decode(token, KeySet.import_key_set(jwks), algorithms=["ES256"])


async def test_environments_have_keys_of_their_own(world: Any) -> None:
    ours = {key["kid"] for key in (await world.http.get("/sandbox/oauth/jwks")).json()["keys"]}
    theirs = {key["kid"] for key in (await world.http.get("/production/oauth/jwks")).json()["keys"]}
    assert ours and theirs and not ours & theirs


async def test_client_secret_post_works_too(world: Any) -> None:
    app = await world.app()
    answer = await world.token({**GRANT, "client_id": app.client_id, "client_secret": app.secret})
    assert answer.status_code == 200
    assert answer.json()["scope"] == "system/Patient.cruds system/Observation.rs"


@pytest.mark.parametrize("algorithm", ["RS384", "ES384", "PS256", "ES256", "Ed25519", "EdDSA"])
@pytest.mark.filterwarnings("ignore:.*EdDSA")
async def test_assertion_signed_with_each_accepted_algorithm(world: Any, algorithm: str) -> None:
    app = await world.app(environment="production", key=new_key(algorithm))
    form = assertion_form(assertion(app, algorithm, environment="production"), scope="system/Patient.rs")
    answer = await world.token(form, "production")
    assert answer.status_code == 200, answer.text
    assert "tenant" not in claims_of(answer.json()["access_token"])


@pytest.mark.parametrize("algorithm", ["RS256", "HS256", "ES512", "none"])
async def test_assertion_algorithm_outside_the_list_is_refused(world: Any, algorithm: str) -> None:
    app = await world.app(key=new_key("RS384"))
    text = assertion(app, "RS384")
    import base64

    import orjson

    head = base64.urlsafe_b64encode(orjson.dumps({"alg": algorithm, "kid": app.key.kid})).rstrip(b"=").decode()
    answer = await world.token(assertion_form(".".join([head, *text.split(".")[1:]])))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"exp": int(NOW.timestamp()) + 3600}, "at most 5 minutes"),
        ({"exp": int(NOW.timestamp()) - 60}, "has expired"),
        ({"exp": None}, "needs exp"),
        ({"exp": "soon"}, "needs exp"),
        ({"exp": True}, "needs exp"),
        ({"exp": 1e300}, "needs exp"),
        ({"nbf": int(NOW.timestamp()) + 200}, "nbf"),
        ({"iat": int(NOW.timestamp()) + 200}, "iat"),
        ({"aud": "https://elsewhere.test/token"}, "aud"),
        ({"aud": [f"{PUBLIC_URL}/sandbox/oauth/token", "https://elsewhere.test"]}, "aud"),
        ({"aud": f"{PUBLIC_URL}/production/oauth/token"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": {}}, "aud"),
        ({"iss": "another"}, "iss and sub"),
        ({"jti": None}, "jti"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "jti"),
        ({"jti": "x" * 513}, "jti"),
    ],
)
async def test_assertion_claim_that_does_not_hold_is_named(world: Any, claims: dict[str, Any], said: str) -> None:
    app = await world.app(key=new_key("ES384"))
    answer = await world.token(assertion_form(assertion(app, "ES384", **claims)))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert said in answer.json()["error_description"]


@pytest.mark.parametrize("audience", [f"{PUBLIC_URL}/sandbox", f"{PUBLIC_URL}/sandbox/oauth/token"])
async def test_assertion_for_issuer_or_token_url_is_accepted(world: Any, audience: str) -> None:
    app = await world.app(key=new_key("ES384"))
    answer = await world.token(assertion_form(assertion(app, "ES384", aud=audience)))
    assert answer.status_code == 200


async def test_fapi_profile_takes_the_issuer_as_audience_only(world: Any) -> None:
    app = await world.app(key=new_key("ES256"), profile={"profile": "fapi2"})
    refused = await world.token(assertion_form(assertion(app, "ES256")))
    assert refused.status_code == 401
    accepted = await world.token(assertion_form(assertion(app, "ES256", aud=f"{PUBLIC_URL}/sandbox")))
    assert accepted.json()["error"] == "invalid_dpop_proof"


async def test_fapi_profile_refuses_rs384(world: Any) -> None:
    app = await world.app(key=new_key("RS384"), profile={"profile": "fapi2"})
    answer = await world.token(assertion_form(assertion(app, "RS384", aud=f"{PUBLIC_URL}/sandbox")))
    assert "ES256" in answer.json()["error_description"]


async def test_assertion_is_used_once(world: Any) -> None:
    app = await world.app(key=new_key("ES384"))
    form = assertion_form(assertion(app, "ES384"))
    assert (await world.token(form)).status_code == 200
    again = await world.token(form)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")
    assert "jti" in again.json()["error_description"]


async def test_concurrent_uses_of_one_assertion_have_one_winner(both_worlds: Any) -> None:
    app = await both_worlds.app(key=new_key("ES384"))
    form = assertion_form(assertion(app, "ES384"))
    answers = await asyncio.gather(*(both_worlds.token(form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7


async def test_same_jti_from_two_apps_is_no_replay(world: Any) -> None:
    first, second = await world.app(key=new_key("ES384")), await world.app(key=new_key("ES384"))
    for app in (first, second):
        assert (await world.token(assertion_form(assertion(app, "ES384", jti="same")))).status_code == 200


async def test_key_of_another_app_proves_nothing(world: Any) -> None:
    app, other = await world.app(key=new_key("ES384")), await world.app(key=new_key("ES384"))
    other.client_id = app.client_id
    answer = await world.token(assertion_form(assertion(other, "ES384")))
    assert answer.json() == {"error": "invalid_client", "error_description": "client authentication failed"}


async def test_secret_is_refused_in_production(world: Any) -> None:
    app = await world.app(environment="production")
    answer = await world.token(GRANT, "production", **app.basic)
    assert answer.status_code == 401
    assert "private_key_jwt" in answer.json()["error_description"]


async def test_secret_in_production_can_be_allowed_for_one_app(world: Any) -> None:
    app = await world.app(environment="production", profile={"secret_in_production": True})
    assert (await world.token(GRANT, "production", **app.basic)).status_code == 200


async def test_sandbox_app_is_unknown_in_production(world: Any) -> None:
    app = await world.app(profile={"secret_in_production": True})
    answer = await world.token(GRANT, "production", **app.basic)
    assert answer.json() == {"error": "invalid_client", "error_description": "client authentication failed"}


async def test_unknown_app_and_wrong_secret_look_the_same(world: Any) -> None:
    app = await world.app()
    wrong = await world.token({**GRANT, "client_id": app.client_id, "client_secret": "gzs_wrong"})
    unknown = await world.token({**GRANT, "client_id": "gz_nobody", "client_secret": app.secret})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert wrong.headers["www-authenticate"].startswith("Basic ")


async def test_public_app_cannot_use_client_credentials(world: Any) -> None:
    app = await world.app(public=True)
    answer = await world.token({**GRANT, "client_id": app.client_id})
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")


@pytest.mark.parametrize(
    "scope",
    [
        "system/Encounter.rs",
        "patient/Patient.rs",
        "system/Patient",
        "admin",
        "system/Patient.sr",
        "openid",
        "exchange.admin",
    ],
)
async def test_scope_not_granted_to_the_app_is_refused(world: Any, scope: str) -> None:
    app = await world.app()
    answer = await world.token({**GRANT, "scope": f"system/Patient.rs {scope}"}, **app.basic)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_scope")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("system/Patient.read", "system/Patient.read"),
        ("system/Observation.cruds", "system/Observation.rs"),
        ("system/*.rs", "system/Patient.rs system/Observation.rs"),
        ("system/Observation.rs?category=laboratory", "system/Observation.rs?category=laboratory"),
        ("system/Patient.rs system/Patient.rs", "system/Patient.rs"),
    ],
)
async def test_scope_is_narrowed_to_what_the_app_may_have(world: Any, asked: str, given: str) -> None:
    app = await world.app()
    answer = await world.token({**GRANT, "scope": asked}, **app.basic)
    assert answer.json()["scope"] == given
    assert claims_of(answer.json()["access_token"])["scope"] == given


async def test_suspension_of_app_presence_or_company_refuses_the_next_request(world: Any) -> None:
    changes = [
        update(App).values(status=AccessStatus.SUSPENDED),
        update(AppEnvironment).values(status=AccessStatus.SUSPENDED),
        update(Company).values(status=CompanyStatus.SUSPENDED),
    ]
    for change in changes:
        app = await world.app()
        assert (await world.token(GRANT, **app.basic)).status_code == 200
        async with transaction(world.maker) as session:
            await session.execute(change)
        answer = await world.token(GRANT, **app.basic)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


async def test_suspension_through_an_object_refuses_the_next_request(world: Any) -> None:
    app = await world.app()
    assert (await world.token(GRANT, **app.basic)).status_code == 200
    async with transaction(world.maker) as session:
        found = await session.get_one(App, app.app_id)
        found.status = AccessStatus.SUSPENDED
    assert (await world.token(GRANT, **app.basic)).status_code == 401


async def test_revoked_or_expired_credential_is_refused(world: Any) -> None:
    revoked, expiring = await world.app(), await world.app()
    async with transaction(world.maker) as session:
        for app, name, value in ((revoked, "revoked_at", NOW), (expiring, "expires_at", NOW + timedelta(minutes=1))):
            credential = (await session.scalars(select(Credential).where(Credential.client_id == app.client_id))).one()
            setattr(credential, name, value)
    assert (await world.token(GRANT, **revoked.basic)).status_code == 401
    assert (await world.token(GRANT, **expiring.basic)).status_code == 200
    world.clock.advance(timedelta(minutes=1))
    assert (await world.token(GRANT, **expiring.basic)).status_code == 401


async def test_use_of_a_credential_is_remembered(world: Any) -> None:
    app = await world.app()
    await world.token(GRANT, **app.basic)
    await world.oauth.stop()
    async with world.maker() as session:
        credential = (await session.scalars(select(Credential).where(Credential.client_id == app.client_id))).one()
    assert credential.last_used_at == NOW


async def test_resource_must_be_this_environments_fhir_base(world: Any) -> None:
    app = await world.app()
    right = {**GRANT, "resource": f"{PUBLIC_URL}/sandbox/fhir/R4"}
    assert (await world.token(right, **app.basic)).status_code == 200
    answer = await world.token({**GRANT, "resource": f"{PUBLIC_URL}/production/fhir/R4"}, **app.basic)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_target")
