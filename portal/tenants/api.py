"""JSON routes of the Tenant controls, below /api/v1/apps/{app}/sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Router, delete, get, patch, post, put
from litestar.params import FromPath, JSONBody, QueryParameter

from portal.tenants.controls import ControlsPort
from portal.tenants.dependencies import desk_of, sibling, tenant_of
from portal.tenants.schemas import (
    BaseInfo,
    ClockInfo,
    ClockMove,
    Deliveries,
    FaultPlan,
    FaultPlans,
    Fork,
    NewSnapshot,
    Reset,
    Restore,
    Scripts,
    SnapshotInfo,
    Timeline,
)
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now

SANDBOX = "/apps/{app_id:str}/sandbox"
Short = Annotated[str, QueryParameter(max_length=200)]
Number = Annotated[int, QueryParameter(ge=0, description="`next` of the page before; 0 for the newest")]


@post(f"{SANDBOX}/reset", status_code=204, responses=problems(400, 401, 403, 404, 409, 415, 422))
async def reset_data(
    app_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    now: Now,
    controls: ControlsPort,
    data: JSONBody[Reset | None] = None,
) -> None:
    """Throw away everything written in the App's Tenant and set its clock back; `base` chooses another population."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    await desk.reset(base=data.base if data else "")


@get(f"{SANDBOX}/bases", responses=problems(401, 403, 404, 409))
async def list_bases(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> list[BaseInfo]:
    """Populations that the Tenant can be reset to."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    found = await controls.read(tenant, "bases")
    return [BaseInfo(row["name"], row["title"]) for row in found["bases"]]


@get(f"{SANDBOX}/snapshots", responses=problems(401, 403, 404, 409))
async def list_snapshots(
    app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort
) -> list[SnapshotInfo]:
    """Kept states of the App's Tenant, oldest first."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    found = await controls.read(tenant, "snapshots")
    return [msgspec.convert(row, SnapshotInfo) for row in found["snapshots"]]


@post(f"{SANDBOX}/snapshots", responses=problems(400, 401, 403, 404, 409, 415))
async def take_snapshot(
    app_id: FromPath[str], data: JSONBody[NewSnapshot], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> SnapshotInfo:
    """Keep the present state of the App's Tenant."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    return msgspec.convert(await desk.take_snapshot(name=data.name), SnapshotInfo)


@delete(f"{SANDBOX}/snapshots/{{snapshot:str}}", responses=problems(401, 403, 404, 409))
async def drop_snapshot(
    app_id: FromPath[str], snapshot: FromPath[str], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> None:
    """Forget a snapshot."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    await desk.drop_snapshot(snapshot=snapshot)


@post(f"{SANDBOX}/restore", status_code=204, responses=problems(400, 401, 403, 404, 409, 415))
async def restore(
    app_id: FromPath[str], data: JSONBody[Restore], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> None:
    """Bring the App's Tenant back to a snapshot: its data, its timers and its clock."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    await desk.restore(snapshot=data.snapshot)


@post(f"{SANDBOX}/fork", status_code=204, responses=problems(400, 401, 403, 404, 409, 415, 422))
async def fork(
    app_id: FromPath[str], data: JSONBody[Fork], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> None:
    """Replace the sandbox data of another App of the same Company with a copy of this App's."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    await desk.fork(await sibling(session, user_id=user.id, app_id=app_id, into=data.into))


@get(f"{SANDBOX}/clock", responses=problems(401, 403, 404, 409))
async def read_clock(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> ClockInfo:
    """The time in the App's Tenant."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    return msgspec.convert(await controls.read(tenant, "clock"), ClockInfo)


@post(f"{SANDBOX}/clock", status_code=200, responses=problems(400, 401, 403, 404, 409, 415, 422))
async def move_clock(
    app_id: FromPath[str], data: JSONBody[ClockMove], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> ClockInfo:
    """Move the Tenant's clock; what falls due on the way runs at its own time."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    move = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not None}
    return msgspec.convert(await desk.move_clock(move), ClockInfo)


@get(f"{SANDBOX}/faults", responses=problems(401, 403, 404, 409))
async def read_faults(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> FaultPlans:
    """Fault plans with what is left of them."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    return _plans(await controls.read(tenant, "faults"))


@put(f"{SANDBOX}/faults", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def set_faults(
    app_id: FromPath[str], data: JSONBody[FaultPlans], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> FaultPlans:
    """Replace all fault plans; an empty list ends them."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    plans = [{name: value for name, value in msgspec.to_builtins(plan).items() if value != ""} for plan in data.faults]
    return _plans(await desk.set_faults(plans))


def _plans(said: dict[str, Any]) -> FaultPlans:
    return FaultPlans([msgspec.convert(plan, FaultPlan) for plan in said["faults"]])


@get(f"{SANDBOX}/counterparts", responses=problems(401, 403, 404, 409))
async def read_scripts(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> Scripts:
    """How each Counterpart answers."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    return msgspec.convert(await controls.read(tenant, "counterparts"), Scripts)


@patch(f"{SANDBOX}/counterparts", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def set_scripts(
    app_id: FromPath[str], data: JSONBody[Scripts], user: CurrentUser, session: Db, now: Now, controls: ControlsPort
) -> Scripts:
    """Change the scripts of the Counterparts named; the others stay."""
    desk = await desk_of(session, user_id=user.id, app_id=app_id, controls=controls, now=now)
    chosen = {name: msgspec.structs.asdict(script) for name, script in data.counterparts.items()}
    return msgspec.convert(await desk.set_scripts(chosen), Scripts)


@get(f"{SANDBOX}/timeline", responses=problems(401, 403, 404, 409, 422))
async def read_timeline(
    app_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    controls: ControlsPort,
    topic: Short = "",
    actor: Short = "",
    subject: Short = "",
    before: Number = 0,
) -> Timeline:
    """What happened in the Tenant, newest first: by topic (or its beginning), actor, and subject (Type or Type/id)."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    asked = {"topic": topic, "actor": actor, "subject": subject, "before": str(before or "")}
    return msgspec.convert(await controls.read(tenant, "timeline", asked), Timeline)


@get(f"{SANDBOX}/deliveries", responses=problems(401, 403, 404, 409))
async def read_deliveries(app_id: FromPath[str], user: CurrentUser, session: Db, controls: ControlsPort) -> Deliveries:
    """Notifications of the Tenant's Subscriptions, newest first, with every attempt."""
    tenant = await tenant_of(session, user_id=user.id, app_id=app_id)
    return msgspec.convert(await controls.read(tenant, "deliveries"), Deliveries)


routes: Sequence[Router] = [
    api(
        reset_data,
        list_bases,
        list_snapshots,
        take_snapshot,
        drop_snapshot,
        restore,
        fork,
        read_clock,
        move_clock,
        read_faults,
        set_faults,
        read_scripts,
        set_scripts,
        read_timeline,
        read_deliveries,
        tag="Sandbox",
    )
]
