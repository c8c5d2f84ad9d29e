"""A running Gozar, Debian's Chromium, and an eye on what every page does: accessibility, console, requests, width."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

from tests.factories.companies import national_id

CHROMIUM = "/usr/bin/chromium"
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WIDTHS = (1280, 375)
PASSWORD = "seven quiet rivers"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder needs the browser."""
    here = str(Path(__file__).parent)
    for item in items:
        if str(item.path).startswith(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """One Chromium for the session."""
    if not Path(CHROMIUM).exists():
        pytest.skip("Debian's chromium is not installed")
    quiet = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync")
    silent = ("--disable-background-networking", "--disable-component-update")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*quiet, *silent])
        yield browser
        browser.close()


@pytest.fixture
def fresh(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Makes browser contexts of a reader in Tehran; closes them after the test."""
    made: list[BrowserContext] = []

    def make(**options: Any) -> BrowserContext:
        made.append(chromium.new_context(locale="fa-IR", timezone_id="Asia/Tehran", reduced_motion="reduce", **options))
        return made[-1]

    yield make
    for context in made:
        context.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def gozar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL of a whole installation in a process of its own, empty but for the demo."""
    folder, port = tmp_path_factory.mktemp("gozar"), _free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "GOZAR_DATA_DIR": str(folder), "GOZAR_PUBLIC_URL": base}
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-m", "portal.cli", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(base, process, folder / "log")
            yield base
        finally:
            process.terminate()
            process.wait(20)
            shutil.rmtree(folder, ignore_errors=True)


def _wait(base: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(f"{base}/healthz", timeout=2).raise_for_status()
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise AssertionError(f"gozar did not start:\n{log.read_text()[-3000:]}")


@dataclass
class Watched:
    """A page, with everything that should not have happened on it."""

    page: Page
    base: str
    outside: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)

    def visit(self, path: str) -> None:
        self.page.goto(self.base + path)

    def violations(self) -> list[str]:
        """What axe finds against WCAG 2.2 A and AA, as `rule: element`."""
        self.page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
        found = self.page.evaluate(
            "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}})"
            ".then(r => r.violations.flatMap(v => v.nodes.map(n => v.id + ': ' + n.html.slice(0, 160)"
            " + ' | ' + (n.failureSummary || '').slice(0, 200))))",
            RULES,
        )
        return list(found)

    def sideways(self) -> int:
        """By how many pixels the page scrolls sideways."""
        width = self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return int(width)

    def check(self) -> None:
        """No accessibility violation, no sideways scroll, nothing from elsewhere, a clean console."""
        assert self.violations() == [], self.page.url
        assert self.sideways() == 0, self.page.url
        assert self.outside == []
        assert self.console == []

    def shoot(self, name: str) -> None:
        """Keep a picture where GOZAR_SCREENSHOTS says, for people to look at."""
        if folder := os.environ.get("GOZAR_SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def watch(page: Page, base: str) -> Watched:
    """Begin to watch `page`."""
    watched = Watched(page, base)

    def request(sent: Request) -> None:
        if not sent.url.startswith((base, "data:", "blob:")):
            watched.outside.append(sent.url)

    def message(said: ConsoleMessage) -> None:
        # A form sent back with errors is a 422, which Chromium notes as a failed load.
        if said.type in ("error", "warning") and not re.search(r"status of 4(22|04|03)", said.text):
            watched.console.append(said.text)

    page.on("request", request)
    page.on("console", message)
    return watched


@pytest.fixture
def watched(fresh: Callable[..., BrowserContext], gozar: str) -> Watched:
    """A watched page of a visitor."""
    return watch(fresh().new_page(), gozar)


@dataclass(frozen=True)
class SignedIn:
    """A developer with a Company, an App and an open sandbox; `state` is Playwright's storage state."""

    email: str
    company: str
    app: str
    secret_page: str
    state: dict[str, Any]


def _csrf(html: str) -> str:
    found = re.search(r'name="csrf_token" value="([0-9a-f]+)"', html)
    assert found is not None
    return found.group(1)


@pytest.fixture(scope="session")
def developer(gozar: str) -> SignedIn:
    """Walk the path by plain forms once, for the tests that only look."""
    email = "maryam@example.ir"
    with httpx.Client(base_url=gozar, headers={"accept": "text/html"}) as browser:

        def submit(path: str, on: str = "", **fields: Any) -> httpx.Response:
            token = _csrf(browser.get(on or path).text)
            answer = browser.post(path, data={"csrf_token": token, **fields})
            assert answer.status_code == 303, answer.text
            return answer

        submit("/sign-up", name="مریم رضایی", email=email, password=PASSWORD)
        submit("/sign-in", email=email, password=PASSWORD)
        made = submit("/companies/new", name="سلامت‌یار ایرانیان", national_id=national_id(77))
        company = made.headers["location"].rsplit("/", 1)[1]
        created = submit(
            f"/companies/{company}/apps/new",
            name="نسخه‌یار",
            description="یادآوری دارو و پیگیری نسخه برای بیماران مزمن",
            kind="confidential",
        )
        app = created.headers["location"].split("/")[2]
        submit(f"/apps/{app}/products", products=["appointments", "prescriptions"])
        shown = browser.get(f"/apps/{app}").text
        cookies = [
            {"name": c.name, "value": c.value, "domain": "127.0.0.1", "path": "/", "expires": -1}
            for c in browser.cookies.jar
        ]
    for cookie in cookies:
        cookie.update({"httpOnly": True, "secure": False, "sameSite": "Lax"})
    return SignedIn(email, company, app, shown, {"cookies": cookies, "origins": []})


@pytest.fixture
def signed_in(fresh: Callable[..., BrowserContext], developer: SignedIn, gozar: str) -> Watched:
    """A watched page of the developer."""
    return watch(fresh(storage_state=developer.state).new_page(), gozar)
