"""Pages of the request log: the list with its filters, and one call with its explanation."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from litestar import Router, get
from litestar.params import FromPath
from litestar.response import Template

from portal.apps.pages import app_context
from portal.kernel.errors import Invalid
from portal.traffic import queries
from portal.traffic.curl import command
from portal.traffic.explanations import explain, policy_name
from portal.traffic.queries import VERDICTS, Filter
from portal.users.dependencies import AnyRequest, CurrentUser
from portal.users.guards import signed_in
from portal.web.dependencies import Db, ShellValues
from portal.web.navigation import NavItem
from portal.web.pages import page, pages

PAGE = 50

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}/requests", "سیاههٔ درخواست‌ها", "Request log", position=45, icon="list-checks"),
]


def read_filter(request: AnyRequest) -> Filter:
    """The filter of the address; what cannot be meant is left out, as if it had not been chosen."""
    asked = request.query_params
    environment, verdict, status = asked.get("environment", ""), asked.get("verdict", ""), asked.get("status", "")
    return Filter(
        environment if environment in ("sandbox", "production") else "",
        verdict if verdict in VERDICTS else "",
        int(status) if status.isascii() and status.isdigit() and len(status) == 3 else 0,
        "",
        asked.get("request_id", "").strip()[:64],
        asked.get("text", "").replace("\0", "").strip()[:100],
    )


@get("/apps/{app_id:str}/requests")
async def log_page(app_id: FromPath[str], request: AnyRequest, user: CurrentUser, session: Db) -> Template:
    """The App's calls, newest first."""
    context = await app_context(session, user_id=user.id, app_id=app_id)
    wanted = read_filter(request)
    try:
        found, following = await queries.calls(
            session, app_id, wanted, limit=PAGE, cursor=request.query_params.get("cursor", "")
        )
    except Invalid:
        found, following = await queries.calls(session, app_id, wanted, limit=PAGE)
    kept = {
        name: value
        for name, value in (
            ("environment", wanted.environment),
            ("verdict", wanted.verdict),
            ("status", wanted.status),
            ("request_id", wanted.request_id),
            ("text", wanted.text),
        )
        if value
    }
    path = f"/apps/{app_id}/requests"
    return page(
        "traffic/log.html",
        calls=found,
        wanted=wanted,
        filtered=bool(kept),
        next=f"{path}?{urlencode({**kept, 'cursor': following})}" if following else "",
        first=f"{path}?{urlencode(kept)}" if request.query_params.get("cursor") else "",
        **context,
    )


@get("/apps/{app_id:str}/requests/{call_id:str}")
async def call_page(
    app_id: FromPath[str], call_id: FromPath[str], user: CurrentUser, session: Db, shell: ShellValues
) -> Template:
    """One call: the verdict the client saw, where the time went, and in the sandbox what passed."""
    context = await app_context(session, user_id=user.id, app_id=app_id)
    record, body = await queries.call(session, app_id, call_id)
    return page(
        "traffic/call.html",
        call=record,
        body=body,
        curl=command(record, body, shell.public_url),
        why=explain(record.code, record.detail),
        violated=[policy_name(name) for name in record.violated.split(", ") if name],
        shadowed=[policy_name(name) for name in record.shadowed.split(", ") if name],
        **context,
    )


routes: Sequence[Router] = pages(log_page, call_page, guards=[signed_in])
