"""PostgreSQL goes away under a running exchange and comes back."""

from __future__ import annotations

import pytest

from tests.factories import exchange, postgres
from tests.factories.exchange import patient

pytestmark = pytest.mark.skipif(postgres.binaries() is None, reason="PostgreSQL is not installed")


async def test_an_outage_is_answered_503_and_ends_by_itself() -> None:
    with postgres.own_server(durable=True) as server:
        world = await exchange.start(server.url)
        async with world.client() as client:
            written = await client.post("Patient", json=patient("x"))
            assert written.status_code == 201
            fid = written.headers["location"].split("/")[-3]
            server.stop()
            for _ in range(3):
                answers = [
                    await client.get(f"Patient/{fid}"),
                    await client.get("Patient?family=احمدی"),
                    await client.post("Patient", json=patient("y")),
                    await client.put("Patient/p1", json=patient("p1")),
                ]
                assert [a.status_code for a in answers] == [503] * 4
                assert all(a.json()["resourceType"] == "OperationOutcome" for a in answers)
                assert all(a.headers["retry-after"] for a in answers)
            server.start()
            again = await client.get(f"Patient/{fid}")
            assert again.status_code == 200
            assert again.json()["meta"]["versionId"] == "1"
            assert (await client.post("Patient", json=patient("y"))).status_code == 201
            assert (await client.put("Patient/p1", json=patient("p1"))).status_code == 200
        await world.app.stop()
