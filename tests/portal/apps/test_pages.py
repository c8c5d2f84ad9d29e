"""Apps on the pages: the once-only secret above all."""

from __future__ import annotations

import re

from portal.apps import secrets
from tests.factories.companies import national_id
from tests.factories.portal_app import Browser, Portal


async def app_on_pages(browser: Browser) -> str:
    made = await browser.submit("/companies/new", name="سلامت‌یار", national_id=national_id())
    company = made.headers["location"].rsplit("/", 1)[1]
    created = await browser.submit(f"/companies/{company}/apps/new", name="نسخه‌یار", kind="confidential")
    assert created.status_code == 303, created.text
    return re.sub(r"^/apps/|/products$", "", created.headers["location"])


async def test_the_secret_is_shown_once_without_any_script(portal: Portal) -> None:
    browser = await portal.signed_in_browser("owner@example.ir")
    app = await app_on_pages(browser)
    refused = await browser.submit(f"/apps/{app}/products")
    assert refused.status_code == 422 and "دست‌کم یک محصول" in refused.text
    opened = await browser.submit(f"/apps/{app}/products", products=["appointments", "consent"])
    assert opened.status_code == 303 and opened.headers["location"] == f"/apps/{app}"
    shown = await browser.get(f"/apps/{app}")
    found = re.search(r"gzs_[0-9A-Za-z]{49}", shown.text)
    assert found is not None and secrets.is_well_formed(found.group(0))
    assert shown.headers["cache-control"] == "no-store"
    assert "gzs_" not in (await browser.get(f"/apps/{app}")).text.replace(secrets.hint(found.group(0)), "")


async def test_the_waiting_secret_is_not_readable_in_the_database(portal: Portal) -> None:
    browser = await portal.signed_in_browser("owner@example.ir")
    app = await app_on_pages(browser)
    await browser.submit(f"/apps/{app}/products", products="appointments")
    async with portal.engine.connect() as connection:
        raw = await connection.exec_driver_sql("SELECT notices FROM sign_ins")
        waiting = [row[0] for row in raw if row[0]]
    assert waiting and all(b"gzs_" not in sealed for sealed in waiting)


async def test_every_page_of_an_app_opens_in_both_languages(portal: Portal) -> None:
    browser = await portal.signed_in_browser("owner@example.ir")
    app = await app_on_pages(browser)
    for step in ("before", "after"):
        for prefix in ("", "/en"):
            for path in ("", "/credentials", "/products", "/sandbox", "/settings"):
                page = await browser.get(f"{prefix}/apps/{app}{path}")
                assert page.status_code == 200, (step, path, page.text[:400])
        await browser.submit(f"/apps/{app}/products", products="appointments")


async def test_credentials_on_pages(portal: Portal) -> None:
    browser = await portal.signed_in_browser("owner@example.ir")
    app = await app_on_pages(browser)
    await browser.submit(f"/apps/{app}/products", products="appointments")
    page, base = f"/apps/{app}/credentials", f"/apps/{app}/environments/sandbox"
    assert (await browser.submit(f"{base}/secrets", on=page)).status_code == 303
    listed = (await browser.get(page)).text
    ids = set(re.findall(r"/credentials/(cred_\w+)/rotate", listed))
    assert len(ids) == 2
    bad = await browser.submit(f"{base}/keys", on=page, jwks="{", jwks_uri="")
    assert bad.status_code == 422 and "این متن JSON نیست" in bad.text
    bad = await browser.submit(f"{base}/redirects", on=page, redirect_uris="http://example.ir/x")
    assert bad.status_code == 422 and "sandbox-redirect_uris-error" in bad.text
    good = await browser.submit(
        f"{base}/redirects", on=page, redirect_uris="https://example.ir/x\r\nhttps://example.ir/y"
    )
    assert good.status_code == 303
    one = ids.pop()
    assert (await browser.submit(f"{base}/credentials/{one}/rotate", on=page, overlap_hours="24")).status_code == 303
    assert (await browser.submit(f"{base}/credentials/{one}/revoke", on=page)).status_code == 303
    after = (await browser.get(page)).text
    assert f"{one}/revoke" not in after


async def test_pages_of_another_companys_app_look_absent(portal: Portal) -> None:
    browser = await portal.signed_in_browser("owner@example.ir")
    app = await app_on_pages(browser)
    await browser.submit(f"/apps/{app}/products", products="appointments")
    stranger = await portal.signed_in_browser("x@example.ir")
    for path in ("", "/credentials", "/products", "/sandbox", "/settings"):
        assert (await stranger.get(f"/apps/{app}{path}")).status_code == 404
    for path in (
        "products",
        "settings",
        "sandbox/do/reset",
        "environments/sandbox/secrets",
        "environments/sandbox/keys",
        "environments/sandbox/redirects",
        "environments/sandbox/credentials/x/rotate",
        "environments/sandbox/credentials/x/revoke",
        "subscriptions/x/plan",
        "subscriptions/x/end",
    ):
        assert (await stranger.submit(f"/apps/{app}/{path}", on="/profile")).status_code == 404, path
