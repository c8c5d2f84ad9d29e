"""The documentation is served whole, safely, and with a policy that names its own scripts."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from portal.web.documentation import Documentation

SCRIPT = "console.log('شروع')"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    folder = tmp_path / "docs"
    (folder / "guide").mkdir(parents=True)
    (folder / "index.html").write_text(f"<html><script>{SCRIPT}</script></html>", encoding="utf-8")
    (folder / "guide" / "index.html").write_text("<html>guide</html>", encoding="utf-8")
    (folder / "404.html").write_text("<html>lost</html>", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("secret", encoding="utf-8")
    app = Litestar([Documentation(folder).route()])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://gozar.test") as made:
        yield made


async def test_a_page_allows_its_own_inline_scripts_and_no_others(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/")
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "script-src 'self' 'unsafe-inline'" not in policy


async def test_a_folder_without_its_slash_is_sent_there(client: httpx.AsyncClient) -> None:
    answer = await client.get("/docs/guide")
    assert (answer.status_code, answer.headers["location"]) == (308, "/docs/guide/")
    assert (await client.get("/docs/guide/")).text == "<html>guide</html>"


async def test_an_unchanged_page_is_not_sent_twice(client: httpx.AsyncClient) -> None:
    first = await client.get("/docs/")
    again = await client.get("/docs/", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/docs/../secret.txt", "/docs/%2e%2e/secret.txt", "/docs/guide/../../secret.txt", "/docs/none"]
)
async def test_nothing_outside_the_folder_is_ever_read(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


async def test_writing_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/docs/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
