"""What handlers may ask for by name: `session`, `now`, `mailer`, `shell`, `pepper`, `throttle`.

`session` is one transaction per request: return commits, raise rolls back. `mailer` holds mail back until the commit, so that
nobody is told of what did not happen.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

import structlog
from litestar import Request
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import SkipValidation
from sqlalchemy.ext.asyncio import AsyncSession

from portal.kernel.keys import Keyring
from portal.kernel.mail import Mailer, Message
from portal.web.shell import Shell
from portal.web.throttle import Throttle

log = structlog.get_logger("gozar.web")
AnyRequest = Request[object, object, State]


class HeldMailer:
    """Keeps messages of one transaction until it has committed."""

    def __init__(self, real: Mailer) -> None:
        self._real = real
        self._held: list[Message] = []

    async def send(self, message: Message) -> None:
        self._held.append(message)

    async def deliver(self) -> None:
        """Hand everything to the real mailer; a failure is logged, for the transaction stands already."""
        for message in self._held:
            try:
                await self._real.send(message)
            except Exception:
                log.exception("mail not sent", subject=message.subject)
        self._held.clear()


# Markers for handler signatures: `async def handler(session: Db, now: Now) -> ...`.
Db = NamedDependency[AsyncSession]
Now = NamedDependency[datetime]
MailPort = NamedDependency[SkipValidation[Mailer]]
ShellValues = NamedDependency[Shell]
Keys = NamedDependency[Keyring]
Pepper = NamedDependency[bytes]
ThrottlePort = NamedDependency[SkipValidation[Throttle]]


def provide_shell(request: AnyRequest) -> Shell:
    """The values of the composition root."""
    shell: Shell = request.app.state["shell"]
    return shell


def provide_now(shell: ShellValues) -> datetime:
    """The instant of this request, UTC."""
    return shell.clock.now()


def provide_mailer(shell: ShellValues) -> HeldMailer:
    """A mailer that waits for the commit."""
    return HeldMailer(shell.mailer)


async def provide_session(
    shell: ShellValues, mailer: NamedDependency[SkipValidation[HeldMailer]]
) -> AsyncIterator[AsyncSession]:
    """One transaction; commits when the handler has returned and its answer is rendered."""
    async with shell.sessions() as session:
        try:
            yield session
            await session.commit()
        except BaseException:
            await session.rollback()
            raise
    await mailer.deliver()


def provide_throttle(shell: ShellValues) -> Throttle:
    """The throttle port."""
    return shell.throttle


def provide_pepper(shell: ShellValues) -> bytes:
    """Key of the HMAC under which Credential secrets are stored."""
    return shell.pepper


def provide_keyring(shell: ShellValues) -> Keyring:
    """Keys of this installation."""
    return shell.keyring


DEPENDENCIES = {
    "shell": Provide(provide_shell, sync_to_thread=False),
    "now": Provide(provide_now, sync_to_thread=False),
    "mailer": Provide(provide_mailer, sync_to_thread=False),
    "session": Provide(provide_session),
    "throttle": Provide(provide_throttle, sync_to_thread=False),
    "pepper": Provide(provide_pepper, sync_to_thread=False),
    "keyring": Provide(provide_keyring, sync_to_thread=False),
}
