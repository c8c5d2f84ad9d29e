"""Where an App may call from, and limits on trial, over the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from portal.audit.models import AuditEntry
from portal.gateway.models import ShadowLimit
from portal.gateway.queries import reader
from portal.users.models import Role, User
from tests.factories.portal_app import Portal
from tests.factories.rooms import app_of, rooms, sandbox_of


@pytest.fixture
async def portal(migrated_portal: Path, tmp_path: Path) -> AsyncIterator[Portal]:
    async with rooms(migrated_portal, tmp_path) as made:
        yield made


async def test_an_owner_sets_where_calls_come_from_and_the_gateway_reads_it(portal: Portal) -> None:
    client = await portal.signed_in_script("owner@example.ir")
    app = await app_of(client)
    opened = await sandbox_of(client, app["id"])
    path = f"/api/v1/apps/{app['id']}/environments/sandbox/callers"
    assert (await client.get(path)).json() == {"networks": [], "certificates": []}
    thumbprint = "AB:" * 31 + "AB"
    asked = {"networks": ["203.0.113.7/24", "2001:db8::/32"], "certificates": [thumbprint]}
    told = await client.put(path, json=asked)
    assert told.status_code == 200, told.text
    assert told.json() == {"networks": ["203.0.113.0/24", "2001:db8::/32"], "certificates": ["ab" * 32]}
    access = await reader(portal.sessions)("sandbox", opened["environment"]["client_id"])
    assert access is not None
    assert access.networks == ("203.0.113.0/24", "2001:db8::/32")
    assert access.certificates == ("ab" * 32,)
    async with portal.sessions() as session:
        assert await session.scalar(select(AuditEntry.subject).where(AuditEntry.action == "callers.set")) == app["id"]
    stranger = await portal.signed_in_script("stranger@example.ir")
    assert (await stranger.get(path)).status_code == 404
    assert (await stranger.put(path, json={})).status_code == 404
    assert (await portal.script().get(path)).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"networks": ["everywhere"]}, "networks"),
        ({"networks": ["10.0.0.0/33"]}, "networks"),
        ({"certificates": ["abc"]}, "certificates"),
        ({"networks": ["10.0.0.0/8"] * 51}, "networks"),
    ],
)
async def test_rules_that_cannot_be_meant_are_refused_by_field(
    portal: Portal, body: dict[str, Any], field: str
) -> None:
    client = await portal.signed_in_script("owner@example.ir")
    app = await app_of(client)
    await sandbox_of(client, app["id"])
    answer = await client.put(f"/api/v1/apps/{app['id']}/environments/sandbox/callers", json=body)
    assert answer.status_code == 422
    assert field in answer.text


async def test_only_an_administrator_tries_limits(portal: Portal) -> None:
    client = await portal.signed_in_script("admin@example.ir")
    path, body = "/api/v1/plans/appointments-sandbox/trial", {"per_second": 3, "per_minute": 30}
    assert (await client.put(path, json=body)).status_code == 403
    async with portal.sessions.begin() as session:
        await session.execute(update(User).values(role=Role.ADMIN))
    assert (await client.put(path, json=body)).status_code == 200
    async with portal.sessions() as session:
        assert (await session.get_one(ShadowLimit, "appointments-sandbox")).per_second == 3
    assert (await client.put(path, json={"per_second": 0, "per_minute": 1})).status_code in (400, 422)
    assert (await client.put("/api/v1/plans/none/trial", json=body)).status_code == 404
    for _ in range(2):
        assert (await client.delete(path)).status_code == 204
