"""SMART scopes, v1 and v2 (SMART App Launch 2.2, "Scopes and Launch Context").

`patient/Observation.rs?category=laboratory` is context, resource, permissions (`c r u d s`, in that order) and, in v2, search
parameters that narrow it. v1's `.read` is `.rs`, `.write` is `.cud`, `.*` is `.cruds`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from portal.oauth.resource_types import RESOURCE_TYPES

ORDER = "cruds"
V1 = {"read": "rs", "write": "cud", "*": "cruds"}
# Scopes that ask for no resource: launch context, sign-in, and how long access lasts.
LAUNCH = ("launch", "launch/patient", "launch/encounter")
OPENID = ("openid", "fhirUser", "profile")
LASTING = ("online_access", "offline_access")
PLAIN = (*LAUNCH, *OPENID, *LASTING)

_CLINICAL = re.compile(
    r"(?P<context>patient|user|system)/(?P<resource>\*|[A-Z][A-Za-z]{1,62})"
    r"\.(?P<permissions>read|write|\*|(?=[cruds])c?r?u?d?s?)(?:\?(?P<query>[!-~]+))?"
)
# RFC 6749 section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class InvalidScope(Exception):
    """A scope that this server does not know, or text that is not a list of scopes; safe to show."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A clinical scope. `text` is how it was written."""

    context: str
    resource: str
    permissions: frozenset[str]
    query: frozenset[tuple[str, str]]
    text: str

    def narrows(self, other: Scope) -> bool:
        """Whether this scope's resources lie within `other`'s, permissions aside."""
        return self.context == other.context and other.resource in ("*", self.resource) and other.query <= self.query


@lru_cache(maxsize=4096)
def parse(text: str) -> Scope | None:
    """The clinical scope that `text` writes, or None if it is not one: a type that FHIR R4 does not have makes no scope."""
    found = _CLINICAL.fullmatch(text)
    if found is None or (found["resource"] != "*" and found["resource"] not in RESOURCE_TYPES):
        return None
    permissions, query = found["permissions"], found["query"]
    if query is not None and permissions in V1:
        return None
    pairs = parse_qsl(query or "", keep_blank_values=True)
    if query and (not pairs or any(not name or not value for name, value in pairs)):
        return None
    return Scope(
        context=found["context"],
        resource=found["resource"],
        permissions=frozenset(V1.get(permissions, permissions)),
        query=frozenset(pairs),
        text=text,
    )


def write(context: str, resource: str, permissions: Iterable[str], query: Iterable[tuple[str, str]] = ()) -> str:
    """The v2 spelling of a scope."""
    letters = set(permissions)
    narrowed = "&".join(f"{name}={value}" for name, value in sorted(query))
    return f"{context}/{resource}.{''.join(c for c in ORDER if c in letters)}{'?' + narrowed if narrowed else ''}"


def split(text: str) -> list[str]:
    """The scopes of a `scope` parameter, in order, each once. Raises `InvalidScope` for characters RFC 6749 forbids."""
    items = [item for item in text.split(" ") if item]
    if len(items) > 200 or any(not _TOKEN.fullmatch(item) for item in items):
        raise InvalidScope("the scope parameter is not a list of scopes separated by spaces")
    return list(dict.fromkeys(items))


def is_known(text: str) -> bool:
    """Whether `text` is a scope this server can understand, whoever may have it."""
    return text in PLAIN or parse(text) is not None


def grantable(requested: str, registered: Iterable[str]) -> list[str]:
    """What of `requested` an App registered for `registered` may have; empty for none.

    A scope that is wholly allowed keeps its spelling; one that is allowed in part comes back narrowed, in v2's spelling.
    """
    if requested in PLAIN:
        return [requested] if requested in registered else []
    wanted = parse(requested)
    if wanted is None:
        return []
    allowed = [scope for scope in map(parse, registered) if scope is not None and scope.context == wanted.context]
    whole = frozenset[str]().union(*(scope.permissions for scope in allowed if wanted.narrows(scope)))
    if wanted.permissions <= whole:
        return [requested]
    parts: dict[tuple[str, frozenset[tuple[str, str]]], frozenset[str]] = {}
    for scope in allowed:
        meeting = _meeting(wanted, scope)
        common = wanted.permissions & scope.permissions
        if meeting is not None and common:
            parts[meeting] = parts.get(meeting, frozenset()) | common
    return [write(wanted.context, resource, common, query) for (resource, query), common in parts.items()]


def _meeting(wanted: Scope, allowed: Scope) -> tuple[str, frozenset[tuple[str, str]]] | None:
    if "*" not in (wanted.resource, allowed.resource) and wanted.resource != allowed.resource:
        return None
    resource = allowed.resource if wanted.resource == "*" else wanted.resource
    return resource, wanted.query | allowed.query


@lru_cache(maxsize=8192)
def grant_system(text: str, registered: tuple[str, ...]) -> str:
    """Scopes for client_credentials: those of `text`, or all system scopes of `registered` when it is empty.

    Raises `InvalidScope` when any of them cannot be granted at least in part: a backend should hear of a typing error.
    """
    system = [scope for scope in registered if scope.startswith("system/")]
    granted: list[str] = []
    for each in split(text) or system:
        allowed = grantable(each, system)
        if not allowed:
            raise InvalidScope("a requested scope is unknown, or not granted to this App")
        granted += allowed
    if not granted:
        raise InvalidScope("no system scope is granted to this App")
    return " ".join(dict.fromkeys(granted))


def grant_all(requested: Iterable[str], registered: Iterable[str]) -> list[str]:
    """`grantable` of every requested scope, in order, each once."""
    kept = list(registered)
    return list(dict.fromkeys(item for each in requested for item in grantable(each, kept)))
