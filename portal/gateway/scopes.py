"""SMART scopes as the gateway needs them: which letters a token holds for a resource type.

Both syntaxes of SMART App Launch 2.2 §3: v1 (`read`, `write`, `*`) and v2 (an in-order subset of `cruds`). The gateway only asks
whether some scope could allow the interaction; the exchange applies context, compartment and granular (`?category=`) rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

CREATE, READ, UPDATE, DELETE, SEARCH = 1, 2, 4, 8, 16
ANY = CREATE | READ | UPDATE | DELETE | SEARCH
LETTERS = {"c": CREATE, "r": READ, "u": UPDATE, "d": DELETE, "s": SEARCH}
V1 = {"read": READ | SEARCH, "write": CREATE | UPDATE | DELETE, "*": ANY}
_RESOURCE_SCOPE = re.compile(r"(?:patient|user|system)/([A-Z][A-Za-z]{1,63}|\*)\.(\*|read|write|c?r?u?d?s?)(?:\?.*)?")


def letters(scope: str) -> tuple[str, int]:
    """Resource type (or `*`) and letter mask of one scope; ("", 0) when it is not about resources."""
    match = _RESOURCE_SCOPE.fullmatch(scope)
    if match is None:
        return "", 0
    kind, rights = match.groups()
    return kind, V1[rights] if rights in V1 else sum(LETTERS[letter] for letter in rights)


@lru_cache(maxsize=4096)
def granted(scopes: Iterable[str]) -> Mapping[str, int]:
    """Letter masks by resource type; `scopes` must be hashable (a tuple or a frozenset), for answers are remembered."""
    masks: dict[str, int] = {}
    for scope in scopes:
        kind, mask = letters(scope)
        if kind:
            masks[kind] = masks.get(kind, 0) | mask
    return masks


@lru_cache(maxsize=4096)
def granted_without(scopes: Iterable[str], cut: frozenset[str], kind: str) -> int:
    """Letters that `scopes` give for `kind` when the scopes in `cut` are taken away, also from wider ones of the same context."""
    left = 0
    for scope in scopes:
        about, mask = letters(scope)
        if about not in (kind, "*") and kind:
            continue
        context = scope.partition("/")[0]
        for one in cut:
            away, gone = letters(one)
            if one == scope or (one.partition("/")[0] == context and away in (kind, "*")):
                mask &= ~gone
        left |= mask
    return left


def covers(masks: Mapping[str, int], kind: str, needed: int) -> bool:
    """Whether `masks` hold at least one of the `needed` letters for `kind`; `kind` "" asks for any type at all."""
    if not kind:
        return any(mask & needed for mask in masks.values())
    return bool((masks.get(kind, 0) | masks.get("*", 0)) & needed)


def spelled(kind: str, needed: int) -> str:
    """The least v2 scope that would allow it, for `scope=` of a 403 challenge (RFC 6750 §3)."""
    rights = "".join(letter for letter, mask in LETTERS.items() if mask & needed)
    return f"system/{kind or '*'}.{rights if needed != ANY else 'r'}"
