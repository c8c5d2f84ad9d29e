"""Scenarios as data: what Gozar arms, what the App should do, which Requirements it can prove."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from portal.conformance.calls import Recording


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario. `arm` is a list of actions for `arming.ACTIONS`; `needs` as in Requirements."""

    id: str
    title_fa: str
    title_en: str
    do_fa: str
    do_en: str
    arm: tuple[dict[str, Any], ...]
    proves: tuple[str, ...]
    needs: tuple[str, ...] = ()


@cache
def scenarios() -> tuple[Scenario, ...]:
    """All scenarios in their order."""
    raw = tomllib.loads((files("portal.conformance") / "data" / "scenarios.toml").read_text("utf-8"))
    return tuple(
        Scenario(arm=tuple(row.pop("arm")), proves=tuple(row.pop("proves")), needs=tuple(row.pop("needs", ())), **row)
        for row in raw["scenarios"]
    )


@cache
def by_id() -> dict[str, Scenario]:
    return {row.id: row for row in scenarios()}


def holds(scopes: frozenset[str], needs: tuple[str, ...]) -> bool:
    """Whether the scopes give one of the needed rights; no need is always met."""
    recording = Recording((), scopes=scopes)
    for need in needs:
        kind, _, letters = need.partition(".")
        if kind == "*":
            if any(recording.may(scope.partition("/")[2].partition(".")[0], letters) for scope in scopes):
                return True
        elif recording.may(kind, letters):
            return True
    return not needs
