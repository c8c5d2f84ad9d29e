"""authorization_code with PKCE: the request, the code, and what it gives."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.factories.oauth import (
    CALLBACK,
    NOW,
    PUBLIC_URL,
    assertion,
    assertion_form,
    authorization_form,
    challenge_of,
    claims_of,
    code_form,
    header_of,
    new_key,
)


async def test_public_app_gets_tokens_with_launch_context_and_identity(world: Any) -> None:
    app = await world.app(public=True)
    form = authorization_form(app.client_id, nonce="n" * 22)
    back = await world.approve(form)
    assert back["state"] == form["state"]
    assert back["iss"] == f"{PUBLIC_URL}/sandbox"
    answer = await world.token(code_form(app.client_id, back["code"]))
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body["patient"] == "p1"
    assert body["need_patient_banner"] is True
    assert body["scope"] == form["scope"]
    assert body["refresh_token"].startswith("gzr_")
    claims = claims_of(body["access_token"])
    assert claims["patient"] == "p1"
    assert claims["fhirUser"] == f"{PUBLIC_URL}/sandbox/fhir/R4/Patient/p1"
    assert claims["sub"] not in (app.client_id, "p1")
    jwks = KeySet.import_key_set((await world.http.get("/sandbox/oauth/jwks")).json())
    identity = jwt.decode(body["id_token"], jwks, algorithms=["RS256"]).claims
    assert identity["aud"] == app.client_id
    assert identity["nonce"] == "n" * 22
    assert identity["sub"] == claims["sub"]
    assert identity["fhirUser"] == claims["fhirUser"]
    left_half = hashlib.sha256(body["access_token"].encode()).digest()[:16]
    assert identity["at_hash"] == base64.urlsafe_b64encode(left_half).rstrip(b"=").decode()


async def test_confidential_app_proves_itself_for_the_code(world: Any) -> None:
    app = await world.app(key=new_key("ES384"))
    back = await world.approve(authorization_form(app.client_id))
    unproven = await world.token(code_form(app.client_id, back["code"]))
    assert unproven.json()["error"] == "invalid_client"
    proof = assertion_form(assertion(app, "ES384"))
    answer = await world.token({**code_form(app.client_id, back["code"]), **proof, "grant_type": "authorization_code"})
    assert answer.status_code == 200


async def test_authorization_request_may_be_posted(world: Any) -> None:
    app = await world.app(public=True)
    answer = await world.http.post("/sandbox/oauth/authorize", data=authorization_form(app.client_id))
    assert answer.status_code == 303
    assert "/sandbox/oauth/interaction/gzi_" in answer.headers["location"]
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_language_of_the_pages_follows_ui_locales(world: Any) -> None:
    app = await world.app(public=True)
    answer = await world.authorize(authorization_form(app.client_id, ui_locales="en-GB fa"))
    assert answer.headers["location"].startswith(f"{PUBLIC_URL}/en/sandbox/oauth/interaction/")


@pytest.mark.parametrize(
    "redirect_uri",
    [
        None,
        "https://app.test/callback/",
        "https://app.test/callback?x=1",
        "https://app.test/callback#f",
        "https://app.test:443/callback",
        "HTTPS://app.test/callback",
        "https://app.test/callback/../callback",
        "https://app.test/%63allback",
        "https://app.test.evil.test/callback",
        "https://user@app.test/callback",
        "https://evil.test\\@app.test/callback",
        "https://app.test/callback\n",
        "https://app.test/Callback",
        "javascript:alert(1)",
        "//app.test/callback",
        "https://گذر.test/callback",
    ],
)
async def test_redirect_uri_that_is_not_exactly_registered_is_never_redirected_to(
    world: Any, redirect_uri: str | None
) -> None:
    app = await world.app(public=True)
    answer = await world.authorize(authorization_form(app.client_id, redirect_uri=redirect_uri))
    assert answer.status_code == 400
    assert "location" not in answer.headers


LOOPBACK = ("http://127.0.0.1/cb", "http://[::1]:7000/cb", "http://localhost:8000/cb")


@pytest.mark.parametrize(
    "redirect_uri", ["http://127.0.0.1/cb", "http://127.0.0.1:51004/cb", "http://[::1]:9/cb", LOOPBACK[2]]
)
async def test_native_app_listens_at_any_port_of_a_loopback_address(world: Any, redirect_uri: str) -> None:
    app = await world.app(public=True, redirect_uris=LOOPBACK)
    begun = await world.authorize(authorization_form(app.client_id, redirect_uri=redirect_uri))
    assert begun.status_code == 303
    answer = await world.agree(begun.headers["location"])
    other = code_form(app.client_id, answer["code"], redirect_uri="http://127.0.0.1:1/cb")
    assert (await world.token(other)).json()["error"] == "invalid_grant", "the port is the one that was asked with"


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "http://127.0.0.1:51004/cb2", "http://127.0.0.1:51004/cb/", "http://127.0.0.1:51004/cb?x", "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:0/cb", "http://127.0.0.1:80@evil.test/cb", "http://127.0.0.1:/cb", "https://127.0.0.1:5/cb",
        "http://127.0.0.2:5/cb", "http://127.0.0.1:5/cb#f", "http://localhost:9000/cb", "http://127.0.0.1.evil.test:5/cb",
        "http://127.0.0.1:5\\@evil.test/cb", "http://127.0.0.1:5/cb\n",
    ],
)  # fmt: skip
async def test_only_the_port_of_a_loopback_address_may_differ(world: Any, redirect_uri: str) -> None:
    app = await world.app(public=True, redirect_uris=LOOPBACK)
    answer = await world.authorize(authorization_form(app.client_id, redirect_uri=redirect_uri))
    assert answer.status_code == 400 and "location" not in answer.headers


@pytest.mark.parametrize("state", ["a b&c=d#e", "گذر ✓", "%41+%20", "'\"<>\\", "x" * 2000])
async def test_state_comes_back_as_it_was_sent(world: Any, state: str) -> None:
    app = await world.app(public=True, redirect_uris=("https://app.test/callback?tenant=1&x=",))
    form = authorization_form(app.client_id, redirect_uri="https://app.test/callback?tenant=1&x=", state=state)
    answer = await world.approve(form)
    assert (answer["state"], answer["tenant"]) == (state, "1")
    refused = await world.authorize({**form, "code_challenge_method": "plain"})
    assert dict(parse_qsl(urlsplit(refused.headers["location"]).query))["state"] == state


@pytest.mark.parametrize("client_id", [None, "gz_nobody", "ناشناس", "x" * 3000])
async def test_unknown_app_is_never_redirected(world: Any, client_id: str | None) -> None:
    await world.app(public=True)
    answer = await world.authorize(authorization_form("-", client_id=client_id))
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "گذر"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": "s256"}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge": "é" * 43}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"scope": "system/Patient.rs"}, "invalid_scope"),
        ({"scope": 'patient/Patient.rs "quoted"'}, "invalid_scope"),
        ({"aud": None}, "invalid_request"),
        ({"aud": "https://elsewhere.test/fhir"}, "invalid_request"),
        ({"aud": f"{PUBLIC_URL}/production/fhir/R4"}, "invalid_request"),
        ({"resource": "https://elsewhere.test/fhir"}, "invalid_target"),
        ({"scope": "launch patient/Patient.rs"}, "invalid_request"),
        ({"launch": "gzl_unknown"}, "invalid_request"),
        ({"prompt": "none"}, "interaction_required"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "۵"}, "invalid_request"),
        ({"dpop_jkt": "x"}, "invalid_request"),
        ({"registration": "{}"}, "registration_not_supported"),
    ],
)
async def test_fault_of_the_request_returns_to_the_app_with_state_and_issuer(
    world: Any, changes: dict[str, str | None], error: str
) -> None:
    app = await world.app(public=True)
    answer = await world.authorize(authorization_form(app.client_id, **changes))
    assert answer.status_code == 303
    place = urlsplit(answer.headers["location"])
    assert f"{place.scheme}://{place.netloc}{place.path}" == CALLBACK
    back = dict(parse_qsl(place.query))
    assert (back["error"], back["state"], back["iss"]) == (error, "s" * 22, f"{PUBLIC_URL}/sandbox")
    assert back["error_description"].isascii()


@pytest.mark.parametrize("name", ["state", "client_id", "redirect_uri", "scope", "nonce", "anything"])
async def test_duplicate_parameter_is_refused(world: Any, name: str) -> None:
    app = await world.app(public=True)
    form = {**authorization_form(app.client_id), "nonce": "n", "anything": "a"}
    pairs = [*form.items(), (name, form[name])]
    answer = await world.http.get("/sandbox/oauth/authorize", params=pairs)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_request_objects_are_not_taken(world: Any) -> None:
    app = await world.app(public=True)
    answer = await world.authorize(authorization_form(app.client_id, request="ey.ey.x"))
    assert answer.json()["error"] == "request_not_supported"


async def test_app_is_told_only_of_scopes_it_may_have(world: Any) -> None:
    app = await world.app(public=True, scopes=["patient/Observation.rs"])
    asked = "patient/Observation.cruds patient/Patient.rs launch/patient unknown"
    body = await world.tokens_for(app, scope=asked)
    assert body["scope"] == "patient/Observation.rs launch/patient"
    assert "refresh_token" not in body
    assert "id_token" not in body


async def test_scope_the_person_switched_off_is_not_granted(world: Any) -> None:
    app = await world.app(public=True)
    form = authorization_form(app.client_id, scope="launch/patient patient/Observation.rs patient/Patient.rs")
    back = await world.approve(form, chosen=["launch/patient", "patient/Patient.rs"])
    body = (await world.token(code_form(app.client_id, back["code"]))).json()
    assert body["scope"] == "launch/patient patient/Patient.rs"


async def test_granular_scope_reaches_the_token(world: Any) -> None:
    app = await world.app(public=True)
    narrow = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
    body = await world.tokens_for(app, scope=f"launch/patient {narrow}")
    assert narrow in claims_of(body["access_token"])["scope"].split()


async def test_code_lives_sixty_seconds(world: Any) -> None:
    app = await world.app(public=True)
    late, timely = [await world.approve(authorization_form(app.client_id)) for _ in range(2)]
    world.clock.advance(timedelta(seconds=59))
    assert (await world.token(code_form(app.client_id, timely["code"]))).status_code == 200
    world.clock.advance(timedelta(seconds=1))
    assert (await world.token(code_form(app.client_id, late["code"]))).json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": "gzc_unknown"}, "invalid_grant"),
        ({"code": None}, "invalid_request"),
        ({"redirect_uri": "https://app.test/other"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"code_verifier": None}, "invalid_request"),
        ({"code_verifier": "w" * 64}, "invalid_grant"),
        ({"code_verifier": "v" * 42}, "invalid_grant"),
        ({"code_verifier": "گ" * 43}, "invalid_grant"),
        ({"code_verifier": challenge_of("v" * 64)}, "invalid_grant"),
    ],
)
async def test_code_is_bound_to_redirect_uri_and_verifier(
    world: Any, changes: dict[str, str | None], error: str
) -> None:
    app = await world.app(public=True)
    back = await world.approve(authorization_form(app.client_id))
    answer = await world.token(code_form(app.client_id, back["code"], **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_code_is_bound_to_its_app(world: Any) -> None:
    app, other = await world.app(public=True), await world.app(public=True)
    back = await world.approve(authorization_form(app.client_id))
    stolen = await world.token(code_form(other.client_id, back["code"]))
    assert stolen.json()["error"] == "invalid_grant"
    assert (await world.token(code_form(app.client_id, back["code"]))).status_code == 200


async def test_second_use_of_a_code_ends_everything_issued_for_it(world: Any) -> None:
    app = await world.app(public=True)
    reader = await world.app()
    back = await world.approve(authorization_form(app.client_id))
    first = (await world.token(code_form(app.client_id, back["code"]))).json()
    again = await world.token(code_form(app.client_id, back["code"]))
    assert again.json()["error"] == "invalid_grant"
    assert (await world.refresh(app, first["refresh_token"])).json()["error"] == "invalid_grant"
    with pytest.raises(Exception, match="revoked"):
        await world.oauth.tokens.verify(first["access_token"], "sandbox", NOW)
    assert (await world.introspect(reader, first["access_token"]))["active"] is False


async def test_concurrent_uses_of_one_code_have_one_winner(both_worlds: Any) -> None:
    app = await both_worlds.app(public=True)
    back = await both_worlds.approve(authorization_form(app.client_id))
    form = code_form(app.client_id, back["code"])
    answers = await asyncio.gather(*(both_worlds.token(form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7


async def test_interaction_is_decided_once(world: Any) -> None:
    app = await world.app(public=True)
    begun = await world.authorize(authorization_form(app.client_id))
    await world.agree(begun.headers["location"])
    with pytest.raises(Exception, match="ended"):
        await world.agree(begun.headers["location"])


async def test_interaction_expires(world: Any) -> None:
    app = await world.app(public=True)
    begun = await world.authorize(authorization_form(app.client_id))
    world.clock.advance(timedelta(minutes=15))
    with pytest.raises(Exception, match="ended"):
        await world.agree(begun.headers["location"])


async def test_suspended_app_cannot_begin_and_cannot_redeem(world: Any) -> None:
    from sqlalchemy import update

    from portal.apps.models import AccessStatus, App
    from portal.kernel.database import transaction

    app = await world.app(public=True)
    back = await world.approve(authorization_form(app.client_id))
    async with transaction(world.maker) as session:
        await session.execute(update(App).values(status=AccessStatus.SUSPENDED))
    answer = await world.token(code_form(app.client_id, back["code"]))
    assert answer.json()["error"] == "invalid_client"
    begun = await world.authorize(authorization_form(app.client_id))
    assert "error=unauthorized_client" in begun.headers["location"]


async def test_id_token_is_no_access_token(world: Any) -> None:
    app = await world.app(public=True)
    body = await world.tokens_for(app)
    assert header_of(body["id_token"])["typ"] == "JWT"
    with pytest.raises(Exception, match="not of this server's making"):
        await world.oauth.tokens.verify(body["id_token"], "sandbox", NOW)


async def test_userinfo_names_the_person_to_a_token_with_openid(world: Any) -> None:
    app = await world.app(public=True)
    with_openid = await world.tokens_for(app)
    without = await world.tokens_for(app, scope="launch/patient patient/Patient.rs")
    url = "/sandbox/oauth/userinfo"
    right = await world.http.get(url, headers={"authorization": f"Bearer {with_openid['access_token']}"})
    assert right.json() == {
        "sub": claims_of(with_openid["access_token"])["sub"],
        "fhirUser": f"{PUBLIC_URL}/sandbox/fhir/R4/Patient/p1",
    }
    refused = await world.http.get(url, headers={"authorization": f"Bearer {without['access_token']}"})
    assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
    nothing = await world.http.get(url)
    assert (nothing.status_code, nothing.json()["error"]) == (401, "invalid_token")
