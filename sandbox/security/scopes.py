"""SMART scopes as data. Version 1 (`patient/*.read`) and 2 (`patient/Observation.rs?category=laboratory`) alike.

https://hl7.org/fhir/smart-app-launch/STU2.2/scopes-and-launch-context.html. A scope that cannot be understood in full grants
nothing: half-understood, its restriction would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import parse_qsl, urlencode

from sandbox.fhir import definitions, searchvalues
from sandbox.fhir.definitions import RESOURCE_TYPES, SearchParameter
from sandbox.fhir.outcomes import BadRequestError

Level = Literal["patient", "user", "system"]
Letter = Literal["c", "r", "u", "d", "s"]
LETTERS: Final[tuple[Letter, ...]] = ("c", "r", "u", "d", "s")
MAX_RESTRICTIONS: Final = 10

_SCOPE: Final = re.compile(r"(patient|user|system)/([A-Za-z]+|\*)\.(\*|read|write|c?r?u?d?s?)(?:\?(.+))?\Z", re.ASCII)
_VERSION_1: Final = {"read": "rs", "write": "cud", "*": "cruds"}
# What a restriction may ask about: the resource itself, by parameters that an index answers exactly.
_RESTRICTABLE: Final = frozenset({"token", "reference", "date", "uri", "quantity", "number"})
_MODIFIERS: Final = {"token": frozenset({"", "in"})}
_PLAIN: Final = frozenset({""})


@dataclass(frozen=True, slots=True)
class Permission:
    """One scope on one resource type: `query` is its restriction as a canonical query string, "" when there is none."""

    level: Level
    resource_type: str
    letters: str
    query: str = ""


@lru_cache(maxsize=4096)
def permissions(scope: str) -> tuple[Permission, ...]:
    """The permissions of a token's scope string; identity and launch scopes carry none."""
    return tuple(p for word in scope.split(" ") for p in _permissions(word))


def _permissions(word: str) -> Iterator[Permission]:
    match = _SCOPE.match(word)
    if match is None or not match[3]:
        return
    level, named, verbs, query = match.groups()
    if named != "*" and named not in RESOURCE_TYPES:
        return
    if query and verbs in _VERSION_1:
        return  # restrictions came with version 2
    letters = _VERSION_1.get(verbs, verbs)
    for resource_type in sorted(RESOURCE_TYPES) if named == "*" else (named,):
        restriction = "" if query is None else restriction_of(resource_type, query)
        if restriction is not None:
            # The pattern admits these three only.
            yield Permission(level, resource_type, letters, restriction)  # type: ignore[arg-type]


def restriction_of(resource_type: str, query: str) -> str | None:
    """The canonical form of a restriction; None when any part of it cannot be held to exactly on this type."""
    try:
        pairs = parse_qsl(
            query, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=MAX_RESTRICTIONS
        )
    except ValueError:
        return None
    known = definitions.search_parameters(resource_type)
    for name, value in pairs:
        code, _, modifier = name.partition(":")
        parameter = known.get(code)
        if parameter is None or not value or not _understood(parameter, modifier, value):
            return None
    return urlencode(pairs) or None


def _understood(parameter: SearchParameter, modifier: str, value: str) -> bool:
    kind = parameter.type
    if kind not in _RESTRICTABLE or modifier not in _MODIFIERS.get(kind, _PLAIN):
        return False
    if modifier == "in":
        return value.startswith(("http://", "https://", "urn:"))
    try:
        for text in searchvalues.alternatives(value, parameter.code):
            _parse(kind, text, parameter.code)
    except BadRequestError:
        return False
    return True


def _parse(kind: str, text: str, code: str) -> None:
    match kind:
        case "token":
            searchvalues.token(text, code)
        case "reference":
            searchvalues.reference(text, code)
        case "date":
            searchvalues.date(text, code)
        case "quantity":
            searchvalues.quantity(text, code)
        case "number":
            searchvalues.number(text, code)
