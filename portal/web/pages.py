"""HTML routes: Persian at `/...`, English at `/en/...`, the same handlers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Request, Response, Router
from litestar.datastructures import State
from litestar.response import Redirect, Template
from litestar.types import ASGIApp, Guard, Receive, Scope, Send

from portal.web.csrf import CsrfMiddleware
from portal.web.headers import request_id
from portal.web.i18n import Language, language, url
from portal.web.problems import Problem, as_json
from portal.web.throttle import throttled
from portal.web.visit import Visit, visit

AnyRequest = Request[object, object, State]
MAX_BODY = 256 * 1024


def split_language(path: str) -> tuple[Language, str]:
    """Language of a path, and the path without it."""
    if path == "/en" or path.startswith("/en/"):
        return "en", path[3:] or "/"
    return "fa", path


def begin_visit(scope: Scope) -> Visit:
    """Set language and Visit of this request for templates, from what middleware has left in the scope."""
    chosen, path = split_language(scope["path"])
    language.set(chosen)
    state = scope["state"]
    query = scope.get("query_string", b"").decode("latin-1")
    made = Visit(
        path=path,
        query=f"?{query}" if query else "",
        csrf_token=state.get("csrf_token", ""),
        request_id=request_id(scope),
        account=state.get("user"),
        notices=state.get("notices", []),
    )
    visit.set(made)
    return made


class VisitMiddleware:
    """Begins the Visit; the context variables live in the request's own task."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begin_visit(scope)
        await self.app(scope, receive, send)


def pages(*handlers: Any, guards: Sequence[Guard] = ()) -> Sequence[Router]:
    """Two routers over the same handlers, one for each language."""
    return [
        Router(
            path=prefix,
            route_handlers=list(handlers),
            guards=[throttled, *guards],
            middleware=[CsrfMiddleware, VisitMiddleware],
            include_in_schema=False,
            request_max_body_size=MAX_BODY,
        )
        for prefix in ("/", "/en")
    ]


def page(name: str, /, status: int = 200, **context: Any) -> Template:
    """The template `room/file.html` with `context`."""
    return Template(template_name=name, context=context, status_code=status, media_type="text/html")


def see(path: str) -> Redirect:
    """303 to `path` in the language of this request: what follows a form that was taken."""
    return Redirect(url(path), status_code=303)


def problem_page(request: AnyRequest, problem: Problem, headers: dict[str, str]) -> Response[bytes]:
    """An error as a page; somebody who is not signed in is sent to sign in and brought back after."""
    made = begin_visit(request.scope)
    if problem.status == 401 and request.method == "GET":
        return Response(b"", status_code=303, headers={"Location": url(f"/sign-in?next={made.path}")})
    if problem.status == 401:
        return Response(b"", status_code=303, headers={"Location": url("/sign-in")})
    engine = request.app.template_engine
    if engine is None:
        return as_json(request, problem, headers)
    body = engine.get_template("web/problem.html").render(problem=problem, request=request)
    return Response(body.encode(), status_code=problem.status, media_type="text/html", headers=headers)
