"""JSON routes of conformance: runs, reports, the calls that prove a verdict, signed Evidence, the portal's key set."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.params import FromPath, FromQuery, JSONBody
from litestar.plugins.jinja import JinjaTemplateEngine

from portal.conformance import queries, recording, reports, service
from portal.conformance.dependencies import ConformancePorts
from portal.conformance.models import Evidence, RunStatus
from portal.conformance.requirements import catalogues, suite_version
from portal.conformance.schemas import CallInfo, EvidenceInfo, NewRun, RunInfo
from portal.conformance.sheets import sheet
from portal.kernel.errors import Invalid, NotFound
from portal.users.dependencies import AnyRequest, CurrentUser
from portal.web.api import api, problems
from portal.web.dependencies import Db, Now, ShellValues


@get("/requirements")
async def requirements() -> dict[str, Any]:
    """Every Requirement, by Product: what it says, where it comes from, and how it is proved."""
    return {
        "suite_version": suite_version(),
        "catalogues": [
            {
                "product": catalogue.product,
                "title": {"fa": catalogue.title_fa, "en": catalogue.title_en},
                "requirements": [
                    {
                        "id": row.id,
                        "level": row.level,
                        "title": {"fa": row.title_fa, "en": row.title_en},
                        "text": {"fa": row.text_fa, "en": row.text_en},
                        "source": row.source,
                        "proof": {"check": row.check} if row.check else {"attestation": row.attestation},
                        "needs": list(row.needs),
                    }
                    for row in catalogue.requirements
                ],
            }
            for catalogue in catalogues()
        ],
    }


@post("/apps/{app_id:str}/conformance/runs", responses=problems(400, 401, 403, 404, 409, 415, 422))
async def start(
    app_id: FromPath[str],
    data: JSONBody[NewRun],
    user: CurrentUser,
    session: Db,
    now: Now,
    conformance: ConformancePorts,
) -> RunInfo:
    """Start a run and arm its first scenario; a run that was going on is abandoned."""
    app = await queries.own_app(session, app_id, user, change=True)
    before = await queries.run(session, data.rerun_of, user) if data.rerun_of else None
    if before is not None and before.app_id != app.id:
        raise NotFound
    run = await service.start(
        session, app, app_version=data.app_version, scopes=data.scopes, rerun_of=before, by=user.id, now=now
    )
    await service.advance(session, run, hand=conformance.hand, now=now)
    return RunInfo.of(run, await service.steps(session, run))


@get("/apps/{app_id:str}/conformance/runs", responses=problems(401, 404))
async def of_app(app_id: FromPath[str], user: CurrentUser, session: Db) -> list[RunInfo]:
    """Runs of an App, newest first."""
    await queries.own_app(session, app_id, user)
    return [RunInfo.of(run, []) for run in await queries.runs(session, app_id)]


@get("/conformance/runs/{run_id:str}", responses=problems(401, 404))
async def one(run_id: FromPath[str], user: CurrentUser, session: Db) -> RunInfo:
    """A run with its scenarios; `current` is what the App should do now."""
    run = await queries.run(session, run_id, user)
    signed = await queries.evidence_of(session, run.id)
    return RunInfo.of(run, await service.steps(session, run), signed.id if signed else "")


@post("/conformance/runs/{run_id:str}/next", status_code=200, responses=problems(401, 403, 404, 409))
async def advance(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> RunInfo:
    """The App has done what the armed scenario asks: arm the next one. `current` is empty when none is left: judge then."""
    run = await queries.run(session, run_id, user, change=True)
    await service.advance(session, run, hand=conformance.hand, now=now)
    return RunInfo.of(run, await service.steps(session, run))


@post("/conformance/runs/{run_id:str}/judge", status_code=200, responses=problems(401, 403, 404, 409))
async def judge(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> dict[str, Any]:
    """Judge the run over everything recorded, end it and sign the result; the answer is the report."""
    run = await queries.run(session, run_id, user, change=True)
    await conformance.settle()
    signed = await service.judge(session, run, signer=conformance.signer, by=user.id, now=now)
    return {**reports.as_json(run, run.results), "evidence": signed.id}


@post("/conformance/runs/{run_id:str}/abandon", status_code=204, responses=problems(401, 403, 404, 409))
async def abandon(run_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> None:
    """End a run without judging it."""
    await service.abandon(session, await queries.run(session, run_id, user, change=True), now=now)


@get("/conformance/runs/{run_id:str}/report", responses=problems(401, 404))
async def report(
    run_id: FromPath[str], user: CurrentUser, session: Db, now: Now, conformance: ConformancePorts
) -> dict[str, Any]:
    """The report as JSON, failed Requirements first; of a running run, what it would say now."""
    run = await queries.run(session, run_id, user)
    results = run.results
    if run.status == RunStatus.RUNNING:
        await conformance.settle()
        _, results = await service.so_far(session, run, now=now)
    return reports.as_json(run, results)


@get("/conformance/runs/{run_id:str}/junit", media_type="application/xml", responses=problems(401, 404, 409))
async def junit(run_id: FromPath[str], user: CurrentUser, session: Db, now: Now) -> Response[bytes]:
    """The report of a judged run as JUnit XML, for a CI server."""
    run = await queries.run(session, run_id, user)
    results = run.results or (await service.so_far(session, run, now=now))[1]
    return Response(reports.as_junit(run, results), media_type="application/xml")


@get("/conformance/runs/{run_id:str}/html", media_type="text/html", responses=problems(400, 401, 404, 409, 422))
async def html(
    request: AnyRequest,
    run_id: FromPath[str],
    user: CurrentUser,
    session: Db,
    shell: ShellValues,
    lang: FromQuery[str] = "fa",
) -> Response[bytes]:
    """The report of a judged run as one self-contained file to read, keep or print; `lang` is fa or en."""
    if lang not in ("fa", "en"):
        raise Invalid("lang is fa or en", fa="زبان fa یا en است", field="lang")
    run = await queries.run(session, run_id, user)
    if run.status != RunStatus.JUDGED:
        raise service.NothingRecorded("The run has not been judged yet", fa="این آزمون هنوز داوری نشده است")
    app = await queries.own_app(session, run.app_id, user)
    engine = request.app.template_engine
    if not isinstance(engine, JinjaTemplateEngine):
        raise NotFound
    content = await sheet(
        session, run, app, lang="en" if lang == "en" else "fa", base=shell.public_url, templates=engine.engine
    )
    name = f"gozar-conformance-{run.id}-{lang}.html"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "private, no-store"}
    return Response(content, media_type="text/html; charset=utf-8", headers=headers)


@get("/conformance/runs/{run_id:str}/calls", responses=problems(401, 404))
async def calls(run_id: FromPath[str], user: CurrentUser, session: Db, requirement: FromQuery[str]) -> list[CallInfo]:
    """The very calls that prove the verdict on a Requirement."""
    run = await queries.run(session, run_id, user)
    verdict = run.results.get(requirement)
    if verdict is None:
        raise NotFound
    return [CallInfo.of(row) for row in await recording.proof(session, run, verdict["calls"])]


def shown(row: Evidence) -> EvidenceInfo:
    """Evidence as it goes over the wire."""
    return EvidenceInfo(
        row.id, row.run_id, row.app_id, row.app_version, row.suite_version, row.passes, row.created_at, row.jws
    )


@get("/evidence/{evidence_id:str}", responses=problems(401, 404))
async def evidence(evidence_id: FromPath[str], user: CurrentUser, session: Db) -> EvidenceInfo:
    """Signed Evidence; keep `jws` in a file and check it offline with `gozar evidence verify`."""
    return shown(await queries.evidence(session, evidence_id, user))


@get("/signing-keys")
async def signing_keys(conformance: ConformancePorts) -> dict[str, Any]:
    """The key set (RFC 7517) under which Evidence and audit checkpoints are signed."""
    return conformance.signer.jwks()


routes = [
    api(
        requirements,
        start,
        of_app,
        one,
        advance,
        judge,
        abandon,
        report,
        junit,
        html,
        calls,
        evidence,
        signing_keys,
        tag="conformance",
    )
]
