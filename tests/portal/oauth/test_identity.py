"""Signing in at an identity provider."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import Key

from portal.oauth import pages
from portal.oauth.api import routes
from portal.oauth.identity import OpenIdProvider
from portal.oauth.interactions import Person
from portal.oauth.people import NoPeople
from tests.factories.oauth import NOW, PUBLIC_URL, MadeApp, authorization_form, challenge_of, new_key
from tests.factories.portal_app import Browser, Portal, portal_app

ISSUER = "https://identity.test"
MARYAM = Person("Patient/p1", "مریم رضایی", note="0012345678")


@dataclass
class Provider:
    """An OpenID Connect provider that says what the test wants."""

    key: Key = field(default_factory=lambda: new_key("ES256"))
    signs_with: Key | None = None
    claims: dict[str, Any] = field(default_factory=dict)
    nonce: str = ""
    challenge: str = ""
    broken: bool = False
    status: int = 200

    def answer(self, request: httpx.Request) -> httpx.Response:
        if self.broken:
            raise httpx.ConnectError("down")
        if request.url.path.endswith("openid-configuration"):
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            places = {name: f"{ISSUER}/{path}" for name, path in names.items()}
            return httpx.Response(200, json={"issuer": ISSUER, **places})
        if request.url.path == "/jwks":
            return httpx.Response(200, json={"keys": [self.key.as_dict(private=False)]})
        form = dict(parse_qsl(request.content.decode()))
        assert challenge_of(form["code_verifier"]) == self.challenge
        stamp = int(NOW.timestamp())
        claims = {
            "iss": ISSUER,
            "aud": "gozar",
            "sub": "s1",
            "exp": stamp + 60,
            "iat": stamp,
            "nonce": self.nonce,
            "national_code": "0012345678",
            **self.claims,
        }
        header = {"alg": "ES256", "kid": self.key.kid}
        token = jwt.encode(header, claims, self.signs_with or self.key, algorithms=["ES256"])
        return httpx.Response(self.status, json={"id_token": token})


@dataclass
class Site:
    portal: Portal
    world: Any
    provider: Provider

    async def begin(self, browser: Browser, **changes: str) -> str:
        app: MadeApp = await self.world.app(public=True, environment="production")
        form = authorization_form(app.client_id, environment="production", **changes)
        answer = await browser.get("/production/oauth/authorize", params=form)
        return urlsplit(answer.headers["location"]).path

    async def leave(self, browser: Browser, place: str) -> dict[str, str]:
        sent = await browser.get(f"{place}/identity")
        assert sent.headers["location"].startswith(f"{ISSUER}/authorize?")
        query = dict(parse_qsl(urlsplit(sent.headers["location"]).query))
        self.provider.nonce, self.provider.challenge = query["nonce"], query["code_challenge"]
        assert query["redirect_uri"] == f"{PUBLIC_URL}/production/oauth/identity"
        return query


@pytest.fixture
async def site(world: Any, tmp_path: Path, migrated_file: Path) -> AsyncIterator[Site]:
    provider = Provider()
    async with httpx.AsyncClient(transport=httpx.MockTransport(provider.answer)) as http:
        world.oauth.identity["production"] = OpenIdProvider(
            issuer=ISSUER, client_id="gozar", client_secret="s", http=http
        )
        handlers = [*routes(world.oauth), *pages.routes(world.oauth, NoPeople([MARYAM]))]
        folder = tmp_path / "site"
        folder.mkdir()
        async with portal_app(migrated_file, folder, handlers, sessions=world.maker) as portal:
            yield Site(portal, world, provider)


async def test_citizen_signs_in_at_the_provider_and_comes_back_to_decide(site: Site) -> None:
    browser = site.portal.browser()
    place = await site.begin(browser)
    assert "درگاه ملی هویت" in (await browser.get(place)).text
    query = await site.leave(browser, place)
    back = await browser.get("/production/oauth/identity", params={"code": "c", "state": query["state"]})
    assert back.headers["location"] == place
    consent = await browser.get(place)
    assert "مریم رضایی" in consent.text
    assert "به این برنامه اجازه می‌دهید؟" in consent.text


@pytest.mark.parametrize(("asked", "prompt"), [({}, None), ({"prompt": "login"}, "login"), ({"max_age": "0"}, "login")])
async def test_fresh_sign_in_is_asked_of_the_provider_too(
    site: Site, asked: dict[str, str], prompt: str | None
) -> None:
    browser = site.portal.browser()
    assert (await site.leave(browser, await site.begin(browser, **asked))).get("prompt") == prompt


async def test_persona_cannot_be_picked_where_a_provider_signs_in(site: Site) -> None:
    browser = site.portal.browser()
    place = await site.begin(browser)
    await browser.get(place)
    query = await site.leave(browser, place)
    await browser.get("/production/oauth/identity", params={"code": "c", "state": query["state"]})
    answer = await browser.submit(f"{place}/sign-in", on=place, person="Patient/p1")
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://evil.test"},
        {"aud": "another"},
        {"aud": ["gozar", "another"]},
        {"exp": int(NOW.timestamp()) - 61},
        {"exp": "later"},
        {"nonce": "another"},
        {"nonce": None},
        {"national_code": ""},
        {"national_code": 12345678},
        {"national_code": "0099999999"},
        {"sub": 5},
    ],
)
async def test_word_that_was_not_given_for_this_request_is_not_believed(site: Site, claims: dict[str, Any]) -> None:
    browser = site.portal.browser()
    place = await site.begin(browser)
    query = await site.leave(browser, place)
    site.provider.claims = claims
    back = await browser.get("/production/oauth/identity", params={"code": "c", "state": query["state"]})
    assert back.status_code == 422
    assert "درگاه ملی هویت" in (await browser.get(place)).text


async def test_signature_of_somebody_else_is_not_believed(site: Site) -> None:
    browser = site.portal.browser()
    place = await site.begin(browser)
    query = await site.leave(browser, place)
    site.provider.signs_with = new_key("ES256")
    back = await browser.get("/production/oauth/identity", params={"code": "c", "state": query["state"]})
    assert back.status_code == 422


async def test_answer_for_another_browser_is_refused(site: Site) -> None:
    browser, other = site.portal.browser(), site.portal.browser()
    place = await site.begin(browser)
    query = await site.leave(browser, place)
    for state in (query["state"], "", "x.y", "گذر", query["state"] + "x"):
        back = await other.get("/production/oauth/identity", params={"code": "c", "state": state})
        assert back.status_code == 422
    assert (await browser.get("/production/oauth/identity", params={"state": query["state"]})).status_code == 422


async def test_provider_that_does_not_answer_is_told(site: Site) -> None:
    browser = site.portal.browser()
    place = await site.begin(browser)
    site.provider.broken = True
    answer = await browser.get(f"{place}/identity")
    assert answer.status_code == 409
    assert "درگاه هویت اکنون پاسخ نمی‌دهد" in answer.text


async def test_refusal_at_the_provider_leads_nowhere(site: Site) -> None:
    browser = site.portal.browser()
    place = await site.begin(browser)
    query = await site.leave(browser, place)
    site.provider.status = 400
    back = await browser.get("/production/oauth/identity", params={"code": "c", "state": query["state"]})
    assert back.status_code == 422
