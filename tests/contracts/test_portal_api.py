"""The portal's JSON API keeps to its own OpenAPI document, whatever is sent to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.factories.portal_app import PASSWORD
from tests.factories.rooms import app_of, rooms, sandbox_of

CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
# These end the very session that the test speaks with.
SELF_ENDING = ("/api/v1/sessions/current", "/api/v1/me/password", "/api/v1/me/tokens/{token_id}")


@dataclass(frozen=True)
class Live:
    """A served portal: its address, a developer's token, and ids that exist."""

    base: str
    token: str
    ids: dict[str, str]


async def _prepare(base: str) -> tuple[str, dict[str, str]]:
    async with httpx.AsyncClient(base_url=base) as client:
        person = {"email": "dev@example.ir", "name": "Sara Ahmadi", "password": PASSWORD}
        assert (await client.post("/api/v1/users", json=person)).status_code == 202
        del person["name"]
        token: str = (await client.post("/api/v1/sessions", json=person)).json()["token"]
        client.headers["authorization"] = f"Bearer {token}"
        app = await app_of(client)
        opened = await sandbox_of(client, app["id"])
        ids = {
            "app_id": app["id"],
            "company_id": app["company_id"],
            "environment": "sandbox",
            "product_id": "appointments",
            "subscription_id": opened["subscriptions"][0]["id"],
        }
    return token, ids


@pytest.fixture(scope="module")
def live(migrated_portal: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """All rooms behind a real server in a thread of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    servers: list[uvicorn.Server] = []

    async def serve() -> None:
        async with rooms(migrated_portal, tmp_path_factory.mktemp("contract")) as portal:
            options = uvicorn.Config(portal.app, port=port, log_level="error", lifespan="off", ws="none")
            servers.append(uvicorn.Server(options))
            await servers[0].serve()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not (servers and servers[0].started):
        assert thread.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    base = f"http://127.0.0.1:{port}"
    token, ids = asyncio.run(_prepare(base))
    yield Live(base, token, ids)
    servers[0].should_exit = True
    thread.join(20)


def test_no_operation_breaks_its_contract(live: Live) -> None:
    schema = schemathesis.openapi.from_url(f"{live.base}/schema/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in SELF_ENDING:
            continue
        tried += 1

        @given(case=operation.as_strategy())
        @settings(
            max_examples=5,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def attack(case: schemathesis.Case) -> None:
            # Half of the time with ids that exist, so that calls get past the door.
            if case.path_parameters and len(str(case.path_parameters)) % 2:
                case.path_parameters.update({k: v for k, v in live.ids.items() if k in case.path_parameters})
            case.call_and_validate(checks=CHECKS, headers={"authorization": f"Bearer {live.token}"})

        attack()
    assert tried > 40, "the document lists the operations of every room"
