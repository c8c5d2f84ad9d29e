"""What a check sees: an App's recorded calls and what Gozar did to its Tenant meanwhile. Plain values, no database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

Json = Any


@dataclass(frozen=True, slots=True)
class Target:
    """A FHIR path and query, taken apart. `kind` is the resource type, `id` the resource's, `operation` starts with `_` or `$`."""

    kind: str = ""
    id: str = ""
    operation: str = ""
    query: tuple[tuple[str, str], ...] = ()

    def values(self, name: str) -> list[str]:
        """Values of a search parameter, modifiers aside: `name:exact` counts as `name`."""
        return [value for key, value in self.query if key.partition(":")[0] == name]


def parse_target(target: str) -> Target:
    """`Patient/12?x=y` (any base before it) as a Target."""
    parts = urlsplit(target)
    path = parts.path.partition("/fhir/R4/")[2] or parts.path.lstrip("/")
    segments = [unquote(part) for part in path.split("/") if part]
    query = tuple(parse_qsl(parts.query, keep_blank_values=True))
    kind = segments[0] if segments and segments[0][0].isupper() else ""
    rest = segments[1:] if kind else segments
    operation = next((part for part in rest if part[0] in "_$"), "")
    identity = rest[0] if kind and rest and rest[0][0] not in "_$" else ""
    return Target(kind, identity, operation, query)


@dataclass(frozen=True)
class Call:
    """One recorded call. `sent` and `answered` are the header fields of interest, lower-cased; bodies are parsed JSON or None."""

    id: str
    at: datetime
    method: str
    target: str
    status: int
    code: str = ""
    token: str = ""
    sent: Mapping[str, str] = field(default_factory=dict)
    answered: Mapping[str, str] = field(default_factory=dict)
    body: Json = None
    form: Mapping[str, list[str]] = field(default_factory=dict)
    reply: Json = None
    milliseconds: int = 0

    @cached_property
    def where(self) -> Target:
        """The target, taken apart."""
        return parse_target(self.target)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 or self.status == 304

    @property
    def kind(self) -> str:
        """Resource type of the target."""
        return self.where.kind

    @property
    def interaction(self) -> str:
        """FHIR's word for it: read, search, create, update, patch, delete, history, operation, batch, capabilities."""
        where = self.where
        if where.operation == "_history":
            return "history"
        if where.operation.startswith("$"):
            return "operation"
        if self.method in ("GET", "HEAD"):
            if where.id:
                return "read"
            return "search" if where.kind else ("capabilities" if "metadata" in self.target else "search")
        if self.method == "POST":
            if where.operation == "_search":
                return "search"
            return "create" if where.kind else "batch"
        return {"PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(self.method, "other")

    @property
    def writes(self) -> bool:
        return self.interaction in ("create", "update", "patch", "delete", "batch")

    @property
    def faulted(self) -> bool:
        """Refused or broken by a temporary condition."""
        return self.status in (429, 502, 503, 504)

    @property
    def ended(self) -> datetime:
        """When its answer left."""
        return self.at + timedelta(milliseconds=self.milliseconds)

    def repeats(self, other: Call) -> bool:
        """Whether it asks for the very same thing: method, target and body (of a call refused at the door no body was read)."""
        same_body = self.body == other.body or self.body is None or other.body is None
        return same_body and (self.method, self.target, self.form) == (other.method, other.target, other.form)

    def knew(self, answer: Call, *, slack: timedelta = timedelta(milliseconds=150)) -> bool:
        """Whether its sender can have known the answer of an earlier call.

        Programs send several calls at once: one that was on its way when the answer left is no disobedience. The very same call
        again is a repeat, as soon as the answer has left; the two clocks of a busy gateway differ by some milliseconds.
        """
        if not self.repeats(answer):
            return self.at >= answer.ended + slack
        return self.at >= max(answer.ended - timedelta(milliseconds=20), answer.at + (answer.ended - answer.at) / 2)

    def resources(self) -> Iterator[Mapping[str, Any]]:
        """Resources of the answer: the one itself, or the entries of a Bundle."""
        if not isinstance(self.reply, dict):
            return
        if self.reply.get("resourceType") == "Bundle":
            for entry in self.reply.get("entry") or ():
                found = entry.get("resource") if isinstance(entry, dict) else None
                if isinstance(found, dict):
                    yield found
        else:
            yield self.reply

    def link(self, relation: str) -> str:
        """Target of a Bundle's link (`next`, `self`), or empty."""
        links = self.reply.get("link") if isinstance(self.reply, dict) else None
        for link in links or ():
            if isinstance(link, dict) and link.get("relation") == relation:
                return str(link.get("url", ""))
        return ""


@dataclass(frozen=True, slots=True)
class Event:
    """Something Gozar did during a run: `fault-armed`, `consent-revoked`, `result-corrected`, `patient-merged`, ...

    `data` names what it was about (`patient`, `resource`, `old`, `new`, ...).
    """

    kind: str
    at: datetime
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recording:
    """Everything judged at once: calls in order, events, the scopes the App holds, what the Tenant holds at the end.

    `tenant` maps a resource type to the resources the App wrote (parsed JSON), as the exchange keeps them.
    """

    calls: tuple[Call, ...]
    events: tuple[Event, ...] = ()
    scopes: frozenset[str] = frozenset()
    tenant: Mapping[str, list[Mapping[str, Any]]] = field(default_factory=dict)
    token_seconds: int = 300

    def of(self, *interactions: str, kind: str = "") -> list[Call]:
        """Calls of these interactions (and type)."""
        return [call for call in self.calls if call.interaction in interactions and (not kind or call.kind == kind)]

    def event(self, kind: str) -> Event | None:
        """The last event of a kind."""
        return next((event for event in reversed(self.events) if event.kind == kind), None)

    def since(self, moment: datetime) -> list[Call]:
        """Calls that began at or after a moment."""
        return [call for call in self.calls if call.at >= moment]

    def may(self, kind: str, letters: str) -> bool:
        """Whether a held SMART scope allows any of `letters` (c r u d s) on a type."""
        return any(_allows(scope, kind, letters) for scope in self.scopes)


def _allows(scope: str, kind: str, letters: str) -> bool:
    _, slash, rest = scope.partition("/")
    name, dot, permissions = rest.partition(".")
    permissions = {"read": "rs", "write": "cud", "*": "cruds"}.get(permissions, permissions.partition("?")[0])
    return bool(slash and dot) and name in ("*", kind) and any(letter in permissions for letter in letters)
