"""The rules of promotion as data (`data/policy.toml`): read once, handed out as frozen values."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Reason:
    """A reason code, what it says in both languages, and the outcomes it may explain."""

    code: str
    fa: str
    en: str
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RampStep:
    """A share (0..1] of the approved Plan's limits, and the days to stay before the next step."""

    share: float
    days: int


@dataclass(frozen=True, slots=True)
class RampRules:
    """Bounds of the measures that move a ramp; `window_days` is how far back they look."""

    calls: int
    error_rate: float
    limited_rate: float
    window_days: int
    steps: tuple[RampStep, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Everything that a Decision is made under; `version` is kept with each."""

    version: str
    service_target_days: int
    approval_days: int
    notice_days: tuple[int, ...]
    appeal_days: int
    justification_min: int
    reverify_every_days: int
    reasons: dict[str, Reason]
    suspensions: dict[str, Reason]
    ramp: RampRules
    checklist: dict[str, Reason]

    def reasons_for(self, outcome: str) -> list[Reason]:
        """Reason codes that may explain `outcome` (`scope`, `rejected`, `changes_requested`)."""
        return [reason for reason in self.reasons.values() if outcome in reason.outcomes]


def _reasons(table: dict[str, Any]) -> dict[str, Reason]:
    return {
        code: Reason(code=code, fa=row["fa"], en=row["en"], outcomes=tuple(row.get("outcomes", ())))
        for code, row in table.items()
    }


@cache
def current() -> Policy:
    """The policy in force."""
    raw = tomllib.loads((files("portal.reviews") / "data" / "policy.toml").read_text("utf-8"))
    ramp = raw["ramp"]
    return Policy(
        version=raw["version"],
        service_target_days=raw["service_target_days"],
        approval_days=raw["approval_days"],
        notice_days=tuple(raw["notice_days"]),
        appeal_days=raw["appeal_days"],
        justification_min=raw["justification_min"],
        reverify_every_days=raw["reverify_every_days"],
        reasons=_reasons(raw["reasons"]),
        suspensions=_reasons(raw["suspensions"]),
        ramp=RampRules(
            calls=ramp["calls"],
            error_rate=ramp["error_rate"],
            limited_rate=ramp["limited_rate"],
            window_days=ramp["window_days"],
            steps=tuple(RampStep(share=step["share"], days=step["days"]) for step in ramp["steps"]),
        ),
        checklist=_reasons(raw["checklist"]),
    )
