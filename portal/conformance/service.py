"""Verbs of conformance: start a run, arm its scenarios one by one, judge, sign.

DomainError
├── NoSandbox (Conflict)     the App has no place in the sandbox
├── RunOver (Conflict)       the run has been judged or abandoned
└── NothingRecorded (Conflict)  judging needs at least one call
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps import queries as apps
from portal.apps.models import App, AppEnvironment
from portal.audit.service import record
from portal.conformance import arming, judging, recording
from portal.conformance.hand import Hand, HandFailed
from portal.conformance.models import ConformanceRun, Evidence, Rehearsal, RunEvent, RunScenario, RunStatus
from portal.conformance.requirements import of_products, suite_version
from portal.conformance.scenarios import by_id, holds, scenarios
from portal.conformance.verdicts import Result
from portal.kernel.errors import Conflict, Invalid
from portal.kernel.ids import new_id
from portal.kernel.signing import PortalSigner
from portal.subscriptions.queries import running

LIFETIME = timedelta(hours=4)
EVIDENCE_TYPE = "gozar-evidence+jws"
REMEMBERED = 64
_judged: dict[tuple[str, int, int], tuple[int, dict[str, Any]]] = {}


class NoSandbox(Conflict):
    code = "no-sandbox"
    title = "Subscribe the app to a product first: a run needs its place in the sandbox"
    title_fa = "نخست برنامه را مشترک یک محصول کنید؛ آزمون به فضای آزمایشی نیاز دارد"


class RunOver(Conflict):
    code = "run-over"
    title = "This run is over; start another"
    title_fa = "این آزمون پایان یافته است؛ آزمون تازه‌ای آغاز کنید"


class NothingRecorded(Conflict):
    code = "nothing-recorded"
    title = "No call of the app was recorded yet"
    title_fa = "هنوز فراخوانی از برنامه ثبت نشده است"


def version(text: str) -> str:
    """A usable App version; raises Invalid on `app_version`."""
    clean = text.strip()
    if not 1 <= len(clean) <= 40 or any(not (sign.isalnum() or sign in ".-+_") for sign in clean):
        raise Invalid(
            "Give a version such as 1.4.0: letters, digits, dots and hyphens, at most 40",
            fa="نسخه را مانند 1.4.0 بنویسید: حرف، رقم، نقطه و خط تیره، حداکثر ۴۰ نویسه",
            field="app_version",
        )
    return clean


async def start(
    session: AsyncSession,
    app: App,
    *,
    app_version: str,
    scopes: list[str] | None = None,
    rerun_of: ConformanceRun | None = None,
    by: str,
    now: datetime,
) -> ConformanceRun:
    """Begin a run; one that still runs is abandoned. `rerun_of` repeats only the scenarios of what did not pass there."""
    place = await apps.presence(session, app.id, "sandbox")
    if place is None:
        raise NoSandbox
    for old in await session.scalars(
        select(ConformanceRun).where(ConformanceRun.app_id == app.id, ConformanceRun.status == RunStatus.RUNNING)
    ):
        await _close(session, old, RunStatus.ABANDONED)
    held = sorted(set(scopes) & set(place.scopes)) if scopes else list(place.scopes)
    run = ConformanceRun(
        id=new_id("run"),
        app_id=app.id,
        company_id=app.company_id,
        client_id=place.client_id,
        tenant=place.tenant,
        app_version=version(app_version),
        suite_version=suite_version(),
        products=[row.product.id for row in await running(session, place.client_id)],
        scopes=held,
        rerun_of=rerun_of.id if rerun_of else None,
        results={},
        started_by=by,
        started_at=now,
        expires_at=now + LIFETIME,
    )
    session.add(run)
    await session.flush()
    wanted = _unproved(rerun_of) if rerun_of else None
    chosen = [
        row for row in scenarios() if holds(frozenset(held), row.needs) and (wanted is None or wanted & set(row.proves))
    ]
    for position, scenario in enumerate(chosen):
        session.add(RunScenario(run_id=run.id, position=position, scenario=scenario.id, inputs={}))
    place.recording_until = run.expires_at
    await session.flush()
    await _note(session, run, "conformance.started", by, now)
    return run


def _unproved(run: ConformanceRun) -> set[str]:
    return {name for name, row in run.results.items() if row["result"] in (Result.FAIL, Result.SKIP)}


async def _note(session: AsyncSession, run: ConformanceRun, action: str, by: str, now: datetime, **more: Any) -> None:
    details = {"run": run.id, "suite": run.suite_version, "app_version": run.app_version, **more}
    await record(
        session, now=now, actor=by, action=action, subject=run.app_id, company_id=run.company_id, details=details
    )


async def steps(session: AsyncSession, run: ConformanceRun) -> list[RunScenario]:
    """Scenarios of a run in their order."""
    found = await session.scalars(
        select(RunScenario).where(RunScenario.run_id == run.id).order_by(RunScenario.position)
    )
    return list(found)


async def advance(session: AsyncSession, run: ConformanceRun, *, hand: Hand, now: datetime) -> RunScenario | None:
    """End the armed scenario and arm the next; None when there is none left. One that cannot be armed is passed over."""
    _running(run, now)
    inputs: dict[str, str] = {}
    for step in await steps(session, run):
        if step.state == "armed":
            step.state, step.done_at = "done", now
            await _disarm(session, run)
        inputs |= step.inputs
        if step.state != "waiting":
            continue
        stage = arming.Stage(session, hand, run, now, dict(inputs))
        try:
            await arming.arm(stage, by_id()[step.scenario].arm)
        except HandFailed as error:
            step.state, step.note, step.done_at = "unavailable", str(error)[:500], now
            await _disarm(session, run)
            continue
        step.state, step.armed_at, step.inputs = "armed", now, stage.inputs
        await session.flush()
        return step
    await session.flush()
    return None


def _running(run: ConformanceRun, now: datetime) -> None:
    if run.status != RunStatus.RUNNING or now > run.expires_at:
        raise RunOver


async def _disarm(session: AsyncSession, run: ConformanceRun) -> None:
    """No refusal of one scenario reaches into the next."""
    await session.flush()
    for row in await session.scalars(select(Rehearsal).where(Rehearsal.run_id == run.id, Rehearsal.left > 0)):
        row.left = 0


async def so_far(session: AsyncSession, run: ConformanceRun, *, now: datetime) -> tuple[int, dict[str, Any]]:
    """How many calls a running run has seen, and what it would be judged as now.

    A page that renews itself asks every two seconds: nothing is judged again until another call or event was recorded.
    """
    mark = (run.id, *await recording.mark(session, run, until=now))
    known = _judged.get(mark)
    if known is not None:
        return known
    seen, _ = await recording.load(session, run, until=now, digest=False)
    made = len(seen.calls), judging.judge_all(of_products(frozenset(run.products)), seen)
    if len(_judged) >= REMEMBERED:
        _judged.clear()
    _judged[mark] = made
    return made


async def judge(
    session: AsyncSession, run: ConformanceRun, *, signer: PortalSigner, by: str, now: datetime
) -> Evidence:
    """Judge the whole run, end it, and sign the result; raises `RunOver`, `NothingRecorded`."""
    _running(run, now)
    seen, digest = await recording.load(session, run, until=now)
    if not seen.calls:
        raise NothingRecorded
    run.results = judging.judge_all(of_products(frozenset(run.products)), seen)
    run.passes = judging.passes(run.results)
    run.calls, run.traffic_digest, run.judged_at = len(seen.calls), digest, now
    run.scopes = sorted(seen.scopes)
    await _close(session, run, RunStatus.JUDGED)
    made = Evidence(
        id=new_id("ev"),
        run_id=run.id,
        app_id=run.app_id,
        company_id=run.company_id,
        app_version=run.app_version,
        suite_version=run.suite_version,
        passes=run.passes,
        jws="",
        created_at=now,
    )
    made.jws = signer.sign(document(made, run), EVIDENCE_TYPE)
    session.add(made)
    await session.flush()
    await _note(session, run, "conformance.judged", by, now, evidence=made.id, passes=run.passes, traffic=digest)
    return made


def document(evidence: Evidence, run: ConformanceRun) -> dict[str, Any]:
    """What is signed: bound to the App and its version, to the suite's version and to the traffic it was judged by."""
    return {
        "id": evidence.id,
        "app": run.app_id,
        "company": run.company_id,
        "client_id": run.client_id,
        "app_version": run.app_version,
        "suite_version": run.suite_version,
        "products": list(run.products),
        "scopes": list(run.scopes),
        "run": run.id,
        "started_at": run.started_at.isoformat(),
        "judged_at": evidence.created_at.isoformat(),
        "traffic": {"calls": run.calls, "sha256": run.traffic_digest},
        "passes": run.passes,
        "counts": judging.counts(run.results),
        "results": run.results,
    }


async def abandon(session: AsyncSession, run: ConformanceRun, *, now: datetime) -> None:
    """End a run without judging it."""
    _running(run, now)
    await _close(session, run, RunStatus.ABANDONED)


async def _close(session: AsyncSession, run: ConformanceRun, status: RunStatus) -> None:
    run.status = status
    await _disarm(session, run)
    place = await session.get_one(AppEnvironment, run.client_id)
    place.recording_until = None
    await session.flush()


async def events(session: AsyncSession, run: ConformanceRun) -> list[RunEvent]:
    """What Gozar did during a run."""
    return list(await session.scalars(select(RunEvent).where(RunEvent.run_id == run.id).order_by(RunEvent.at)))
