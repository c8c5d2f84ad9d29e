"""Pages of conformance: an App's runs, a run as it goes, its report, the calls behind a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from litestar import Router, get, post
from litestar.params import FromPath, FromQuery
from litestar.response import Redirect, Template
from sqlalchemy.ext.asyncio import AsyncSession

from portal.apps.pages import app_context
from portal.companies.models import MemberRole
from portal.conformance import queries, recording, reports, service
from portal.conformance.dependencies import ConformancePorts
from portal.conformance.models import ConformanceRun, RunStatus
from portal.conformance.requirements import by_id as requirements
from portal.conformance.requirements import catalogues, suite_version
from portal.conformance.scenarios import by_id as scenarios
from portal.kernel.errors import NotFound
from portal.users.dependencies import AnyRequest, CurrentUser, TellNext
from portal.users.guards import signed_in
from portal.users.models import User
from portal.web.dependencies import Db, Now
from portal.web.forms import REFUSALS, Form, read_form
from portal.web.navigation import NavItem
from portal.web.pages import page, pages, see
from portal.web.visit import Notice

navigation: Sequence[NavItem] = [
    NavItem("app", "/apps/{id}/conformance", "آزمون انطباق", "Conformance", position=60, icon="list-checks"),
    NavItem("footer", "/requirements", "الزام‌های انطباق", "Conformance requirements", position=40),
]


@get("/requirements")
async def catalogue_page() -> Template:
    """Every Requirement, for everybody to read before the first line of code."""
    return page("conformance/catalogue.html", catalogues=catalogues(), suite=suite_version())


@get("/apps/{app_id:str}/conformance")
async def runs_page(app_id: FromPath[str], user: CurrentUser, session: Db) -> Template:
    """Runs of an App, and the form to start one."""
    return await _runs(session, user, app_id, Form())


async def _runs(session: AsyncSession, user: User, app_id: str, form: Form, status: int = 200) -> Template:
    context = await app_context(session, user_id=user.id, app_id=app_id)
    found = await queries.runs(session, app_id)
    place = context["places"].get("sandbox")
    return page(
        "conformance/runs.html",
        status=status,
        form=form,
        runs=found,
        version=found[0].app_version if found else "1.0.0",
        scopes=[scope for scope in (place.scopes if place else []) if "/" in scope],
        **context,
    )


@post("/apps/{app_id:str}/conformance")
async def start(
    request: AnyRequest, app_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> Template | Redirect:
    """Start a run and go to it."""
    form = await read_form(request)
    context = await app_context(session, user_id=user.id, app_id=app_id, at_least=MemberRole.DEVELOPER)
    before = await queries.run(session, form["rerun_of"], user) if form["rerun_of"] else None
    if before is not None and before.app_id != app_id:
        raise NotFound
    try:
        run = await service.start(
            session,
            context["app"],
            app_version=form["app_version"],
            scopes=form.all("scopes") or None,
            rerun_of=before,
            by=user.id,
            now=now,
        )
    except REFUSALS as error:
        await session.rollback()
        await session.refresh(user)
        return await _runs(session, user, app_id, form.refused(error), status=422)
    await service.advance(session, run, hand=conformance.hand, now=now)
    return see(f"/conformance/{run.id}")


async def _context(
    session: AsyncSession, run: ConformanceRun, user: User, now: Any, conformance: ConformancePorts
) -> dict[str, Any]:
    results, calls = run.results, run.calls
    if run.status == RunStatus.RUNNING:
        calls, results = await service.so_far(session, run, now=now)
    steps = await service.steps(session, run)
    app = await queries.own_app(session, run.app_id, user)
    return {
        "run": run,
        "app": app,
        "steps": steps,
        "scenarios": scenarios(),
        "requirements": requirements(),
        "armed": next((step for step in steps if step.state == "armed"), None),
        "report": reports.as_json(run, results),
        "calls": calls,
        "live": run.status == RunStatus.RUNNING and now <= run.expires_at,
        "member": await queries.member(session, user, run.company_id),
        "evidence": await queries.evidence_of(session, run.id),
    }


@get("/conformance/{run_id:str}")
async def run_page(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> Template:
    """A run: what to do now, what was seen, the results."""
    run = await queries.run(session, run_id, user)
    return page("conformance/run.html", **await _context(session, run, user, now, conformance))


@get("/conformance/{run_id:str}/progress")
async def progress(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> Template:
    """The part of the page that renews itself while the run goes on."""
    run = await queries.run(session, run_id, user)
    return page("conformance/progress.html", **await _context(session, run, user, now, conformance))


@post("/conformance/{run_id:str}/next")
async def advance(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> Redirect:
    """Arm the next scenario."""
    run = await queries.run(session, run_id, user, change=True)
    await service.advance(session, run, hand=conformance.hand, now=now)
    return see(f"/conformance/{run_id}")


@post("/conformance/{run_id:str}/judge")
async def judge(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, tell: TellNext, conformance: ConformancePorts
) -> Redirect:
    """Judge and sign."""
    run = await queries.run(session, run_id, user, change=True)
    await conformance.settle()
    try:
        signed = await service.judge(session, run, signer=conformance.signer, by=user.id, now=now)
    except service.NothingRecorded as error:
        tell(Notice("error", error.message_fa, error.message))
        return see(f"/conformance/{run_id}")
    kind: Any = "success" if signed.passes else "warning"
    tell(Notice(kind, "آزمون داوری و نتیجهٔ آن امضا شد.", "The run was judged and its result signed."))
    return see(f"/conformance/{run_id}")


@get("/conformance/{run_id:str}/requirements/{requirement:str}")
async def proof_page(
    run_id: FromPath[str], requirement: FromPath[str], user: CurrentUser, session: Db, call: FromQuery[str] = ""
) -> Template:
    """The very requests behind one verdict."""
    run = await queries.run(session, run_id, user)
    verdict = run.results.get(requirement)
    if verdict is None or requirement not in requirements():
        raise NotFound
    shown = [
        {
            "call": row,
            "sent": "\n".join(f"{name}: {value}" for name, value in sorted(row.sent.items())),
            "answered": "\n".join(f"{name}: {value}" for name, value in sorted(row.answered.items())),
            "body": _pretty(row.body if row.body is not None else dict(row.form)),
            "reply": _pretty(row.reply),
        }
        for row in await recording.proof(session, run, verdict["calls"])
        if call in ("", row.id)
    ]
    return page(
        "conformance/proof.html",
        run=run,
        app=await queries.own_app(session, run.app_id, user),
        requirement=requirements()[requirement],
        verdict=verdict,
        calls=shown,
    )


def _pretty(value: Any) -> str:
    if value in (None, {}, ""):
        return ""
    text = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    return text if len(text) <= 6000 else f"{text[:6000]}\n…"


routes: Sequence[Router] = [
    *pages(catalogue_page),
    *pages(runs_page, start, run_page, progress, advance, judge, proof_page, guards=[signed_in]),
]
