"""Who may call a route."""

from __future__ import annotations

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from portal.kernel.errors import Forbidden, Unauthenticated
from portal.users.models import Role, User
from portal.web.shell import shell_of

Connection = ASGIConnection[Any, Any, Any, Any]


class SecondFactorNeeded(Forbidden):
    code = "second-factor-needed"
    title = "Reviewers need a second factor: set it up in your profile"
    title_fa = "کارشناسان بررسی به ورود دومرحله‌ای نیاز دارند؛ آن را در نمایهٔ خود فعال کنید"


def user_of(connection: Connection) -> User:
    """The signed-in User; raises Unauthenticated."""
    user = connection.scope["state"].get("user")
    if not isinstance(user, User):
        raise Unauthenticated
    return user


def signed_in(connection: Connection, _: BaseRouteHandler) -> None:
    """Somebody is signed in."""
    user_of(connection)


def reviewer(connection: Connection, _: BaseRouteHandler) -> None:
    """A reviewer or administrator, with a second factor where the deployment demands one. To others the route is forbidden."""
    user = user_of(connection)
    if user.role not in (Role.REVIEWER, Role.ADMIN):
        raise Forbidden
    if shell_of(connection.scope).reviewers_need_second_factor and user.totp_confirmed_at is None:
        raise SecondFactorNeeded


def admin(connection: Connection, handler: BaseRouteHandler) -> None:
    """An administrator."""
    reviewer(connection, handler)
    if user_of(connection).role != Role.ADMIN:
        raise Forbidden
