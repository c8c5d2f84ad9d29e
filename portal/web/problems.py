"""The one place that knows how errors become HTTP: RFC 9457 problem+json for the API, a page for people.

Paths with a protocol of their own (FHIR, OAuth) bring their own shape through `ProblemShapes`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import structlog
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException, ValidationException
from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from portal.kernel.errors import Conflict, DomainError, Forbidden, Invalid, NotFound, Unauthenticated
from portal.web.headers import request_id
from portal.web.i18n import t
from portal.web.throttle import TooManyRequests

log = structlog.get_logger("gozar.web")
AnyRequest = Request[object, object, State]
PROBLEM_TYPE = "application/problem+json"


class FieldProblem(msgspec.Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str
    message_fa: str = ""


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9457 problem details; `type` is the page that explains the code, `request_id` what support will ask for."""

    type: str
    title: str
    status: int
    detail: str = ""
    title_fa: str = ""
    detail_fa: str = ""
    instance: str = ""
    request_id: str = ""
    errors: list[FieldProblem] = []


Renderer = Callable[[AnyRequest, Problem, dict[str, str]], Response[bytes]]
ProblemShapes = Sequence[tuple[str, Renderer]]

STATUS: tuple[tuple[type[DomainError], int], ...] = (
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Invalid, 422),
    (TooManyRequests, 429),
)
PLAIN = {
    400: ("bad-request", "The request could not be understood", "درخواست خوانا نیست"),
    401: ("unauthenticated", Unauthenticated.title, Unauthenticated.title_fa),
    403: ("forbidden", Forbidden.title, Forbidden.title_fa),
    404: ("not-found", "There is no such page", "چنین صفحه‌ای نیست"),
    405: ("method-not-allowed", "This address does not take this method", "این نشانی چنین روشی را نمی‌پذیرد"),
    409: ("conflict", Conflict.title, Conflict.title_fa),
    413: ("too-large", "The request body is too large", "حجم درخواست بیش از اندازه است"),
    415: ("unsupported-media-type", "Send the body as application/json", "بدنهٔ درخواست باید JSON باشد"),
    429: ("too-many-requests", TooManyRequests.title, TooManyRequests.title_fa),
    500: ("internal", "Something broke on our side", "خطایی در سامانه رخ داد"),
    503: ("unavailable", "Not available now; try again shortly", "اکنون در دسترس نیست؛ کمی بعد دوباره بکوشید"),
}


def status_of(error: DomainError) -> int:
    """HTTP status of a business error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400)


def from_domain(error: DomainError) -> Problem:
    """Problem of a business error."""
    errors = [FieldProblem(e.field, e.message, e.message_fa) for e in error.all] if isinstance(error, Invalid) else []
    return Problem(
        type=error.code,
        title=error.title,
        title_fa=error.title_fa,
        status=status_of(error),
        detail=error.message,
        detail_fa=error.message_fa,
        errors=errors,
    )


def from_http(error: HTTPException) -> Problem:
    """Problem of an error of the web framework; a body that does not fit its schema is a 400 that names the fields."""
    status = error.status_code if error.status_code in PLAIN else (400 if error.status_code < 500 else 500)
    code, title, title_fa = PLAIN[status]
    errors = []
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        errors = [
            FieldProblem(str(item.get("key", "")), str(item.get("message", "")))
            for item in error.extra
            if isinstance(item, dict)
        ]
    detail = error.detail if 400 <= status < 500 and status not in (401, 404) else ""
    return Problem(type=code, title=title, title_fa=title_fa, status=error.status_code, detail=detail, errors=errors)


def _plain(status: int) -> Problem:
    code, title, title_fa = PLAIN[status]
    return Problem(type=code, title=title, title_fa=title_fa, status=status)


def to_problem(error: Exception) -> tuple[Problem, dict[str, str]]:
    """Problem and extra headers of any exception; what nobody foresaw is a 500 that tells nothing."""
    if isinstance(error, TooManyRequests):
        return from_domain(error), {"Retry-After": str(error.retry_after)}
    if isinstance(error, DomainError):
        return from_domain(error), {}
    if isinstance(error, HTTPException):
        return from_http(error), dict(error.headers or {})
    if isinstance(error, IntegrityError):
        # Two requests raced for one unique value and this one lost; what it would have said had it come second is a conflict.
        return from_domain(Conflict("Somebody else changed this at the same moment; try again")), {}
    if isinstance(error, DataError):
        # Such as a NUL in a text, which PostgreSQL does not store.
        return _plain(400), {}
    if isinstance(error, OperationalError):
        # The database is busy or gone; the transaction is rolled back and may be tried again.
        return _plain(503), {"Retry-After": "1"}
    return _plain(500), {}


def wants_json(request: AnyRequest) -> bool:
    """Whether the answer is for a program: an API path, or a caller that does not ask for HTML."""
    if request.scope["path"].startswith("/api/"):
        return True
    accept = request.headers.get("accept", "*/*")
    return "text/html" not in accept and ("json" in accept or accept == "*/*")


def as_json(request: AnyRequest, problem: Problem, headers: dict[str, str]) -> Response[bytes]:
    """`application/problem+json`."""
    base = request.app.state["shell"].public_url
    whole = msgspec.structs.replace(
        problem,
        type=f"{base}/docs/en/reference/errors/#{problem.type}",
        instance=request.scope["path"],
        request_id=request_id(request.scope),
    )
    if problem.status == 401:
        headers = {**headers, "WWW-Authenticate": 'Bearer realm="gozar"'}
    return Response(msgspec.json.encode(whole), status_code=problem.status, media_type=PROBLEM_TYPE, headers=headers)


class ProblemMapper:
    """Exception handler of the whole application."""

    def __init__(self, page: Renderer, shapes: ProblemShapes = ()) -> None:
        self._page = page
        self._shapes = shapes

    def __call__(self, request: AnyRequest, error: Exception) -> Response[bytes]:
        problem, headers = to_problem(error)
        if problem.status >= 500:
            log.exception(
                "request failed", path=request.scope["path"], request_id=request_id(request.scope), exc_info=error
            )
        for prefix, render in self._shapes:
            if request.scope["path"].startswith(prefix):
                return render(request, problem, headers)
        return (as_json if wants_json(request) else self._page)(request, problem, headers)


def headline(problem: Problem) -> str:
    """What went wrong, in the language of the page."""
    return t(problem.title_fa or problem.title, problem.title)


def explanation(problem: Problem) -> str:
    """More about it, or empty when the headline says all."""
    text = t(problem.detail_fa, problem.detail)
    return "" if text == headline(problem) else text
