"""Calls as the gateway's meter would write them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from portal.kernel.database import SessionMaker, transaction
from portal.traffic import service as traffic
from portal.traffic.entries import Entry
from portal.traffic.service import Bodies, instant

MICROSECOND = timedelta(microseconds=1)


def entry(call_id: str, at: datetime, *, app_id: str, client_id: str, **changes: Any) -> Entry:
    """One admitted read in the sandbox; `changes` replace fields."""
    values: dict[str, Any] = {
        "id": call_id,
        "request_id": f"r-{call_id}",
        "at_us": (at - instant(0)) // MICROSECOND,
        "environment": "sandbox",
        "company_id": "co",
        "app_id": app_id,
        "client_id": client_id,
        "product_id": "appointments",
        "subscription_id": "sub",
        "method": "GET",
        "template": "/Slot/{id}",
        "interaction": "read",
        "target": "/sandbox/fhir/R4/Slot/s1?_format=json",
        "status": 200,
        "code": "admitted",
        "detail": "",
        "violated": "",
        "shadowed": "",
        "limits": '"burst";r=1;t=1',
        "gateway_us": 90,
        "upstream_us": 2100,
        "duration_us": 2500,
        "bytes_in": 0,
        "bytes_out": 300,
        "charged": True,
        **changes,
    }
    return Entry(**values)


async def logged(maker: SessionMaker, *entries: Entry, bodies: dict[str, Bodies] | None = None) -> None:
    """Write entries into the request log, and bodies by call id."""
    async with transaction(maker) as session:
        kept = [(one.id, one.at_us, bodies[one.id]) for one in entries if bodies and one.id in bodies]
        await traffic.write(session, entries, kept)
