"""What handlers may ask for: `user` (signed in, in this request's session), `current_user` (or None), `tell`.

`tell` keeps a notice for the next page.
"""

from __future__ import annotations

from collections.abc import Callable

from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation

from portal.kernel.errors import Unauthenticated
from portal.users.models import SignIn, User
from portal.users.sign_ins import add_notice
from portal.web.dependencies import Db
from portal.web.visit import Notice

AnyRequest = Request[object, object, State]
Tell = Callable[[Notice], None]

# Markers for handler signatures.
CurrentUser = NamedDependency[User]
Visitor = NamedDependency[User | None]
TellNext = NamedDependency[SkipValidation[Tell]]


async def provide_current_user(request: AnyRequest, session: Db) -> User | None:
    """The signed-in User, attached to this request's session, or None."""
    known = request.scope["state"].get("user")
    return await session.get(User, known.id) if isinstance(known, User) else None


def provide_user(current_user: Visitor) -> User:
    """The signed-in User; raises Unauthenticated."""
    if current_user is None:
        raise Unauthenticated
    return current_user


async def provide_tell(request: AnyRequest, session: Db) -> Tell:
    """A function that keeps a notice for the next page; without a browser session it does nothing."""
    state = request.scope["state"]
    known = state.get("sign_in")
    sign_in = await session.get(SignIn, known.id_hash) if isinstance(known, SignIn) else None

    def tell(notice: Notice) -> None:
        if sign_in is not None:
            add_notice(sign_in, state["sign_in_token"], notice)

    return tell


DEPENDENCIES = {
    "current_user": Provide(provide_current_user),
    "user": Provide(provide_user, sync_to_thread=False),
    "tell": Provide(provide_tell),
}
