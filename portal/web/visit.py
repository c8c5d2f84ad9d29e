"""What the layout knows about this request: path, who is signed in, notices to show once, the CSRF token."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Literal, Protocol

NoticeKind = Literal["success", "info", "warning", "error", "secret"]


class Account(Protocol):
    """The signed-in User as the layout sees it."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def email(self) -> str: ...
    @property
    def role(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Notice:
    """A message shown once, after the redirect that follows a form. A `secret` notice carries `values` (label -> value)."""

    kind: NoticeKind
    fa: str
    en: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Visit:
    """One request for a page. `path` has no /en prefix; `query` starts with `?` or is empty."""

    path: str = "/"
    query: str = ""
    csrf_token: str = ""
    request_id: str = ""
    account: Account | None = None
    notices: list[Notice] = field(default_factory=list)


visit: ContextVar[Visit] = ContextVar("visit")


def current() -> Visit:
    """The visit of this request; an anonymous one outside a page."""
    return visit.get(Visit())
