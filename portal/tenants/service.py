"""Verbs on an App's Tenant; each leaves an audit entry. All may raise what the port raises: NotFound, Invalid, TenantsUnavailable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.models import App, AppEnvironment
from portal.audit import service as audit
from portal.kernel.errors import Invalid
from portal.kernel.text import fold
from portal.tenants.controls import Controls


class Desk:
    """The controls of one App's Tenant in one request: who acts, when, on what."""

    def __init__(
        self, session: AsyncSession, app: App, place: AppEnvironment, *, controls: Controls, by: str, now: datetime
    ) -> None:
        self._session, self._app, self.place = session, app, place
        self._controls, self._by, self._now = controls, by, now

    @property
    def tenant(self) -> str:
        return self.place.tenant

    @property
    def company_id(self) -> str:
        return self._app.company_id

    async def reset(self, *, base: str = "") -> dict[str, Any]:
        """Throw away everything written in the Tenant; `base` chooses another population."""
        made = await self._controls.change(self.tenant, "reset", {"base": base} if base else {})
        await self._note("tenant.reset", {"base": made.get("base", base)})
        return made

    async def take_snapshot(self, *, name: str) -> dict[str, Any]:
        """Keep the present state; answers with the snapshot's id."""
        made = await self._controls.change(self.tenant, "snapshots", {"name": fold(name)[:80]})
        await self._note("tenant.snapshot-taken", {"snapshot": made["snapshot"]})
        return made

    async def restore(self, *, snapshot: str) -> dict[str, Any]:
        """Bring the Tenant back to a snapshot of its own."""
        made = await self._controls.change(self.tenant, "restore", {"snapshot": snapshot})
        await self._note("tenant.restored", {"snapshot": snapshot})
        return made

    async def drop_snapshot(self, *, snapshot: str) -> None:
        """Forget a snapshot."""
        await self._controls.drop_snapshot(self.tenant, snapshot)
        await self._note("tenant.snapshot-dropped", {"snapshot": snapshot})

    async def move_clock(self, move: Mapping[str, Any]) -> dict[str, Any]:
        """`advance_seconds`, `to` or `offset_seconds`: exactly one of them."""
        if len(move) != 1:
            raise Invalid(
                "Give one of advance_seconds, to and offset_seconds",
                fa="یکی از advance_seconds و to و offset_seconds را بدهید",
                field="advance_seconds",
            )
        made = await self._controls.change(self.tenant, "clock", move)
        await self._note("tenant.clock-moved", {**move, "now": made["now"]})
        return made

    async def set_faults(self, plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Replace all fault plans; none ends them."""
        made = await self._controls.change(self.tenant, "faults", {"faults": [dict(plan) for plan in plans]})
        await self._note("tenant.faults-set", {"faults": [plan["kind"] for plan in made["faults"]]})
        return made

    async def set_scripts(self, scripts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Change the scripts of the Counterparts named; the others stay."""
        body = {"counterparts": {name: dict(script) for name, script in scripts.items()}}
        made = await self._controls.change(self.tenant, "counterparts", body)
        chosen = {name: made["counterparts"][name]["mode"] for name in scripts}
        await self._note("tenant.counterparts-set", {"counterparts": chosen})
        return made

    async def fork(self, into: AppEnvironment) -> dict[str, Any]:
        """Replace the data of another App's Tenant with a copy of this one. The caller has seen that both are theirs."""
        if into.tenant == self.tenant:
            raise Invalid("Choose another app", fa="برنامهٔ دیگری را برگزینید", field="into")
        made = await self._controls.change(self.tenant, "fork", {"tenant": into.tenant, "replace": True})
        await self._note("tenant.forked", {"into": into.tenant})
        return made

    async def _note(self, action: str, details: dict[str, Any]) -> None:
        await audit.record(
            self._session,
            now=self._now,
            actor=self._by,
            action=action,
            subject=self._app.id,
            company_id=self._app.company_id,
            details={"tenant": self.tenant, **details},
        )
