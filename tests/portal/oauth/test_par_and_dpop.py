"""Pushed authorization requests, DPoP, and the FAPI 2.0 profile."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest

from portal.oauth import dpop
from portal.oauth.errors import OAuthFault
from tests.factories.oauth import (
    NOW,
    PUBLIC_URL,
    MadeApp,
    assertion,
    assertion_form,
    authorization_form,
    claims_of,
    code_form,
    dpop_proof,
    new_key,
)

TOKEN_URL = f"{PUBLIC_URL}/sandbox/oauth/token"
ISSUER = f"{PUBLIC_URL}/sandbox"


def _proven(app: MadeApp, **form: str) -> dict[str, str]:
    return {**assertion_form(assertion(app, "ES256", aud=ISSUER)), **form}


async def _push(world: Any, app: MadeApp, **changes: str | None) -> Any:
    form = _proven(app, **authorization_form(app.client_id, **changes))
    del form["grant_type"]
    return await world.http.post("/sandbox/oauth/par", data=form)


async def test_pushed_request_is_used_by_its_uri(world: Any) -> None:
    app = await world.app(key=new_key("ES256"))
    pushed = await _push(world, app)
    assert pushed.status_code == 201
    assert pushed.json()["expires_in"] == 60
    begun = await world.authorize({"client_id": app.client_id, "request_uri": pushed.json()["request_uri"]})
    assert "/oauth/interaction/" in begun.headers["location"]


async def test_pushed_request_is_used_once_even_by_many(both_worlds: Any) -> None:
    app = await both_worlds.app(key=new_key("ES256"))
    uri = (await _push(both_worlds, app)).json()["request_uri"]
    form = {"client_id": app.client_id, "request_uri": uri}
    answers = await asyncio.gather(*(both_worlds.authorize(form) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [303] + [400] * 7


async def test_pushed_request_expires_and_belongs_to_its_app(world: Any) -> None:
    app, other = await world.app(key=new_key("ES256")), await world.app(key=new_key("ES256"))
    uri = (await _push(world, app)).json()["request_uri"]
    foreign = await world.authorize({"client_id": other.client_id, "request_uri": uri})
    assert foreign.json()["error"] == "invalid_request_uri"
    world.clock.advance(timedelta(seconds=60))
    late = await world.authorize({"client_id": app.client_id, "request_uri": uri})
    assert late.json()["error"] == "invalid_request_uri"


async def test_parameters_beside_a_request_uri_are_not_heeded(world: Any) -> None:
    app = await world.app(key=new_key("ES256"))
    uri = (await _push(world, app)).json()["request_uri"]
    form = authorization_form(app.client_id, request_uri=uri, redirect_uri="https://evil.test/")
    begun = await world.authorize(form)
    assert "/oauth/interaction/" in begun.headers["location"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"redirect_uri": "https://evil.test/"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"scope": "nonsense"}, "invalid_scope"),
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"request": "ey"}, "invalid_request"),
    ],
)
async def test_fault_of_a_pushed_request_is_told_at_once(
    world: Any, changes: dict[str, str | None], error: str
) -> None:
    app = await world.app(key=new_key("ES256"))
    answer = await _push(world, app, **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_app_that_must_push_cannot_ask_directly(world: Any) -> None:
    app = await world.app(key=new_key("ES256"), profile={"require_par": True})
    answer = await world.authorize(authorization_form(app.client_id))
    assert answer.status_code == 400
    assert "push" in answer.json()["error_description"]


async def test_token_is_bound_to_the_proven_key(world: Any) -> None:
    app, key = await world.app(key=new_key("ES256")), new_key("ES256")
    proof = dpop_proof(key, url=TOKEN_URL)
    answer = await world.token(_proven(app), dpop=proof)
    assert answer.json()["token_type"] == "DPoP"
    assert claims_of(answer.json()["access_token"])["cnf"] == {"jkt": key.thumbprint()}
    replayed = await world.token(_proven(app), dpop=proof)
    assert replayed.json()["error"] == "invalid_dpop_proof"


async def test_app_that_must_prove_a_key_cannot_do_without(world: Any) -> None:
    app = await world.app(key=new_key("ES256"), profile={"require_dpop": True})
    assert (await world.token(_proven(app))).json()["error"] == "invalid_dpop_proof"


async def test_refresh_token_of_a_public_app_stays_bound_to_its_key(world: Any) -> None:
    app, key = await world.app(public=True), new_key("ES256")
    back = await world.approve(authorization_form(app.client_id, dpop_jkt=key.thumbprint()))
    other = dpop_proof(new_key("ES256"), url=TOKEN_URL)
    refused = await world.token(code_form(app.client_id, back["code"]), dpop=other)
    assert refused.json()["error"] == "invalid_grant"
    body = (await world.token(code_form(app.client_id, back["code"]), dpop=dpop_proof(key, url=TOKEN_URL))).json()
    form = {"grant_type": "refresh_token", "client_id": app.client_id, "refresh_token": body["refresh_token"]}
    assert (await world.token(form)).json()["error"] == "invalid_grant"
    assert (await world.token(form, dpop=dpop_proof(key, url=TOKEN_URL))).status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"htm": "GET"},
        {"htu": "https://gozar.test/production/oauth/token"},
        {"htu": 7},
        {"htu": "http://[bad"},
        {"iat": int(NOW.timestamp()) - 61},
        {"iat": int(NOW.timestamp()) + 31},
        {"iat": "now"},
        {"iat": None},
        {"jti": ""},
        {"jti": 5},
    ],
)
async def test_proof_for_anything_else_is_refused(world: Any, changes: dict[str, Any]) -> None:
    app = await world.app(key=new_key("ES256"))
    answer = await world.token(_proven(app), dpop=dpop_proof(new_key("ES256"), url=TOKEN_URL, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_dpop_proof")


@pytest.mark.parametrize("proof", ["x", "a.b.c", "e30.e30.e30", "{}"])
async def test_text_that_is_no_proof_is_refused(world: Any, proof: str) -> None:
    app = await world.app(key=new_key("ES256"))
    assert (await world.token(_proven(app), dpop=proof)).json()["error"] == "invalid_dpop_proof"


def test_proof_at_a_resource_names_the_token() -> None:
    key, url = new_key("ES256"), f"{PUBLIC_URL}/sandbox/fhir/R4/Patient"
    ath = base64.urlsafe_b64encode(hashlib.sha256(b"token").digest()).rstrip(b"=").decode()
    right = dpop_proof(key, method="GET", url=url, ath=ath)
    checked = dpop.check(right, method="GET", url=f"{url}?name=x", now=NOW, access_token="token")
    assert checked.thumbprint == key.thumbprint()
    for proof in (dpop_proof(key, method="GET", url=url), dpop_proof(key, method="GET", url=url, ath="گ")):
        with pytest.raises(OAuthFault):
            dpop.check(proof, method="GET", url=url, now=NOW, access_token="token")


def test_seen_proofs_are_remembered_as_long_as_they_could_be_accepted() -> None:
    memory, proof = dpop.ProofMemory(capacity=2), dpop.Proof("k", "j", int(NOW.timestamp()))
    assert memory.first_use(proof, NOW)
    assert not memory.first_use(proof, NOW + timedelta(seconds=89))
    for number in range(5):
        assert memory.first_use(dpop.Proof("k", str(number), 0), NOW)


async def test_fapi_profile_needs_pushing_dpop_and_a_strong_algorithm(world: Any) -> None:
    app, key = await world.app(key=new_key("ES256"), profile={"profile": "fapi2"}), new_key("ES256")
    direct = await world.authorize(authorization_form(app.client_id))
    assert direct.status_code == 400
    uri = (await _push(world, app)).json()["request_uri"]
    begun = await world.authorize({"client_id": app.client_id, "request_uri": uri})
    back = await world.agree(begun.headers["location"])
    unbound = await world.token(_proven(app, **code_form(app.client_id, back["code"])))
    assert unbound.json()["error"] == "invalid_dpop_proof"
    answer = await world.token(
        _proven(app, **code_form(app.client_id, back["code"])), dpop=dpop_proof(key, url=TOKEN_URL)
    )
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "DPoP"
