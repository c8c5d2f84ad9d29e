"""How a Counterpart answers: the mode a developer chose, and after how long on the Tenant's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.workflows.codes import Resource
from sandbox.workflows.records import Records

MAX_DELAY = 366 * 86_400


class Mode(StrEnum):
    """What a Counterpart does when it is asked."""

    ACCEPT = "accept"
    DECLINE = "decline"
    DELAY = "delay"
    PARTIAL = "partial"
    SILENT = "silent"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Script:
    """`after` is in seconds; a delay without one is an hour. `options` are the Counterpart's own (see each one's docs)."""

    mode: Mode = Mode.ACCEPT
    after: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wait(self) -> int:
        return self.after or (3600 if self.mode is Mode.DELAY else 0)

    def as_json(self) -> dict[str, Any]:
        return {"mode": self.mode.value, "after": self.after, "options": dict(self.options)}


class BadScriptError(ValueError):
    """A script that cannot be played; the message says what is wrong, `field` where: `counterparts.clinic.after`."""

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field


def script_of(raw: object) -> Script:
    """A script from JSON: `{"mode": "...", "after": seconds, "options": {...}}`. Raises `BadScriptError`."""
    if not isinstance(raw, Mapping):
        raise BadScriptError("a script is an object with mode, after and options")
    unknown = set(raw) - {"mode", "after", "options"}
    if unknown:
        raise BadScriptError(
            f"unknown field {sorted(unknown)[0]!r}: a script has mode, after and options", sorted(unknown)[0]
        )
    mode, after, options = raw.get("mode", "accept"), raw.get("after", 0), raw.get("options", {})
    if mode not in list(Mode):
        raise BadScriptError(f"mode is one of {', '.join(Mode)}, not {mode!r}", "mode")
    if not isinstance(after, int) or isinstance(after, bool) or not 0 <= after <= MAX_DELAY:
        raise BadScriptError(f"after is a whole number of seconds, 0 to {MAX_DELAY}", "after")
    if not isinstance(options, Mapping):
        raise BadScriptError("options is an object", "options")
    return Script(Mode(mode), after, dict(options))


# Plays one answer: the resource the event was about, how, and the script's options.
Play = Callable[[Records, Resource, Mode, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing one Counterpart answers: an event's topic, what it does then, and what it does unless told otherwise."""

    counterpart: str
    topic: str
    play: Play
    default: Script = field(default_factory=Script)
    lag: int = 0
    """Seconds that the work itself takes, on top of the script's wait."""

    @property
    def name(self) -> str:
        return f"counterpart.{self.counterpart}.{self.topic}"
