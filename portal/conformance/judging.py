"""Judging a Recording by the catalogue: pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from portal.conformance.calls import Recording
from portal.conformance.requirements import Requirement
from portal.conformance.scenarios import holds
from portal.conformance.verdicts import Result, Verdict, checks, omitted

NOT_APPLICABLE = {
    "fa": "برنامه حقی ندارد که این الزام به آن برگردد.",
    "en": "The app holds no right that this requirement is about.",
}


def judge(requirement: Requirement, recording: Recording, attested: frozenset[str] = frozenset()) -> Verdict:
    """The verdict on one Requirement. Attestations pass when `attested` names them, else are skipped for the questionnaire."""
    if requirement.attestation:
        if requirement.attestation in attested:
            return Verdict(Result.PASS)
        return Verdict(
            Result.SKIP, (), "در پرسش‌نامهٔ درخواست بررسی اعلام می‌شود.", "Stated in the review's questionnaire."
        )
    if not holds(recording.scopes, requirement.needs):
        return omitted(**NOT_APPLICABLE)
    return checks()[requirement.check](recording)


def judge_all(requirements: Iterable[Requirement], recording: Recording) -> dict[str, dict[str, Any]]:
    """Verdict of each Requirement by id, as it is stored and signed."""
    made: dict[str, dict[str, Any]] = {}
    for row in requirements:
        verdict = judge(row, recording)
        made[row.id] = {
            "result": str(verdict.result),
            "level": row.level,
            "proof": "attestation" if row.attestation else "check",
            "calls": list(verdict.calls),
            "fa": verdict.fa,
            "en": verdict.en,
        }
    return made


def passes(results: dict[str, dict[str, Any]]) -> bool:
    """Whether every mandatory Requirement proved by a check passed or does not apply, and at least one passed."""
    judged = [row for row in results.values() if row["proof"] == "check" and row["level"] == "must"]
    return any(row["result"] == Result.PASS for row in judged) and all(
        row["result"] in (Result.PASS, Result.OMIT) for row in judged
    )


def counts(results: dict[str, dict[str, Any]]) -> dict[str, int]:
    """How many of each result."""
    made = {str(result): 0 for result in Result}
    for row in results.values():
        made[row["result"]] += 1
    return made
