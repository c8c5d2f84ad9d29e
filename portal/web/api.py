"""JSON routes: one way to make them, so that each documents its problems and takes JSON only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Router
from litestar.di import Provide
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.types import ASGIApp, Guard, Receive, Scope, Send

from portal.kernel.errors import Forbidden
from portal.web.csrf import SAFE, same_origin
from portal.web.dependencies import AnyRequest
from portal.web.openapi import BEARER
from portal.web.problems import Problem
from portal.web.shell import shell_of
from portal.web.throttle import throttled

MAX_BODY = 256 * 1024
TEXTS = {
    400: "The body is not JSON of the documented shape; `errors` names the fields.",
    401: "No or no valid bearer token or session cookie.",
    403: "Signed in, but not allowed to do this.",
    404: "Absent, or not yours.",
    409: "Not possible in the present state.",
    413: "The body is larger than the route allows (256 KiB, documents 10 MB).",
    415: "The body is not of the documented type.",
    422: "A value cannot be used; `errors` names the fields.",
    429: "Too many requests; `Retry-After` tells how long to wait.",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """OpenAPI responses for `statuses`, each a Problem."""
    return {
        status: ResponseSpec(
            data_container=Problem,
            description=TEXTS[status],
            media_type="application/problem+json",
            generate_examples=False,
        )
        for status in statuses
    }


class JsonOnly:
    """Refuses bodies that are not JSON, and unsafe requests that a browser sends from another site with our cookie."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["method"] not in SAFE:
            request: AnyRequest = AnyRequest(scope, receive)
            if not same_origin(request, shell_of(scope)):
                raise Forbidden("Cross-site requests are refused", fa="درخواست از سایت دیگر پذیرفته نیست")
            kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
            has_body = request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers
            # A route for a document says which kind of body it takes: `opt={"body": "application/pdf"}`.
            wanted = scope["route_handler"].opt.get("body", "application/json")
            if has_body and kind != wanted:
                raise HTTPException(status_code=415, detail=f"Content-Type must be {wanted}, not {kind or 'absent'}")
        await self.app(scope, receive, send)


def api(
    *handlers: Any,
    tag: str,
    guards: Sequence[Guard] = (),
    public: bool = False,
    dependencies: dict[str, Provide] | None = None,
) -> Router:
    """A router under /api/v1 whose operations carry `tag`; those that are not `public` document the bearer token."""
    for handler in handlers:
        # Whatever comes in a path, a query or a body may fail to fit; the answer is a Problem, not the framework's own shape.
        handler.responses = {**problems(400), **(handler.responses or {})}
    return Router(
        path="/api/v1",
        route_handlers=list(handlers),
        tags=[tag],
        guards=[throttled, *guards],
        middleware=[JsonOnly],
        security=[] if public else [{BEARER: []}],
        request_max_body_size=MAX_BODY,
        dependencies=dependencies,
    )
