"""JSON routes of the request log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from litestar import Router, get
from litestar.params import FromPath, FromQuery, QueryParameter

from portal.apps.guards import app_for
from portal.traffic import queries
from portal.traffic.curl import command
from portal.traffic.queries import Filter
from portal.traffic.schemas import CallDetail, CallInfo, CallPage
from portal.users.dependencies import CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, ShellValues

Limit = Annotated[int, QueryParameter(ge=1, le=200, description="calls in a page")]
Status = Annotated[int, QueryParameter(ge=0, le=599, description="one status, or 0 for all")]
Text = Annotated[str, QueryParameter(max_length=200)]


@get("/apps/{app_id:str}/requests", responses=problems(401, 404, 422))
async def list_calls(
    app_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    environment: FromQuery[Literal["", "sandbox", "production"]] = "",
    verdict: FromQuery[Literal["", "admitted", "limited", "refused", "failed"]] = "",
    status: Status = 0,
    interaction: Text = "",
    request_id: Text = "",
    text: Text = "",
    limit: Limit = 50,
    cursor: Text = "",
) -> CallPage:
    """The App's calls, newest first, about a second behind."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id)
    wanted = Filter(environment, verdict, status, interaction, request_id, text.replace("\0", ""))
    found, following = await queries.calls(session, app.id, wanted, limit=limit, cursor=cursor)
    return CallPage([CallInfo.of(record) for record in found], following)


@get("/apps/{app_id:str}/requests/{call_id:str}", responses=problems(401, 404))
async def read_call(
    app_id: FromPath[str], call_id: FromPath[str], user: CurrentUser, session: Db, shell: ShellValues
) -> CallDetail:
    """One call: verdict, timing, and in the sandbox what passed."""
    app, _, _ = await app_for(session, user_id=user.id, app_id=app_id)
    record, body = await queries.call(session, app.id, call_id)
    return CallDetail.of(record, body, command(record, body, shell.public_url))


routes: Sequence[Router] = [api(list_calls, read_call, tag="Request log")]
