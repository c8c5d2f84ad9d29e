"""Headers, problems, static files and forms of the shell."""

from __future__ import annotations

import re

import httpx
import pytest
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from portal.kernel.errors import DomainError, Invalid
from portal.users.service import WrongCredentials
from portal.web.forms import Form
from portal.web.heads import with_heads
from portal.web.problems import status_of, to_problem
from portal.web.static import load_assets
from tests.factories.portal_app import Portal


async def test_every_page_carries_the_policy_and_its_request_id(portal: Portal) -> None:
    async with portal.browser() as browser:
        for path in ("/", "/en/products", "/sign-in", "/no/such/page"):
            page = await browser.get(path, headers={"x-request-id": "abcd-1234"})
            policy = page.headers["content-security-policy"]
            assert "script-src 'self'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert page.headers["x-request-id"] == "abcd-1234"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert not re.search(r"<script(?! src)|\son\w+=|style=", page.text), path
        odd = await browser.get("/", headers={"x-request-id": "<script>"})
        assert odd.headers["x-request-id"].startswith("req_")


async def test_assets_are_named_by_content_and_kept_forever(portal: Portal) -> None:
    assets = load_assets()
    async with portal.browser() as browser:
        page = (await browser.get("/")).text
        for path in (assets.css.path, assets.js.path):
            assert path in page
            found = await browser.get(path)
            assert found.status_code == 200 and "immutable" in found.headers["cache-control"]


def test_styles_use_logical_properties_only() -> None:
    css = load_assets().css.body.decode()
    own = css[css.index("@layer tokens") :]
    physical = re.findall(
        r"(?m)^\s*(?:margin|padding|border)-(?:left|right|top|bottom)\b|^\s*(?:left|right|top|bottom):", own
    )
    assert physical == []


@pytest.mark.parametrize(
    ("accept", "path", "kind"),
    [
        ("text/html,*/*;q=0.8", "/nothing", "text/html; charset=utf-8"),
        ("application/json", "/nothing", "application/problem+json"),
        ("text/html", "/api/v1/nothing", "application/problem+json"),
        ("*/*", "/nothing", "application/problem+json"),
    ],
)
async def test_an_error_comes_in_the_callers_shape(portal: Portal, accept: str, path: str, kind: str) -> None:
    async with portal.script() as client:
        answer = await client.get(path, headers={"accept": accept})
    assert answer.status_code == 404 and answer.headers["content-type"] == kind


async def test_a_method_that_is_not_taken_is_a_405(portal: Portal) -> None:
    async with portal.script() as client:
        answer = await client.delete("/api/v1/products")
    assert answer.status_code == 405 and answer.json()["type"].endswith("#method-not-allowed")


async def test_a_cookie_does_not_let_another_site_use_the_api(portal: Portal) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    foreign = {"origin": "https://evil.example"}
    refused = await browser.patch("/api/v1/me", json={"name": "Eve"}, headers=foreign)
    assert refused.status_code == 403
    as_form = await browser.post("/api/v1/companies", data={"name": "x"}, headers={"origin": "http://gozar.test"})
    assert as_form.status_code == 415
    own = await browser.patch("/api/v1/me", json={"name": "Sara"}, headers={"origin": "http://gozar.test"})
    assert own.status_code == 200


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=%ff%fe", b"=" * 2000, b"csrf_token=%00"])
async def test_a_form_that_is_not_text_is_refused_never_a_500(portal: Portal, body: bytes) -> None:
    async with portal.browser() as browser:
        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await browser.post("/sign-in", content=body, headers=kind)
    assert answer.status_code in (400, 403)


async def test_an_oversize_form_is_a_413(portal: Portal) -> None:
    async with portal.browser() as browser:
        answer = await browser.post("/sign-in", data={"email": "x" * 300_000})
    assert answer.status_code == 413


def test_secrets_do_not_travel_back_in_a_refused_form() -> None:
    form = Form({"email": "a", "password": "p", "code": "1"}).refused(Invalid("no", fa="نه", field="email"))
    assert form.values == {"email": "a"} and form.errors == {"email": "نه"}


def every_error() -> list[type[DomainError]]:
    found, waiting = [], [DomainError]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        found.append(kind)
    return found


def test_every_error_has_its_own_code_and_both_languages() -> None:
    own = [kind for kind in every_error() if "code" in vars(kind)]
    codes = [kind.code for kind in own]
    assert len(codes) == len(set(codes)), sorted(code for code in codes if codes.count(code) > 1)
    for kind in own:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code), kind
        assert kind.title and re.search("[\u0600-\u06ff]", kind.title_fa), kind


def test_a_busy_database_is_a_503_that_may_be_tried_again_and_an_unstorable_value_a_400() -> None:
    busy, headers = to_problem(OperationalError("SELECT 1", {}, Exception("database is locked")))
    assert (busy.status, headers) == (503, {"Retry-After": "1"})
    assert to_problem(DataError("INSERT", {}, Exception("invalid byte 0x00")))[0].status == 400
    assert to_problem(IntegrityError("INSERT", {}, Exception("unique")))[0].status == 409
    unforeseen = to_problem(RuntimeError("a secret detail"))[0]
    assert unforeseen.status == 500 and "secret" not in str(unforeseen)


def test_statuses_follow_the_kind_of_error() -> None:
    assert status_of(WrongCredentials()) == 401
    assert status_of(Invalid()) == 422


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data; boundary=x", b"garbage"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        ),
        ("multipart/form-data", b"--x--"),
        ("text/plain", b"a=b"),
        ("application/json", b"{"),
        ("application/x-www-form-urlencoded; charset=nonsense", b"a=b"),
        ("; ;", b"a=b"),
    ],
)
async def test_no_body_of_any_type_breaks_a_form(portal: Portal, kind: str, body: bytes) -> None:
    async with portal.browser() as browser:
        answer = await browser.post("/sign-in", content=body, headers={"content-type": kind})
    assert answer.status_code in (400, 403), answer.text[:300]


@pytest.mark.parametrize(
    "path", ["/products/%00", "/products/%ff", "/apps/%2e%2e", "/products/" + "x" * 5000, "/%0d%0a"]
)
async def test_no_path_breaks_a_page(portal: Portal, path: str) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    assert (await browser.get(path)).status_code in (400, 404)


async def test_head_answers_like_get_without_a_body_and_eats_no_message(portal: Portal) -> None:
    browser = await portal.signed_in_browser("sara@example.ir")
    await browser.submit("/profile", on="/profile", name="Sara", language="en")
    browser._transport = httpx.ASGITransport(app=with_heads(portal.app))
    head = await browser.head("/en/profile")
    assert head.status_code == 200 and head.content == b"" and int(head.headers["content-length"]) > 1000
    assert "Your profile is saved" in (await browser.get("/en/profile")).text
