"""Limits of a ramp step: pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from portal.products.models import Plan
from portal.reviews.policy import RampRules


@dataclass(frozen=True, slots=True)
class StepLimits:
    """Calls per second, per minute and per quota period; None leaves the Plan's own."""

    per_second: int | None
    per_minute: int | None
    quota: int | None


def at_step(plan: Plan, rules: RampRules, step: int) -> StepLimits:
    """Limits of `plan` at `step` (from 0); the last step is the Plan itself."""
    share = rules.steps[min(step, len(rules.steps) - 1)].share
    if share >= 1:
        return StepLimits(None, None, None)
    return StepLimits(
        max(1, ceil(plan.per_second * share)), max(1, ceil(plan.per_minute * share)), max(1, ceil(plan.quota * share))
    )
