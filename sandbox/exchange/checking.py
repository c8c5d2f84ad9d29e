"""What a resource must pass before it is stored, by the Tenant's mode."""

from __future__ import annotations

from typing import Any

from sandbox.exchange.calls import Call


async def check(call: Call, resource: dict[str, Any]) -> None:
    """Refuse what breaks the rules that the Tenant enforces."""
