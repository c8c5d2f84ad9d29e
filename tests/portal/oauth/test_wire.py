"""What arrives malformed is refused in RFC 6749's shape, never a 500."""

from __future__ import annotations

import base64
from typing import Any

import pytest

FORM = {"content-type": "application/x-www-form-urlencoded"}


def _basic(raw: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(raw).decode()}


@pytest.mark.parametrize(
    ("body", "headers", "status", "error"),
    [
        (b"grant_type=client_credentials&grant_type=client_credentials", {}, 400, "invalid_request"),
        (b"grant_type=client_credentials&x=1&x=2", {}, 400, "invalid_request"),
        (b"grant_type=%ff%fe", {}, 400, "invalid_request"),
        (b"grant_type=%zz", {}, 400, "invalid_request"),
        (b"grant_type=client_credentials%00", {}, 400, "invalid_request"),
        (b"grant_type=", {}, 400, "invalid_request"),
        (b"", {}, 400, "invalid_request"),
        (b"&".join(b"p%d=1" % n for n in range(61)), {}, 400, "invalid_request"),
        ("grant_type=گذر".encode(), {}, 401, "invalid_client"),
        (b"grant_type=client_credentials", _basic(b"\xff\xfe:\xff"), 401, "invalid_client"),
        (b"grant_type=client_credentials", _basic(b"no-colon"), 401, "invalid_client"),
        (b"grant_type=client_credentials", {"authorization": "Basic %%%"}, 401, "invalid_client"),
        (b"grant_type=client_credentials", {"authorization": "Basic"}, 401, "invalid_client"),
        (b"grant_type=client_credentials", _basic(b"%ff:%ff"), 401, "invalid_client"),
        (b"grant_type=client_credentials", {"authorization": "Bearer abc"}, 401, "invalid_client"),
        (b"grant_type=client_credentials&client_secret=a", _basic(b"a:b"), 400, "invalid_request"),
        (b"grant_type=client_credentials&client_id=other", _basic(b"a:b"), 400, "invalid_request"),
        (b"grant_type=client_credentials&client_assertion=x", {}, 400, "invalid_request"),
        (b"x=" + b"a" * 70_000, {}, 413, "invalid_request"),
        (b"{}", {"content-type": "application/json"}, 400, "invalid_request"),
        (
            b"grant_type=x",
            {"content-type": "application/x-www-form-urlencoded; charset=utf-16"},
            400,
            "invalid_request",
        ),
    ],
)
async def test_malformed_token_request(
    world: Any, body: bytes, headers: dict[str, str], status: int, error: str
) -> None:
    answer = await world.http.post("/sandbox/oauth/token", content=body, headers={**FORM, **headers})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.json()["error_description"].isascii()
    assert answer.headers["cache-control"] == "no-store"


async def test_unknown_grant_type_is_not_echoed(world: Any) -> None:
    app = await world.app()
    answer = await world.token({"grant_type": 'urn:"evil\\گذر'}, **app.basic)
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
    assert "evil" not in answer.text


@pytest.mark.parametrize("grant_type", ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer"])
async def test_forbidden_grants_do_not_exist(world: Any, grant_type: str) -> None:
    app = await world.app()
    answer = await world.token({"grant_type": grant_type, "username": "a", "password": "b"}, **app.basic)
    assert answer.json()["error"] == "unsupported_grant_type"


async def test_credentials_in_the_url_are_refused(world: Any) -> None:
    app = await world.app()
    answer = await world.http.post(
        f"/sandbox/oauth/token?client_id={app.client_id}&client_secret={app.secret}",
        data={"grant_type": "client_credentials"},
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_token_endpoint_answers_post_only(world: Any, method: str) -> None:
    answer = await world.http.request(method, "/sandbox/oauth/token")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


async def test_unknown_environment_does_not_exist(world: Any) -> None:
    assert (await world.http.post("/staging/oauth/token")).status_code == 404


async def test_metadata_names_the_issuer_it_was_asked_for(world: Any) -> None:
    for environment in ("sandbox", "production"):
        document = (await world.http.get(f"/.well-known/oauth-authorization-server/{environment}")).json()
        assert document["issuer"] == f"https://gozar.test/{environment}"
        assert document["token_endpoint"] == f"https://gozar.test/{environment}/oauth/token"
        assert "none" not in document["token_endpoint_auth_signing_alg_values_supported"]
    assert "client_secret_basic" not in document["token_endpoint_auth_methods_supported"]
