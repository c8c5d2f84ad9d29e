"""The twin of the controls: keeps what it is told and simulates nothing. For tests of rooms that need no exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from portal.kernel.errors import NotFound
from portal.tenants.controls import Part, Verb

COUNTERPARTS = ("clinic", "doctor", "specialist", "laboratory", "pharmacy", "insurer", "citizen")


class NoControls:
    """Every Tenant shares one state."""

    def __init__(self) -> None:
        self.done: list[tuple[str, Verb, Mapping[str, Any]]] = []
        self._offset = 0
        self._snapshots: list[dict[str, Any]] = []
        self._faults: list[Any] = []
        self._scripts: dict[str, Any] = {name: {"mode": "accept", "after": 0, "options": {}} for name in COUNTERPARTS}

    async def read(self, tenant: str, part: Part, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        clock = {"now": "2026-11-22T09:00:00.000Z", "offset_seconds": self._offset}
        found: dict[Part, dict[str, Any]] = {
            "": {"tenant": tenant, "base": "default", "resources": 0, "max_resources": 50_000, **clock},
            "clock": clock,
            "faults": {"faults": self._faults},
            "counterparts": {"counterparts": self._scripts},
            "snapshots": {"snapshots": self._snapshots},
            "bases": {"bases": [{"name": "default", "title": "no people"}]},
            "timeline": {"events": [], "next": None},
            "deliveries": {"deliveries": [], "topics": {}},
        }
        return found[part]

    async def change(self, tenant: str, verb: Verb, body: Mapping[str, Any]) -> dict[str, Any]:
        self.done.append((tenant, verb, body))
        match verb:
            case "snapshots":
                made = {"snapshot": f"snap-{len(self._snapshots) + 1}", "name": body.get("name", "")}
                self._snapshots.append(made)
                return made
            case "restore" if body["snapshot"] not in [kept["snapshot"] for kept in self._snapshots]:
                raise NotFound
            case "clock":
                self._offset += int(body.get("advance_seconds", 0))
                return {**await self.read(tenant, "clock"), "timers": 0}
            case "faults":
                self._faults = list(body["faults"])
                return {"faults": self._faults}
            case "counterparts":
                self._scripts |= body["counterparts"]
                return {"counterparts": self._scripts}
        return await self.read(tenant, "")

    async def drop_snapshot(self, tenant: str, snapshot: str) -> None:
        self._snapshots = [kept for kept in self._snapshots if kept["snapshot"] != snapshot]
