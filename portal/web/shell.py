"""Values that the edge hands to every request, gathered once by the composition root."""

from __future__ import annotations

from dataclasses import dataclass, field

from litestar.types import Scope

from portal.kernel.clock import Clock
from portal.kernel.database import SessionMaker
from portal.kernel.keys import Keyring
from portal.kernel.mail import Mailer
from portal.web.navigation import Navigation
from portal.web.tasks import TaskSource
from portal.web.throttle import NoThrottle, Throttle


@dataclass(frozen=True, slots=True)
class Shell:
    """What pages and JSON routes need from outside; lies in `app.state["shell"]`.

    `pepper` is the key of the HMAC under which Credential secrets are stored; the token endpoint needs the same.
    """

    sessions: SessionMaker
    clock: Clock
    mailer: Mailer
    keyring: Keyring
    pepper: bytes
    public_url: str
    throttle: Throttle = field(default_factory=NoThrottle)
    navigation: Navigation = field(default_factory=Navigation)
    task_sources: tuple[TaskSource, ...] = ()
    reviewers_need_second_factor: bool = False
    confirm_email: bool = False

    @property
    def secure(self) -> bool:
        """Whether browsers reach the portal over https, so that cookies may demand it."""
        return self.public_url.startswith("https://")


def shell_of(scope: Scope) -> Shell:
    """The Shell of the application that serves `scope`."""
    shell: Shell = scope["litestar_app"].state["shell"]
    return shell
