"""What a readiness check learns from the exchange."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.factories import exchange


@pytest.mark.asyncio
async def test_the_exchange_is_not_healthy_without_its_database(tmp_path: Path) -> None:
    world = await exchange.start(f"sqlite+aiosqlite:///{tmp_path / 'exchange.sqlite3'}")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(world.app), base_url="http://exchange") as client:
        assert (await client.get("/healthz")).status_code == 200
        await world.app.store.database.close()
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (503, "database")
    await world.app.stop()
