"""Companies for tests: valid national IDs out of a counter, and the path to a registered Company."""

from __future__ import annotations

from typing import Any

import httpx

from portal.companies.national_id import check_digit


def national_id(number: int = 1) -> str:
    """A valid national ID, different for each `number`."""
    first = f"140{number:06d}1"
    return first + str(check_digit(first))


async def registered(client: httpx.AsyncClient, *, number: int = 1, name: str = "Salamat Yar") -> dict[str, Any]:
    """Register a Company through the API; returns what it answers."""
    answer = await client.post("/api/v1/companies", json={"name": name, "national_id": national_id(number)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made
