"""Wire shapes of conformance."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from portal.conformance.calls import Call
from portal.conformance.models import ConformanceRun, RunScenario
from portal.conformance.scenarios import by_id


class NewRun(msgspec.Struct, forbid_unknown_fields=True):
    """`scopes`: those the App will ask production for (absent: all it holds). `rerun_of`: repeat what did not pass there."""

    app_version: str
    scopes: list[str] | None = None
    rerun_of: str = ""


class StepInfo(msgspec.Struct):
    """A scenario of a run. While it is `armed` the App does what `do` says, with `inputs`."""

    scenario: str
    state: str
    title: dict[str, str]
    do: dict[str, str]
    proves: list[str]
    inputs: dict[str, Any]
    note: str

    @classmethod
    def of(cls, row: RunScenario) -> StepInfo:
        known = by_id()[row.scenario]
        return cls(
            row.scenario,
            row.state,
            {"fa": known.title_fa, "en": known.title_en},
            {"fa": known.do_fa, "en": known.do_en},
            list(known.proves),
            row.inputs,
            row.note,
        )


class RunInfo(msgspec.Struct):
    """A run. `current` is the armed scenario; `evidence` is set once the run was judged."""

    id: str
    app: str
    app_version: str
    suite_version: str
    status: str
    passes: bool
    scopes: list[str]
    products: list[str]
    started_at: datetime
    expires_at: datetime
    judged_at: datetime | None
    steps: list[StepInfo]
    current: str
    evidence: str

    @classmethod
    def of(cls, run: ConformanceRun, steps: list[RunScenario], evidence: str = "") -> RunInfo:
        shown = [StepInfo.of(row) for row in steps]
        return cls(
            run.id,
            run.app_id,
            run.app_version,
            run.suite_version,
            str(run.status),
            run.passes,
            list(run.scopes),
            list(run.products),
            run.started_at,
            run.expires_at,
            run.judged_at,
            shown,
            next((row.scenario for row in shown if row.state == "armed"), ""),
            evidence,
        )


class CallInfo(msgspec.Struct):
    """One recorded call, redacted."""

    id: str
    at: datetime
    method: str
    target: str
    status: int
    code: str
    sent: dict[str, str]
    answered: dict[str, str]
    request: Any
    response: Any
    milliseconds: int

    @classmethod
    def of(cls, call: Call) -> CallInfo:
        return cls(
            call.id,
            call.at,
            call.method,
            call.target,
            call.status,
            call.code,
            dict(call.sent),
            dict(call.answered),
            call.body if call.body is not None else dict(call.form),
            call.reply,
            call.milliseconds,
        )


class EvidenceInfo(msgspec.Struct):
    """Signed Evidence: `jws` is the document to keep; it is verified with the portal's key set alone."""

    id: str
    run: str
    app: str
    app_version: str
    suite_version: str
    passes: bool
    created_at: datetime
    jws: str
