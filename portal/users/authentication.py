"""Who is calling: middleware that turns the session cookie or a personal token into a User, and the cookie itself.

Calls with neither (the gateway's own bearer tokens are JWTs) cost one look at their headers and no database.
"""

from __future__ import annotations

from datetime import timedelta

from litestar import Request
from litestar.datastructures import Cookie, State
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from portal.kernel.database import transaction
from portal.kernel.errors import Unauthenticated
from portal.users.queries import find_personal_token
from portal.users.sign_ins import SEEN_EVERY, find_sign_in, read_notices
from portal.users.tokens import PERSONAL
from portal.web.csrf import cookie_name
from portal.web.shell import Shell, shell_of

SESSION = "gozar_session"
LAST_USED_EVERY = timedelta(minutes=1)
# Nothing under these depends on who asks.
PUBLIC = ("/static/", "/docs/", "/healthz", "/readyz", "/metrics")


class InvalidToken(Unauthenticated):
    code = "invalid-token"
    title = "The personal token is unknown, expired or revoked"
    title_fa = "توکن شخصی ناشناخته، منقضی یا باطل است"


def session_cookie(shell: Shell, token: str) -> Cookie:
    """The cookie of a new session; without an age, so that it ends with the browser at the latest."""
    name = cookie_name(shell, SESSION)
    return Cookie(key=name, value=token, path="/", httponly=True, samesite="lax", secure=shell.secure)


def no_session_cookie(shell: Shell) -> Cookie:
    """What removes the session cookie."""
    name = cookie_name(shell, SESSION)
    return Cookie(key=name, value="", path="/", httponly=True, samesite="lax", secure=shell.secure, max_age=0)


def _asks_for_page(request: Request[object, object, State]) -> bool:
    """Whether the answer will be a whole page, so that notices shown in it are seen."""
    if request.scope["state"].get("head"):
        return False
    if request.method != "GET" or "hx-request" in request.headers or request.scope["path"].startswith("/api/"):
        return False
    accept = request.headers.get("accept", "*/*")
    return "text/html" in accept or ("*/*" in accept and "sec-fetch-dest" not in request.headers)


class AuthenticationMiddleware:
    """Puts `user`, and for a browser `sign_in` and `sign_in_token`, in the request state; takes waiting notices for a page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and not scope["path"].startswith(PUBLIC):
            await self._identify(Request(scope))
        await self.app(scope, receive, send)

    async def _identify(self, request: Request[object, object, State]) -> None:
        shell = shell_of(request.scope)
        authorization = request.headers.get("authorization", "")
        if authorization[:7].lower() == "bearer " and authorization[7:].startswith(PERSONAL):
            await self._by_token(request, shell, authorization[7:].strip())
        elif token := request.cookies.get(cookie_name(shell, SESSION)):
            await self._by_cookie(request, shell, token)

    async def _by_token(self, request: Request[object, object, State], shell: Shell, plain: str) -> None:
        now = shell.clock.now()
        async with transaction(shell.sessions) as session:
            found = await find_personal_token(session, plain, now=now)
            if found is None:
                raise InvalidToken
            token, user = found
            if token.last_used_at is None or now - token.last_used_at > LAST_USED_EVERY:
                token.last_used_at = now
        request.scope["state"]["user"] = user

    async def _by_cookie(self, request: Request[object, object, State], shell: Shell, token: str) -> None:
        now = shell.clock.now()
        async with transaction(shell.sessions) as session:
            found = await find_sign_in(session, token, now=now)
            if found is None:
                return
            sign_in, user = found
            if now - sign_in.seen_at > SEEN_EVERY:
                sign_in.seen_at = now
            if sign_in.notices and _asks_for_page(request) and not sign_in.awaiting_code:
                request.scope["state"]["notices"] = read_notices(sign_in, token)
                sign_in.notices = None
        state = request.scope["state"]
        state["sign_in"], state["sign_in_token"] = sign_in, token
        if not sign_in.awaiting_code:
            state["user"] = user
