"""Cross-site request forgery: an Origin check plus a token bound to the browser's session.

The token is HMAC(key, visitor cookie, session cookie): it changes at sign-in and sign-out, and no page of another
session yields one that fits. It travels in the form field `csrf_token` or, for htmx, in the header `X-CSRF-Token`.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from urllib.parse import urlsplit

from litestar import Request
from litestar.datastructures import FormMultiDict, MutableScopeHeaders, State
from litestar.enums import ScopeType
from litestar.exceptions import ClientException
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from portal.kernel.errors import Forbidden
from portal.web.shell import Shell, shell_of

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD, HEADER = "csrf_token", "X-CSRF-Token"
VISITOR = re.compile(r"[A-Za-z0-9_-]{22,64}")


class CrossSite(Forbidden):
    code = "cross-site-request"
    title = "The form had expired or came from another site; go back, reload the page and send it again"
    title_fa = (
        "اعتبار این فرم به پایان رسیده یا از سایت دیگری فرستاده شده است؛ بازگردید، صفحه را تازه کنید و دوباره بفرستید"
    )


def cookie_name(shell: Shell, name: str) -> str:
    """`__Host-` binds a cookie to this very host, and needs https."""
    return f"__Host-{name}" if shell.secure else name


def token_for(shell: Shell, *, visitor: str, session: str) -> str:
    """The CSRF token of a browser, hex."""
    return hmac.new(shell.keyring.derive("csrf"), f"{visitor}|{session}".encode(), hashlib.sha256).hexdigest()


def same_origin(request: Request[object, object, State], shell: Shell) -> bool:
    """Whether the browser says that the request comes from our own pages; a caller that says nothing is no browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    host = request.headers.get("host", "")
    return origin == shell.public_url or urlsplit(origin).netloc == host


async def read(request: Request[object, object, State]) -> FormMultiDict:
    """The form of a request; one that is no text is a 400, not a failure of ours."""
    try:
        return await request.form()
    except UnicodeDecodeError as error:
        raise ClientException("The form is not UTF-8 text") from error


class CsrfMiddleware:
    """Guards the pages; puts `csrf_token` in the request state for forms to carry."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self.app(scope, receive, send)
            return
        shell = shell_of(scope)
        request: Request[object, object, State] = Request(scope, receive)
        name = cookie_name(shell, "gozar_visitor")
        visitor = request.cookies.get(name, "")
        known = VISITOR.fullmatch(visitor) is not None
        if not known:
            visitor = secrets.token_urlsafe(24)
        session = request.cookies.get(cookie_name(shell, "gozar_session"), "")
        expected = token_for(shell, visitor=visitor, session=session)
        if request.method not in SAFE:
            given = request.headers.get(HEADER) or str((await read(request)).get(FIELD, ""))
            matches = hmac.compare_digest(given.encode(), expected.encode())
            if not (known and matches and same_origin(request, shell)):
                raise CrossSite
        scope["state"]["csrf_token"] = expected
        await self.app(scope, receive, send if known else _with_cookie(send, name, visitor, secure=shell.secure))


def _with_cookie(send: Send, name: str, value: str, *, secure: bool) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{name}={value}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
            MutableScopeHeaders.from_message(message).add("set-cookie", cookie)
        await send(message)

    return wrapped
