"""The public status page tells which part works, to people and to scripts."""

from __future__ import annotations

from pathlib import Path

import httpx
from litestar import Litestar

from portal.dashboard import status
from tests.factories.portal_app import Portal, portal_app


async def works() -> None:
    """A part that answers."""


async def fails() -> None:
    raise RuntimeError("secret reason")


async def test_a_failing_part_is_named_but_not_its_reason(migrated_portal: Path, tmp_path: Path) -> None:
    checks = {"database": works, "sandbox": works, "production": fails}
    async with portal_app(migrated_portal, tmp_path, [*status.routes(checks)]) as portal:
        await check_page(portal)
        async with portal.script() as client:
            answer = await client.get("/status")
    body = answer.json()
    assert body["status"] == "failing"
    assert body["parts"] == {"database": "ok", "sandbox": "ok", "production": "failing"}
    assert "secret reason" not in answer.text


async def check_page(portal: Portal) -> None:
    async with portal.browser() as browser:
        persian, english = await browser.get("/status"), await browser.get("/en/status")
    assert "پاسخ نمی‌دهد" in persian.text
    assert "Not answering" in english.text
    assert "secret reason" not in persian.text + english.text


async def test_an_unknown_api_path_is_a_problem_not_a_page(seeded_installation: Path) -> None:
    from portal.app import create_app
    from tests.factories.installation import settings

    app: Litestar = create_app(settings(seeded_installation)).litestar
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gozar.test") as client:
        answer = await client.get("/api/v1/nothing")
        document = await client.get("/api/v1/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert document.json()["openapi"].startswith("3.1")
