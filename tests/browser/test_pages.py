"""Every main page, in both languages, wide and narrow, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import PASSWORD, WIDTHS, SignedIn, Watched

SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PUBLIC = {
    "front": "/",
    "products": "/products",
    "product": "/products/prescriptions",
    "requirements": "/requirements",
    "register": "/register",
    "sign-up": "/sign-up",
    "sign-in": "/sign-in",
    "forgot": "/password/forgot",
    "problem": "/no-such-page",
}
OWN = {
    "dashboard": "/dashboard",
    "company": "/companies/{company}",
    "members": "/companies/{company}/members",
    "company-settings": "/companies/{company}/settings",
    "company-proofs": "/companies/{company}/proofs",
    "new-company": "/companies/new",
    "new-app": "/companies/{company}/apps/new",
    "app": "/apps/{app}",
    "app-products": "/apps/{app}/products",
    "credentials": "/apps/{app}/credentials",
    "usage": "/apps/{app}/usage",
    "sandbox": "/apps/{app}/sandbox",
    "sandbox-faults": "/apps/{app}/sandbox/faults",
    "sandbox-counterparts": "/apps/{app}/sandbox/counterparts",
    "sandbox-timeline": "/apps/{app}/sandbox/timeline",
    "sandbox-deliveries": "/apps/{app}/sandbox/deliveries",
    "conformance": "/apps/{app}/conformance",
    "go-live": "/apps/{app}/review",
    "app-settings": "/apps/{app}/settings",
    "app-access": "/apps/{app}/access",
    "profile": "/profile",
}


def look_at(watched: Watched, name: str, prefix: str, path: str) -> None:
    """Open a page once, and judge it wide and narrow; Persian wide is light, English wide is dark, and the reverse when narrow."""
    schemes = SCHEMES if prefix == "" else SCHEMES[::-1]
    watched.page.set_viewport_size({"width": WIDTHS[0], "height": 900})
    watched.visit(path)
    for width, scheme in zip(WIDTHS, schemes, strict=True):
        watched.page.set_viewport_size({"width": width, "height": 900})
        watched.page.emulate_media(color_scheme=scheme)
        watched.shoot(f"{name}-{prefix[1:] or 'fa'}-{width}-{scheme}")
        watched.check()


@pytest.mark.parametrize("prefix", ["", "/en"])
@pytest.mark.parametrize("name", PUBLIC)
def test_public_pages_are_accessible_and_fit(watched: Watched, name: str, prefix: str) -> None:
    look_at(watched, name, prefix, prefix + PUBLIC[name] if PUBLIC[name] != "/" else prefix or "/")


@pytest.mark.parametrize("prefix", ["", "/en"])
@pytest.mark.parametrize("name", OWN)
def test_own_pages_are_accessible_and_fit(signed_in: Watched, developer: SignedIn, name: str, prefix: str) -> None:
    look_at(signed_in, name, prefix, prefix + OWN[name].format(company=developer.company, app=developer.app))


def test_the_whole_path_by_keyboard_and_mouse(watched: Watched) -> None:
    page = watched.page
    watched.visit("/sign-up")
    page.get_by_role("button", name="ساختن حساب").click()
    expect(page.locator(".error-summary")).to_be_focused()
    page.locator(".error-summary a").first.click()
    expect(page.locator("#name")).to_be_focused()
    page.keyboard.type("زهرا کریمی")
    page.keyboard.press("Tab")
    page.keyboard.type("zahra@example.ir")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.locator("#password").fill(PASSWORD)
    page.get_by_role("button", name="ورود").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("زهرا")
    assert watched.outside == [] and watched.console == []


def test_the_skip_link_is_the_first_stop(watched: Watched) -> None:
    watched.visit("/en")
    watched.page.keyboard.press("Tab")
    expect(watched.page.locator(".skip")).to_be_focused()
    watched.page.keyboard.press("Enter")
    expect(watched.page.locator("main")).to_be_focused()


def test_pages_work_without_scripts(fresh: Callable[..., BrowserContext], developer: SignedIn, gozar: str) -> None:
    context = fresh(java_script_enabled=False, storage_state=developer.state)
    page = context.new_page()
    page.goto(f"{gozar}/apps/{developer.app}/credentials")
    page.get_by_role("button", name="رمز تازه").click()
    assert "gzs_" in page.locator("#once-2").inner_text()
    page.reload()
    assert page.locator("#once-2").count() == 0
    assert page.locator("[data-copy]:visible").count() == 0


def test_copy_buttons_copy(fresh: Callable[..., BrowserContext], developer: SignedIn, gozar: str) -> None:
    context = fresh(storage_state=developer.state, permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{gozar}/apps/{developer.app}")
    shown = page.locator("#sandbox-client").inner_text()
    page.locator('[data-copy="sandbox-client"]').click()
    assert page.evaluate("navigator.clipboard.readText()") == shown


def test_no_link_of_the_main_pages_is_dead(signed_in: Watched, developer: SignedIn) -> None:
    page, seen, dead = signed_in.page, set[str](), []
    for start in (
        "/",
        "/en",
        "/dashboard",
        "/en/dashboard",
        f"/apps/{developer.app}",
        f"/companies/{developer.company}",
    ):
        signed_in.visit(start)
        links = page.eval_on_selector_all(
            "a[href^='/']", "found => found.map(a => a.getAttribute('href').split('#')[0])"
        )
        for link in set(links) - seen:
            seen.add(link)
            answer = page.request.get(signed_in.base + link)
            # The documentation is built apart; without it its pages say so.
            if answer.status >= 400 and not link.startswith("/docs/"):
                dead.append((start, link, answer.status))
    assert len(seen) > 25 and dead == []
